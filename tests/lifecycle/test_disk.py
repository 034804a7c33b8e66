"""What sandboxes write: noted, warned of, stopped; and a host's disk that is nearly full."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from sandboxes.engine.base import Unreachable
from sandboxes.lifecycle import actions, audit, cleanup, disk, host, transitions
from sandboxes.models import Event, Sandbox, Status
from tests.fakes.engine import FakeEngine
from tests.lifecycle.helpers import ALICE, change, put, trail

GIB = 1 << 30


@pytest.fixture(autouse=True)
def every_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanup, "MEASURE_EVERY", 0)
    monkeypatch.setattr(cleanup, "_measuring", cleanup.Every(0))
    monkeypatch.setattr(host, "KEPT", 0)
    monkeypatch.setattr(disk, "_uncounted", {})


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


def fill_and_start(engine: FakeEngine, sandbox: Sandbox, percent: int = 120) -> None:
    assert writes(engine, sandbox, percent).status == Status.STOPPED
    assert actions.start(sandbox, by=ALICE, wait=None).done


def test_started_again_it_may_delete_files_but_not_write_more(engine, running):
    fill_and_start(engine, running)
    assert writes(engine, running, 120).status == Status.RUNNING
    assert writes(engine, running, 110).status == Status.RUNNING
    assert writes(engine, running, 114).status == Status.RUNNING  # a shell's history
    assert writes(engine, running, 116).status == Status.STOPPED


def test_little_by_little_is_growing_too(engine, running):
    fill_and_start(engine, running)
    for percent in (124, 124):
        assert writes(engine, running, percent).status == Status.RUNNING
        actions.stop(running, by=ALICE, wait=None)
        actions.start(running, by=ALICE, wait=None)
    assert writes(engine, running, 126).status_reason.startswith("it was full and wrote more: ")


def test_started_again_it_has_two_minutes(engine, running):
    fill_and_start(engine, running)
    change(running, started_at=timezone.now() - timedelta(seconds=121))
    assert writes(engine, running, 120).status == Status.STOPPED
    assert running.status_reason == "it is still full: 2.4 GB, and may write 2 GB"
    assert actions.start(running, by=ALICE, wait=None).done


def test_whose_full_one_grew_does_not_start_it_again_but_others_do(engine, running, alice, prof):
    mine, theirs = audit.Origin.of(alice), audit.Origin.of(prof)
    fill_and_start(engine, running)
    assert writes(engine, running, 400).status == Status.STOPPED
    result = actions.start(running, by=mine, wait=None)
    assert not result.done
    assert result.message.startswith("quiet-otter was full, and wrote more when it was started to delete")
    assert trail(running)[-1] == ("sandbox.start", "refused", result.message)
    assert actions.start(running, by=theirs, wait=None).done
    assert writes(engine, running, 50).status == Status.RUNNING
    actions.stop(running, by=mine, wait=None)
    assert actions.start(running, by=mine, wait=None).done


def test_what_it_wrote_until_it_was_stopped_is_not_held_against_it(engine, running, monkeypatch):
    """Between the look and the stop a fast disk takes some more."""
    real = engine.stop

    def stop(native_id: str, grace: int = 2) -> None:
        engine.containers[native_id].written += GIB
        real(native_id, grace)

    monkeypatch.setattr(engine, "stop", stop)
    assert writes(engine, running, 150).disk_percent == 200
    actions.start(running, by=ALICE, wait=None)
    assert cleanup.run_round().error == ""
    running.refresh_from_db()
    assert running.status == Status.RUNNING


@pytest.mark.parametrize("action", ["restart", "resume"])
def test_a_full_one_is_only_started(engine, running, action):
    fill_and_start(engine, running)
    if action == "resume":
        actions.pause(running, by=ALICE, wait=None)
    result = actions.act(running, action, ALICE, wait=None)
    assert not result.done
    full = "quiet-otter is full: 2.4 GB written, and it may write 2 GB."
    assert result.message == f"{full} Stop it and start it: then it has two minutes to delete files."
    assert trail(running)[-1] == (f"sandbox.{action}", "refused", result.message)


def test_one_that_is_busy_is_stopped_as_soon_as_it_settles(engine, running, monkeypatch):
    """Restart pressed again and again keeps something under way nearly all of the time."""
    mine = transitions.claim(running, "restart", ALICE)
    naps = []

    def nap(_: float) -> None:
        naps.append(actions.restart(running, by=ALICE, wait=None).message)
        transitions.settle(mine, Status.RUNNING)

    monkeypatch.setattr(disk, "sleep", nap)
    assert writes(engine, running, 120).status == Status.STOPPED
    assert naps[0].startswith("quiet-otter is full: 2.4 GB written")


def test_one_that_is_just_being_started_is_looked_at_too(engine, running, monkeypatch):
    """Stop and start pressed again and again: its container may write before its row says that it runs."""
    actions.stop(running, by=ALICE, wait=None)
    mine = transitions.claim(running, "start", ALICE)
    engine.start(running.native_id)
    monkeypatch.setattr(disk, "sleep", lambda _: transitions.settle(mine, Status.RUNNING))
    assert writes(engine, running, 120).status == Status.STOPPED
    assert running.status_reason.startswith("it has written 2.4 GB")


def test_one_that_stays_busy_is_stopped_at_a_later_look(engine, running, monkeypatch):
    monkeypatch.setattr(disk, "SETTLING", 0)
    mine = transitions.claim(running, "pause", ALICE)
    assert writes(engine, running, 120).status == Status.RUNNING
    assert running.disk_percent == 120
    transitions.settle(mine, Status.RUNNING)
    change(running, started_at=timezone.now() - timedelta(minutes=5))
    assert writes(engine, running, 120).status == Status.STOPPED


def test_a_launch_anew_has_written_nothing(engine, running):
    fill_and_start(engine, running)
    change(running, status=Status.FAILED, native_id="")
    engine.containers.clear()
    actions.start(running, by=ALICE, wait=None)
    assert running.disk_used is None


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


def test_who_has_too_many_files_hides_nobody_and_is_full_the_second_time(engine, launch):
    """The engine counts file by file, and all in one call."""
    many, other, calm = (launch(name=name) for name in ("many", "other", "calm"))
    engine.many_files = {many.native_id}
    engine.containers[other.native_id].written = 3 * GIB
    assert disk.watch() == 1
    other.refresh_from_db()
    assert other.status_reason.startswith("it has written 3 GB")
    assert disk.watch() == 1
    many.refresh_from_db()
    calm.refresh_from_db()
    assert (many.status, calm.status) == (Status.STOPPED, Status.RUNNING)
    assert many.status_reason == disk.UNCOUNTED
    assert (disk.watch(), disk._uncounted) == (0, {}), "the rest is counted"
    engine.many_files.clear()
    engine.calls.clear()
    assert disk.watch() == 0
    assert [name for name, _ in engine.calls if "disk_use" in name] == ["disk_use"], "all together again"


def test_a_slow_engine_is_nobodys_fault(engine, running):
    engine.many_files = {running.native_id}
    assert disk.watch() == 0
    engine.fail["disk_use_of"] = Unreachable("slow")
    for _ in range(3):
        with pytest.raises(Unreachable):
            disk.watch()
    running.refresh_from_db()
    assert running.status == Status.RUNNING


def test_once_is_not_enough(engine, running):
    engine.many_files = {running.native_id}
    assert disk.watch() == 0
    engine.many_files.clear()
    assert (disk.watch(), disk.watch()) == (0, 0)
    running.refresh_from_db()
    assert running.status == Status.RUNNING


# -- the host -----------------------------------------------------------------------------------


@pytest.fixture
def nearly_full(settings) -> None:
    settings.SANDBOX_DISK_FLOOR = 200 * GIB  # the fake engine has 100 free


def test_below_the_floor_nothing_is_launched_and_the_figures_are_told(nearly_full, launch):
    with pytest.raises(actions.Refused, match="100 GB free, and 200 GB must stay free"):
        launch()
    assert not Sandbox.objects.exists()
    assert Event.objects.filter(action="sandbox.launch", outcome="refused").count() == 1


@pytest.mark.parametrize(
    ("status", "action"),
    [
        (Status.STOPPED, "start"),
        (Status.RUNNING, "restart"),
        (Status.PAUSED, "resume"),
        (Status.FAILED, "start"),
    ],
)
def test_below_the_floor_nobody_is_set_to_write(engine, running, nearly_full, status, action):
    put(running, engine, status)
    result = actions.act(running, action, ALICE, wait=None)
    assert "100 GB free, and 200 GB must stay free" in result.message
    assert trail(running)[-1] == (f"sandbox.{action}", "refused", result.message)
    running.refresh_from_db()
    assert running.status == status


def test_below_the_floor_work_may_still_be_saved(stopped, nearly_full):
    assert actions.start(stopped, by=audit.PROVISION, wait=None).done


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
