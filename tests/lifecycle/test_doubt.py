"""Many that are over at once are believed at a second look: a class ends 10 s later, a wrong clock nobody."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import F
from django.utils import timezone

from sandboxes.lifecycle import actions, cleanup, doubt, expiry, reconcile
from sandboxes.models import Event, Lease, Sandbox, Status
from tests.lifecycle.helpers import ALICE, counted, older, overdue

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time by which looks are apart; ``clock[0] += 10`` lets it pass."""
    now = [1000.0]
    monkeypatch.setattr(doubt, "monotonic", lambda: now[0])
    for one in (expiry.doubt, reconcile.losing):
        monkeypatch.setattr(one, "again", doubt.AGAIN)
    return now


@pytest.fixture
def dozen(launch: Any) -> list[Sandbox]:
    return [older(launch(name=f"s{number}"), minutes=2) for number in range(12)]


def running() -> int:
    return Sandbox.objects.filter(status=Status.RUNNING).count()


def doubts() -> list[str]:
    return list(Event.objects.filter(action="cleanup.doubt").order_by("id").values_list("reason", flat=True))


def test_a_few_end_at_once(dozen, clock):
    for one in dozen[:5]:
        overdue(one)
    assert counted(cleanup.run_round()) == {"expired": 5}
    assert doubts() == []


def test_many_end_at_the_second_look(dozen, clock):
    for one in dozen[:6]:
        overdue(one)
    report = cleanup.run_round()
    assert (counted(report), report.held) == ({}, "6 of 12 sandboxes are past their end at once")
    clock[0] += 9.9
    assert counted(cleanup.run_round()) == {}
    clock[0] += 0.1
    report = cleanup.run_round()
    assert (counted(report), report.held, running()) == ({"expired": 6}, "", 6)
    assert doubts() == ["6 of 12 sandboxes are past their end at once"], "on record once"


@pytest.mark.parametrize(("said", "believed"), [(20, 20), (21, 0)])
def test_of_a_hundred_a_fifth_is_few(monkeypatch, clock, said, believed):
    present = SimpleNamespace(count=lambda: 100)
    monkeypatch.setattr(Sandbox.objects, "present", lambda: present)
    made = doubt.Doubt("are past their end")
    assert len(made.believed([str(number) for number in range(said)])) == believed


def test_who_joins_them_later_waits_as_long(dozen, clock):
    for one in dozen[:6]:
        overdue(one)
    cleanup.run_round()
    clock[0] += 10
    for one in dozen[6:]:
        overdue(one)
    assert counted(cleanup.run_round()) == {"expired": 6}
    clock[0] += 10
    assert counted(cleanup.run_round()) == {"expired": 6}


def test_a_clock_that_was_wrong_at_boot_ends_nobody(dozen, clock, monkeypatch):
    wrong = timezone.now() + timedelta(days=400)
    assert counted(cleanup.run_round(wrong)) == {}
    clock[0] += 10
    report = cleanup.run_round()
    assert (counted(report), report.held, running()) == ({}, "", 12)


def test_an_engine_that_has_lost_everything_is_asked_again(dozen, engine, clock):
    containers = dict(engine.containers)
    engine.containers.clear()
    report = cleanup.run_round()
    assert (counted(report), report.held) == ({}, "12 of 12 sandboxes have lost their container at once")
    engine.containers.update(containers)
    clock[0] += 10
    assert (cleanup.run_round().held, running()) == ("", 12)
    engine.containers.clear()
    cleanup.run_round()
    clock[0] += 10
    assert counted(cleanup.run_round()) == {"lost": 12}
    assert len(doubts()) == 2


def test_extending_wins_meanwhile(dozen, clock):
    for one in dozen:
        overdue(one)
    cleanup.run_round()
    assert actions.extend(dozen[0], by=ALICE).done
    clock[0] += 10
    assert counted(cleanup.run_round()) == {"expired": 11}


def test_one_round_on_request_looks_twice(dozen, clock, monkeypatch, capsys):
    """Where rounds are cron's, the next one is another process, which has seen nothing."""
    monkeypatch.setattr(doubt, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    Sandbox.objects.update(expires_at=F("created_at"))
    call_command("cleanup", "--once")
    assert "expired 12" in capsys.readouterr().out
    assert Lease.objects.get(name="cleanup").report["held"] == ""
