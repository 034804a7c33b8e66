"""The system page: for staff, what is left, who fills it, what nobody uses."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from django.utils import timezone

from sandboxes.engine.base import Unreachable
from sandboxes.lifecycle import host
from sandboxes.models import Lease, Sandbox
from tests.fakes.engine import STARTER

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


def rows(client) -> dict[str, str]:
    """What is said of each image on the disk, by its name."""
    page = text(client.get(URL))
    found = re.findall(r'<li class="row wrap">(.*?)</li>', page[page.index("images-title") :], re.S)
    words = [re.sub(r"<[^>]+>", " ", one).split() for one in found]
    return {first: " ".join(rest) for first, *rest in words}


def test_an_image_whose_name_has_moved_on_is_still_used_by_who_was_made_of_it(as_prof, running, engine):
    before = engine.local[STARTER]
    engine.local = {
        "moved": replace(before, references=()),
        STARTER: replace(before, native_id="sha256:" + "b" * 64),
    }
    found = rows(as_prof)
    assert found[before.native_id[:19]] == "used by 1 sandbox 2 MB"
    assert "unused" in found[STARTER]


def test_one_with_two_names_is_used_by_the_name_it_was_launched_with(as_prof, running, engine):
    engine.local[STARTER] = replace(engine.local[STARTER], references=(STARTER, "another:1"))
    found = rows(as_prof)
    assert "used by 1 sandbox" in found[STARTER]
    assert found["another:1"] == "unused 2 MB"


def test_one_that_waits_for_the_engine_uses_what_it_names(as_prof, launch, engine):
    engine.fail["create"] = Unreachable("away")
    launch()
    assert "used by 1 sandbox" in rows(as_prof)[STARTER]


def test_what_is_needed_elsewhere_is_not_unused(as_prof, engine, settings):
    settings.SANDBOX_IMAGE_RULE = f"{__name__}.needed"
    engine.local["old:1"] = engine._image("old:1")
    assert rows(as_prof)["old:1"] == "needed by 2 labs 2 MB"


def needed() -> dict[str, str]:
    return {"docker.io/library/old:1": "2 labs"}


def test_others_are_told_that_it_is_not_for_them(as_alice, engine):
    assert as_alice.get(URL).status_code == 403
