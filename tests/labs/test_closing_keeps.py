"""Work that a lab's end could not save is never removed with its sandbox."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from sandboxes.engine import get_engine
from sandboxes.engine.base import EngineError, NoCapacity, Reach, TimedOut, Unreachable
from sandboxes.labs import closing, files, opening
from sandboxes.lifecycle import actions, changed, guard, transitions
from sandboxes.models import Lease, Sandbox, Status

from .conftest import PROF, rounds

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def read(monkeypatch):
    """Seats whose workspace was read."""
    found = []

    def save(seat, sandbox):
        get_engine().inspect(sandbox.native_id)
        found.append(seat.enrollment.name)
        return ""

    def note(seat, reason):
        seat.saved_reason, seat.saved_at = reason, None if reason else timezone.now()
        seat.save(update_fields=["saved_reason", "saved_at"])

    monkeypatch.setattr(files, "_save", save)
    monkeypatch.setattr(files, "note", note)
    return found


@pytest.fixture
def box(seat, alice):
    return seat(alice).sandbox


def close(lab):
    opening.close_lab(lab, PROF)
    rounds()


def changed_outside(box, engine):
    engine.changed[box.native_id] = ["memory"]
    assert changed.look(box)


def no_room(box, engine):
    actions.stop(box, by=PROF, wait=None)
    engine.fail["start"] = NoCapacity("The host has no room.")


def unguarded(box, engine):
    Sandbox.objects.filter(pk=box.pk).update(network="internet")
    actions.stop(box, by=PROF, wait=None)
    engine.reached = Reach(True, False)
    Lease.objects.filter(name=guard.NAME).delete()


def frozen(box, engine):
    actions.pause(box, by=PROF, wait=None)
    engine.fail["resume"] = EngineError("no")


@pytest.mark.parametrize("hinder", [changed_outside, no_room, unguarded, frozen])
def test_what_cannot_be_woken_is_kept_for_a_day_and_saved_once_it_can(
    open_lab, seat, alice, box, engine, read, hinder
):
    hinder(box, engine)
    close(open_lab)
    box.refresh_from_db()
    mine = seat(alice)
    assert (mine.status, read) == ("closed", ["Bob"])
    assert mine.saved_reason
    assert box.native_id in engine.containers
    assert box.expires_at > timezone.now() + timedelta(hours=23)
    engine.changed.clear()
    engine.fail.clear()
    engine.reached = Reach(False, False)
    Lease.objects.filter(name=guard.NAME).delete()
    assert closing.again(mine, PROF)
    rounds()
    assert (read, seat(alice).sandbox.status) == (["Bob", "Alice"], Status.REMOVED)


@pytest.mark.parametrize("action", ["resume", "start"])
def test_somebody_elses_act_under_way_is_waited_for(open_lab, seat, alice, box, engine, read, action):
    actions.act(box, {"resume": "pause", "start": "stop"}[action], PROF, wait=None)
    mine = transitions.claim(box, action, PROF)
    close(open_lab)
    assert (read, seat(alice).status) == (["Bob"], "saving")
    getattr(engine, action)(box.native_id)
    transitions.settle(mine, Status.RUNNING)
    rounds()
    assert (sorted(read), seat(alice).sandbox.status) == (["Alice", "Bob"], Status.REMOVED)


@pytest.mark.parametrize("action", ["pause", "stop"])
def test_while_the_engine_is_away_nothing_is_concluded(open_lab, seat, alice, box, engine, read, action):
    actions.act(box, action, PROF, wait=None)
    opening.close_lab(open_lab, PROF)
    engine.away = Unreachable("away")
    closing.go_on()
    assert (seat(alice).status, seat(alice).saved_reason) == ("saving", "")
    engine.away = None
    rounds()
    assert sorted(read) == ["Alice", "Bob"]
    assert seat(alice).sandbox.status == Status.REMOVED


def test_strict_it_is_paused_for_it_has_its_work_in_memory(
    open_lab, seat, alice, box, engine, read, monkeypatch
):
    Sandbox.objects.filter(pk=box.pk).update(isolation="strict")
    with monkeypatch.context() as full:
        full.setattr(files, "_save", lambda *_: files.FULL)
        close(open_lab)
    box.refresh_from_db()
    assert (seat(alice).saved_reason, box.status) == (files.FULL, Status.PAUSED)
    assert ("stop", box.native_id) not in engine.calls
    assert closing.again(seat(alice), PROF)
    rounds()
    assert (read, seat(alice).sandbox.status) == (["Alice"], Status.REMOVED)


def test_one_that_failed_and_is_gone_is_not_launched_anew_and_called_saved(
    open_lab, seat, alice, box, engine, read
):
    changed_outside(box, engine)
    close(open_lab)
    engine.remove(box.native_id)
    engine.changed.clear()
    assert closing.again(seat(alice), PROF)
    rounds()
    assert (read, seat(alice).status) == (["Bob"], "closed")
    assert seat(alice).saved_reason == "Its sandbox was not running any more."
    assert not engine.containers


def test_one_that_does_not_answer_holds_up_nobody_else(open_lab, seat, alice, bob, monkeypatch):
    """Places are few, and it is tried again for ever: who can be saved comes first."""

    def save(place, sandbox):
        if place.enrollment.name == "Alice":
            raise TimedOut("It did not answer in time.")
        files.path_of(place).write_bytes(b"x")
        return ""

    files.path_of(seat(bob)).parent.mkdir(parents=True)
    monkeypatch.setattr(files, "_save", save)
    monkeypatch.setattr(closing, "WAVE", 1)
    opening.close_lab(open_lab, PROF)
    for _ in range(5):
        closing.go_on()
    assert (seat(alice).status, seat(bob).status) == ("saving", "closed")
    assert seat(bob).saved_at is not None
