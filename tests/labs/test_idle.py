"""Seats that nobody uses: never stopped unless the template says so; told before, and no work is lost."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from sandboxes.labs import files, opening
from sandboxes.labs.forms_templates import RecipeForm, initial
from sandboxes.labs.models import Message, TemplateVersion
from sandboxes.lifecycle import actions, idle, usage
from sandboxes.models import Sandbox, Status

from .conftest import PROF, rounds

pytestmark = pytest.mark.django_db(transaction=True)


def passes(sandbox: Sandbox, minutes: float) -> Sandbox:
    """So long nobody uses it, and the loop looks."""
    sandbox.refresh_from_db()
    past = timedelta(minutes=minutes)
    stamps = ("used_at", "changed_at", "created_at", "idle_warned_at")
    columns = {name: at - past for name in stamps if (at := getattr(sandbox, name))}
    Sandbox.objects.filter(pk=sandbox.pk).update(**columns)
    usage.write({})
    idle.watch()
    sandbox.refresh_from_db()
    return sandbox


def test_a_seat_is_never_stopped_unless_its_template_says_so(open_lab, seat, alice):
    assert seat(alice).sandbox.idle_limit == 0


@pytest.fixture
def unused(version, lab, alice):
    """Alice's seat's sandbox in a lab whose template says ten minutes, looked at already."""
    TemplateVersion.objects.update(idle=600)
    lab.refresh_from_db()
    opening.open_lab(lab, PROF)
    rounds()
    sandbox = lab.seats.get(enrollment__user=alice).sandbox
    for _ in range(2):
        passes(sandbox, 2)
    return sandbox


def test_its_student_is_told_before_and_it_keeps_its_files(unused, alice):
    passes(unused, 6)
    told = Message.objects.get(seat__sandbox=unused)
    assert told.text.startswith("Nobody has used this sandbox for ")
    assert told.text.endswith("it is stopped; its files stay.")
    passes(unused, 3)
    assert (unused.status, unused.status_reason[:5]) == (Status.STOPPED, "idle:")
    assert actions.start(unused, by=PROF, wait=None).done


def test_one_that_was_stopped_is_woken_at_the_lab_s_end_and_its_work_saved(unused, lab, monkeypatch):
    passes(unused, 6)
    assert passes(unused, 3).status == Status.STOPPED
    saved = []
    monkeypatch.setattr(files, "_save", lambda seat, sandbox: saved.append(str(sandbox.status)) or "")
    monkeypatch.setattr(files, "note", lambda seat, reason: type(seat).objects.filter(pk=seat.pk).update(
        saved_reason=reason, saved_at=timezone.now()))  # fmt: skip
    lab.refresh_from_db()
    opening.close_lab(lab, PROF)
    rounds()
    assert saved == ["running", "running"]


@pytest.mark.parametrize(("typed", "seconds"), [("", 0), ("30", 1800)])
def test_the_template_s_form_takes_minutes(version, typed, seconds):
    version.refresh_from_db()
    form = RecipeForm(initial(version, 1) | {"sheet": "x", "idle": typed})
    assert form.is_valid(), form.errors
    assert form.columns()["idle"] == seconds


def test_less_than_two_minutes_is_refused(version):
    version.refresh_from_db()
    form = RecipeForm(initial(version, 1) | {"sheet": "x", "idle": "1"})
    assert form.errors["idle"] == ["At least two minutes, or nothing."]
