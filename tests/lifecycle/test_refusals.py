"""Refusals that cost their sender nothing go on record in bounds; none is forgotten."""

from __future__ import annotations

import pytest

from sandboxes.lifecycle import audit, refusals
from sandboxes.lifecycle.refusals import Bound, Refused
from sandboxes.models import Event, Outcome

WHO = audit.Origin("user", 7, "mallory", "192.0.2.1")
WHY = Refused("", "No.")


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(refusals.time, "monotonic", lambda: now[0])
    return now


def test_so_many_at_once_then_one_now_and_then_and_the_rest_is_counted(clock):
    bound = Bound(burst=3, pause=10)
    assert [bound.take("a") for _ in range(5)] == [0, 0, 0, None, None]
    assert bound.take("b") == 0
    clock[0] = 10
    assert [bound.take("a") for _ in range(2)] == [2, None]
    clock[0] = 1000
    assert [bound.take("a") for _ in range(4)] == [1, 0, 0, None]


def test_it_forgets_the_oldest_sender_not_the_one_who_keeps_sending(clock):
    bound = Bound(burst=1, pause=10, most=2)
    for sender in ("a", "b", "a", "c", "a"):
        bound.take(sender)
    assert bound.take("a") is None
    assert bound.take("b") == 0


@pytest.mark.django_db
def test_the_next_line_says_how_many_were_left_out(clock, monkeypatch):
    monkeypatch.setattr(refusals, "bound", Bound(burst=1, pause=1))
    for _ in range(3):
        refusals.note("sandbox.view", WHO, WHY, path="/sandboxes/sb_x/")
    clock[0] = 1
    refusals.note("sandbox.view", WHO, WHY)
    later, first = Event.objects.filter(outcome=Outcome.REFUSED)
    assert (first.detail, later.detail) == ({"path": "/sandboxes/sb_x/"}, {"left_out": 2})
    assert (first.actor_name, first.address, first.reason) == ("mallory", "192.0.2.1", "No.")
