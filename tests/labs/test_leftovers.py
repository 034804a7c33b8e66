"""What a seat has let go of is removed, whoever dies in between; what it holds, or is just given, is not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from sandboxes.engine.base import Unreachable
from sandboxes.labs import leftovers, opening, provision, seats
from sandboxes.labs.models import Seat
from sandboxes.lifecycle import actions, invariants
from sandboxes.models import Sandbox, Status

from .conftest import PROF, rounds, statuses

pytestmark = pytest.mark.django_db(transaction=True)


class Died(BaseException):
    """The process, at this moment."""


@pytest.fixture(autouse=True)
def every_round(monkeypatch):
    monkeypatch.setattr(leftovers, "_looking", leftovers.Every(0))
    monkeypatch.setattr(leftovers, "_tries", leftovers.Tries())


def dies(monkeypatch, do, *args) -> None:
    """The process dies between letting go of the sandbox and removing it."""
    with monkeypatch.context() as patch:
        patch.setattr(actions, "remove", lambda *_, **__: (_ for _ in ()).throw(Died))
        with pytest.raises(Died):
            do(*args)


def over() -> list[str]:
    return [one.about for one in invariants.look() if one.promise == "a use"]


def test_a_death_while_starting_over_leaves_nobodys_sandbox(seat, alice, engine, monkeypatch):
    mine = seat(alice)
    before = mine.sandbox_id
    dies(monkeypatch, seats.start_over, mine, PROF)
    assert Sandbox.objects.get(pk=before).status == Status.RUNNING
    rounds()
    assert Sandbox.objects.get(pk=before).status == Status.REMOVED
    assert seat(alice).sandbox.status == Status.RUNNING
    assert seat(alice).sandbox_id != before


def test_a_death_while_trying_again_does_neither(seat, alice, engine, monkeypatch):
    mine = seat(alice)
    before = mine.sandbox_id
    Seat.objects.filter(pk=mine.pk).update(status="failed")
    mine.refresh_from_db()
    dies(monkeypatch, seats.retry, mine, PROF)
    rounds()
    assert Sandbox.objects.get(pk=before).status == Status.REMOVED


def test_an_engine_that_did_not_answer_then_is_asked_again(seat, alice, engine):
    mine = seat(alice)
    before = mine.sandbox_id
    engine.fail["remove"] = Unreachable("away")
    assert seats.start_over(mine, PROF)
    assert Sandbox.objects.get(pk=before).status == Status.RUNNING
    del engine.fail["remove"]
    rounds()
    assert Sandbox.objects.get(pk=before).status == Status.REMOVED


def test_what_is_held_or_just_being_given_stays(lab, engine, settings):
    settings.SANDBOX_WAVE = 1
    opening.open_lab(lab, PROF)
    while provision.run_round():
        assert not Sandbox.objects.filter(status=Status.REMOVED).exists()
    Seat.objects.update(sandbox=None, status="starting")  # launched, and not given yet
    assert leftovers.remove() == 0
    rounds()
    assert statuses(lab) == {"ready": 2}
    assert Sandbox.objects.filter(status=Status.RUNNING).count() == 2


def test_a_persons_own_with_such_a_key_is_none(seat, alice, launch_own):
    mine = launch_own(f"{seat(alice).pk}-0")
    assert leftovers.remove() == 0
    mine.refresh_from_db()
    assert mine.status == Status.RUNNING


@pytest.fixture
def launch_own(alice, image):
    return lambda key: actions.launch(alice, image, origin=PROF, launch_key=key)


def test_the_check_says_so_when_it_stays(seat, alice, monkeypatch):
    mine = seat(alice)
    before = mine.sandbox_id
    dies(monkeypatch, seats.start_over, mine, PROF)
    assert over() == [], "the loop may be about to remove it"
    Seat.objects.filter(pk=mine.pk).update(changed_at=timezone.now() - timedelta(minutes=5))
    assert over() == [before]
    rounds()
    assert over() == []
