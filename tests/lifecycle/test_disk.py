"""What sandboxes write: noted, warned of, stopped; and a host's disk that is nearly full."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from sandboxes.engine.base import Unreachable
from sandboxes.lifecycle import actions, cleanup, disk, host
from sandboxes.models import Event, Sandbox, Status
from tests.fakes.engine import FakeEngine
from tests.lifecycle.helpers import ALICE, change, trail

GIB = 1 << 30


@pytest.fixture(autouse=True)
def every_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanup, "MEASURE_EVERY", 0)
    monkeypatch.setattr(cleanup, "_measuring", cleanup.Every(0))
    monkeypatch.setattr(host, "KEPT", 0)


def writes(engine: FakeEngine, sandbox: Sandbox, percent: int) -> Sandbox:
    """Its container has written so much of its limit, and the loop has had its round."""
    engine.containers[sandbox.native_id].written = -(-sandbox.disk * percent // 100)
    assert cleanup.run_round().error == ""
    sandbox.refresh_from_db()
    return sandbox


def warnings(sandbox: Sandbox) -> list[str]:
    return [reason for action, _, reason in trail(sandbox) if action == "sandbox.disk"]


def test_what_was_written_is_on_the_row(engine, running):
    assert writes(engine, running, 25).disk_percent == 25
    assert running.disk_used == GIB // 2
    assert warnings(running) == []


def test_a_small_difference_is_not_written_down_every_time(engine, running):
    writes(engine, running, 25)
    assert writes(engine, running, 26).disk_percent == 25
    assert writes(engine, running, 28).disk_percent == 28


def test_at_80_percent_it_is_warned_once_and_again_after_it_was_less(engine, running):
    writes(engine, running, 79)
    assert warnings(running) == []
    writes(engine, running, 80)
    writes(engine, running, 90)
    assert warnings(running) == ["1.6 GB of 2 GB written"]
    writes(engine, running, 10)
    writes(engine, running, 85)
    assert len(warnings(running)) == 2
    assert running.status == Status.RUNNING


@pytest.mark.parametrize("percent", [100, 180])
def test_at_100_percent_it_is_stopped_with_the_figures(engine, running, percent):
    writes(engine, running, percent)
    assert running.status == Status.STOPPED
    assert running.status_reason.startswith("it has written ")
    assert running.status_reason.endswith("may write 2 GB")
    stops = Event.objects.filter(sandbox_id=running.pk, action="sandbox.stop", outcome="ok")
    assert [event.actor_kind for event in stops] == ["cleanup"]


def test_a_paused_one_is_stopped_too(engine, paused):
    assert writes(engine, paused, 120).status == Status.STOPPED


def test_started_again_it_may_delete_files_but_not_write_more(engine, running):
    writes(engine, running, 120)
    actions.start(running, by=ALICE, wait=None)
    assert writes(engine, running, 120).status == Status.RUNNING
    assert writes(engine, running, 110).status == Status.RUNNING
    assert writes(engine, running, 111).status == Status.STOPPED


def test_started_again_it_has_two_minutes(engine, running):
    writes(engine, running, 120)
    actions.start(running, by=ALICE, wait=None)
    change(running, started_at=timezone.now() - timedelta(seconds=121))
    assert writes(engine, running, 120).status == Status.STOPPED


def test_a_strict_one_is_left_alone(engine, launch):
    sandbox = launch(isolation="strict")
    assert writes(engine, sandbox, 300).status == Status.RUNNING


def test_an_engine_that_does_not_say_stops_nobody(engine, running):
    writes(engine, running, 50)
    engine.containers[running.native_id].written = 10 * GIB
    engine.fail["disk_use"] = Unreachable("away")
    assert cleanup.run_round().error == "away"
    running.refresh_from_db()
    assert (running.status, running.disk_percent) == (Status.RUNNING, 50)


def test_one_that_is_busy_is_looked_at_the_next_time(engine, running):
    change(running, pending="pause", pending_since=timezone.now(), claim="x", claimed_by="nobody")
    engine.containers[running.native_id].written = 10 * GIB
    assert disk.watch() == 0


# -- the host -----------------------------------------------------------------------------------


@pytest.fixture
def nearly_full(settings) -> None:
    settings.SANDBOX_DISK_FLOOR = 200 * GIB  # the fake engine has 100 free


def test_below_the_floor_nothing_is_launched_and_the_figures_are_told(nearly_full, launch):
    with pytest.raises(actions.Refused, match="100 GB free, and 200 GB must stay free"):
        launch()
    assert not Sandbox.objects.exists()
    assert Event.objects.filter(action="sandbox.launch", outcome="refused").count() == 1


def test_below_the_floor_cleaning_goes_on(engine, running, nearly_full):
    change(running, expires_at=timezone.now() - timedelta(seconds=1))
    assert cleanup.run_round().counts["expired"] == 1
    assert engine.containers == {}


def test_with_room_again_it_launches_without_a_restart(nearly_full, launch, settings):
    with pytest.raises(actions.Refused):
        launch()
    settings.SANDBOX_DISK_FLOOR = GIB
    assert launch().status == Status.RUNNING


def test_an_engine_that_does_not_say_how_much_is_free_refuses_nothing(nearly_full, launch, engine):
    engine.fail["info"] = Unreachable("away")
    assert launch().status == Status.RUNNING
