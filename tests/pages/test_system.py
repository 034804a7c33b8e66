"""The system page: for staff, what is left, who fills it, what nobody uses."""

from __future__ import annotations

import re

import pytest
from django.utils import timezone

from sandboxes.engine.base import Unreachable
from sandboxes.lifecycle import host
from sandboxes.models import Lease, Sandbox

from .conftest import text

pytestmark = pytest.mark.django_db
URL = "/system/"


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch):
    monkeypatch.setattr(host, "KEPT", 0)


def shown(client) -> str:
    """The page's words, without its tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", text(client.get(URL))).split())


def test_staff_see_what_is_free_and_what_must_stay_free(as_prof, engine):
    assert "enough is free" in shown(as_prof)
    assert "Free 100 GB Must stay free 1 GB" in shown(as_prof)


def test_a_full_disk_is_said(as_prof, engine, settings):
    settings.SANDBOX_DISK_FLOOR = 200 << 30
    assert "launches are refused" in shown(as_prof)


def test_what_the_loop_does_not_believe_is_said(as_prof, engine):
    report = {"held": "12 of 12 sandboxes are past their end at once"}
    Lease.objects.create(name="cleanup", owner="x", until=timezone.now(), report=report)
    assert "12 of 12 sandboxes are past their end at once. The cleanup loop looks again" in shown(as_prof)


def test_an_engine_that_does_not_answer_is_said(as_prof, engine):
    engine.away = Unreachable("away")
    assert shown(as_prof).count("The engine does not answer just now.") == 2


def test_the_memory_that_is_promised_beside_the_budget(as_prof, launch, settings):
    launch(memory="512m")
    assert "512 MB is promised to live sandboxes. There is no budget" in shown(as_prof)
    settings.SANDBOX_MEMORY_BUDGET = 2 << 30
    assert "Promised to live sandboxes 512 MB of 2 GB" in shown(as_prof)


def test_who_has_written_most_comes_first(as_prof, launch):
    for name, used in (("little", 1 << 20), ("much", 1 << 30), ("nothing", 0)):
        sandbox = launch(name=name)
        Sandbox.objects.filter(pk=sandbox.pk).update(disk_used=used)
    page = shown(as_prof)
    assert page.index("much alice 1 GB of 2 GB") < page.index("little alice 1 MB of 2 GB")
    assert "nothing" not in page


def test_images_say_who_uses_them(as_prof, running, engine):
    engine.local["old:1"] = engine._image("old:1")
    page = shown(as_prof)
    assert "used by 1 sandbox " in page
    assert "old:1 unused" in page


def test_others_are_told_that_it_is_not_for_them(as_alice, engine):
    assert as_alice.get(URL).status_code == 403
