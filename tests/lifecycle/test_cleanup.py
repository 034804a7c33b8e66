"""One round puts right what a crash, an absence or another hand left; a second one finds nothing to do."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from sandboxes.engine.base import EngineError
from sandboxes.lifecycle import actions, cleanup, clock, commands, disk, execution, process
from sandboxes.models import Command, CommandStatus, Event, Image, Lease, Sandbox, Status
from tests.fakes.apart import apart
from tests.fakes.engine import STARTER, Script
from tests.fakes.processes import wait_until
from tests.lifecycle.helpers import (
    ALICE,
    change,
    counted,
    is_quiet,
    moments_ago,
    older,
    overdue,
    put,
    stray,
    trail,
)

pytestmark = pytest.mark.django_db


def test_a_round_tells_what_the_engine_says_of_itself(running, engine, monkeypatch):
    monkeypatch.setattr(cleanup, "_looking", cleanup.Every(60))
    monkeypatch.setattr(disk, "watch", lambda: 0)  # it looks at the host's disk by itself
    engine.calls.clear()
    for _ in range(2):  # between two looks it stays
        assert cleanup.run_round().as_json()["engine"] == {"version": "1.0", "free_disk": 100 << 30}
    assert [name for name, _ in engine.calls].count("info") == 1


def test_sessions_that_are_over_are_let_go(running, monkeypatch):
    monkeypatch.setattr(cleanup, "_pruning", cleanup.Every(60))
    now = timezone.now()
    for name, end in (("over", now - timedelta(seconds=1)), ("good", now + timedelta(days=1))):
        Session.objects.create(session_key=name, session_data="", expire_date=end)
    cleanup.run_round()
    assert list(Session.objects.values_list("session_key", flat=True)) == ["good"]


# -- expiry -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [status for status in Status if status != Status.REMOVED])
def test_what_is_over_is_removed_whatever_it_does(running, engine, status):
    overdue(put(running, engine, status))
    assert counted(cleanup.run_round()) == {"expired": 1}
    running.refresh_from_db()
    assert (running.status, running.status_reason) == (Status.REMOVED, "expired")
    assert not engine.containers
    assert trail(running)[-1] == ("sandbox.remove", "ok", "expired")
    assert is_quiet()


def test_what_is_not_over_stays(running, engine):
    assert is_quiet()
    assert running.status == Status.RUNNING


def test_expiry_takes_a_sandbox_from_an_action_under_way(running, engine):
    overdue(change(running, pending="pause", claim="theirs", claimed_by=process.process_id(),
                   pending_since=timezone.now()))  # fmt: skip
    assert counted(cleanup.run_round()) == {"expired": 1}


def test_a_removal_under_way_is_left_alone(running, engine):
    overdue(change(running, pending="remove", claim="theirs", claimed_by=process.process_id(),
                   pending_since=timezone.now()))  # fmt: skip
    assert is_quiet()


def test_who_expired_is_asked_again_only_after_a_while_when_it_fails(running, engine):
    overdue(running)
    engine.fail["remove"] = EngineError("No.")
    assert counted(cleanup.run_round()) == {"failed": 1}
    assert is_quiet()


def test_nothing_expires_in_the_round_after_the_clock_jumped(running, engine):
    overdue(running)
    assert counted(cleanup.run_round(expire=False)) == {}


def test_a_jump_of_the_clock_is_noticed_once(monkeypatch, db):
    made = clock.Clock()
    assert made.is_steady()
    real = clock.Clock._now()
    monkeypatch.setattr(clock.Clock, "_now", staticmethod(lambda: real + 3600))
    assert not made.is_steady()
    assert made.is_steady()
    assert trail()[-1][0] == "cleanup.clock"


# -- both ways ----------------------------------------------------------------------------------


def test_a_container_without_a_row_is_removed_after_the_grace(engine, db):
    stray(engine, seconds=10)
    assert is_quiet()
    assert len(engine.containers) == 1
    stray(engine, "sb_other", seconds=61)
    assert counted(cleanup.run_round()) == {"orphans": 1}
    assert trail()[-1] == ("cleanup.orphan", "ok", "a container without a sandbox")


def test_a_container_of_a_removed_row_is_removed_at_once(running, engine):
    actions.remove(running, by=ALICE, wait=None)
    stray(engine, running.pk)
    assert counted(cleanup.run_round()) == {"orphans": 1}


def test_a_second_container_of_a_live_row_is_removed_after_the_grace(running, engine):
    engine.containers["f" * 64] = engine.containers[running.native_id]
    state = replace(engine.containers[running.native_id].state, native_id="f" * 64)
    twin = replace(engine.containers[running.native_id], state=state)
    engine.containers["f" * 64] = twin
    assert is_quiet()
    twin.state = replace(state, created_at=moments_ago(minutes=5))
    assert counted(cleanup.run_round()) == {"orphans": 1}
    running.refresh_from_db()
    assert running.status == Status.RUNNING


@pytest.mark.parametrize("status", [Status.RUNNING, Status.PAUSED, Status.STOPPED])
def test_a_row_without_its_container_is_lost_after_the_grace(running, engine, status):
    put(running, engine, status)
    del engine.containers[running.native_id]
    assert is_quiet()
    older(running, minutes=2)
    assert counted(cleanup.run_round()) == {"lost": 1}
    running.refresh_from_db()
    assert (running.status, running.status_reason) == (Status.REMOVED, "lost: its container is gone")
    assert trail(running)[-1] == ("engine.remove", "ok", "lost: its container is gone")


def test_a_list_that_leaves_one_out_loses_nothing(running, engine):
    older(running, minutes=2)
    engine.list = list
    assert is_quiet()
    running.refresh_from_db()
    assert running.status == Status.RUNNING


HANDS = {
    "paused": (lambda engine, one: engine.pause(one.native_id), Status.PAUSED, "paused outside Sandboxes"),
    "killed": (
        lambda engine, one: engine.kill_by_hand(one.native_id),
        Status.STOPPED,
        "the main process was ended by a signal (exit code 137)",
    ),
    "ended": (
        lambda engine, one: engine.kill_by_hand(one.native_id, code=3),
        Status.STOPPED,
        "the main process ended with exit code 3",
    ),
    "out of memory": (
        lambda engine, one: engine.kill_by_hand(one.native_id, oom=True),
        Status.STOPPED,
        "out of memory: the main process was ended at its 512 MB limit",
    ),
}


@pytest.mark.parametrize("hand", HANDS)
def test_what_another_hand_did_is_accepted(running, engine, hand):
    act, status, reason = HANDS[hand]
    act(engine, running)
    assert counted(cleanup.run_round()) == {"accepted": 1}
    running.refresh_from_db()
    assert (running.status, running.status_reason) == (status, reason)
    assert Event.objects.order_by("id").last().actor_kind == "engine"
    assert is_quiet()


def test_a_stopped_one_that_somebody_started_runs(stopped, engine):
    engine.start(stopped.native_id)
    assert counted(cleanup.run_round()) == {"accepted": 1}
    stopped.refresh_from_db()
    assert (stopped.status, stopped.exit_code, stopped.ended_at) == (Status.RUNNING, None, None)


def test_a_failed_one_stays_failed(stopped, engine):
    change(stopped, status=Status.FAILED)
    assert is_quiet()


def test_a_row_that_changed_since_the_list_is_not_judged_by_it(running, engine):
    states = engine.list()
    at = timezone.now()
    actions.pause(running, by=ALICE, wait=None)
    assert cleanup.reconcile(states, at) == {}
    running.refresh_from_db()
    assert running.status == Status.PAUSED


def test_one_that_goes_when_it_ends_goes_with_its_reason_and_code(launch, engine):
    sandbox = launch(auto_remove=True)
    engine.kill_by_hand(sandbox.native_id, code=3)
    assert counted(cleanup.run_round()) == {"accepted": 1, "ended": 1}
    sandbox.refresh_from_db()
    assert sandbox.status == Status.REMOVED
    assert (sandbox.status_reason, sandbox.exit_code) == ("the main process ended with exit code 3", 3)
    assert not engine.containers


def test_a_round_asks_for_the_list_once(running, engine, monkeypatch):
    monkeypatch.setattr(disk, "watch", lambda: 0)  # now and then it asks too
    engine.calls.clear()
    cleanup.run_round()
    assert [name for name, _ in engine.calls] == ["list", "images", "info"]


# -- commands, images, old things ---------------------------------------------------------------


def test_the_command_of_a_dead_process_is_ended_and_says_why(running, engine, alice):
    command = Command.objects.create(sandbox=running, argv=["sh"], time_limit=60, process="a-dead-process")
    engine.scripts[("sh",)] = Script(hold=None)
    engine.exec(running.native_id, ["sh"], marker=command.marker)
    assert counted(cleanup.run_round()) == {"commands": 1}
    command.refresh_from_db()
    assert command.status == CommandStatus.FAILED
    assert not engine.processes(running.native_id)
    assert is_quiet()


@pytest.mark.django_db(transaction=True)
def test_it_waits_for_no_removal_however_many_are_under_way(pool, launch, engine, settings):
    """After an engine that was away people may run no more of them until these are over."""
    settings.SANDBOX_WORKERS = 3
    engine.gate["remove"] = threading.Event()
    for number in range(5):
        overdue(up(launch, f"over-{number}"))
    left = Command.objects.create(sandbox=up(launch, "mine"), argv=["sh"], time_limit=60, process="")
    round_ = apart(cleanup.run_round)
    assert wait_until(lambda: Command.objects.get(pk=left.pk).status == CommandStatus.FAILED)
    assert wait_until(lambda: Sandbox.objects.filter(pending="remove").count() == 5)
    engine.gate["remove"].set()
    round_.join(20)
    assert not round_.is_alive()


def up(launch, name):
    """One that runs."""
    pk = launch(name=name).pk
    assert wait_until(lambda: Sandbox.objects.get(pk=pk).status == Status.RUNNING)
    return Sandbox.objects.get(pk=pk)


@pytest.mark.django_db(transaction=True)
def test_one_sandbox_that_is_slow_holds_up_neither_the_others_nor_the_loop(pool, launch, engine, monkeypatch):
    slow, quick = up(launch, "slow"), up(launch, "quick")
    held, tried, end_all = threading.Event(), [], execution.end_processes

    def slowly(native_id, marker):
        tried.append(native_id)
        return held.wait(20) if native_id == slow.native_id else end_all(native_id, marker)

    monkeypatch.setattr(execution, "end_processes", slowly)
    for sandbox in [slow] * 9 + [quick]:
        Command.objects.create(sandbox=sandbox, argv=["sh"], time_limit=60, process="")
    for _ in range(2):  # what is in hand is not begun again
        cleanup.run_round(patience=0.5)
    assert quick.commands.get().status == CommandStatus.FAILED
    assert tried.count(slow.native_id) == 1
    held.set()
    assert wait_until(lambda: set(slow.commands.values_list("status", flat=True)) == {"failed"})


def test_what_ended_with_its_sandbox_says_so(running, engine):
    """The round has not yet seen that the sandbox is gone."""
    command = Command.objects.create(sandbox=running, argv=["sh"], time_limit=60, process="a-dead-process")
    engine.remove(running.native_id)
    cleanup.run_round()
    command.refresh_from_db()
    assert command.reason.startswith("ended with its sandbox: ")


def test_in_a_paused_sandbox_it_waits(paused, engine):
    Command.objects.create(sandbox=paused, argv=["sh"], time_limit=60, process="a-dead-process")
    assert is_quiet()
    actions.resume(paused, by=ALICE, wait=None)
    assert counted(cleanup.run_round()) == {"commands": 1}


def test_in_one_that_was_to_be_resumed_it_is_ended_in_the_round_that_resumes_it(paused, engine):
    """Who resumed it and who ran the command died together."""
    command = Command.objects.create(sandbox=paused, argv=["sh"], time_limit=60, process="a-dead-process")
    change(paused, pending="resume", claim="theirs", claimed_by="a-dead-process", pending_since=moments_ago())
    assert counted(cleanup.run_round()) == {"redone": 1, "commands": 1}
    command.refresh_from_db()
    assert command.status == CommandStatus.FAILED


def test_the_command_of_a_living_process_is_left_alone(running, engine):
    process.hold()
    Command.objects.create(sandbox=running, argv=["sh"], time_limit=60, process=process.process_id())
    assert is_quiet()


def test_old_output_and_old_leases_go(running, engine, settings):
    settings.SANDBOX_KEEP_DAYS = 1
    command = commands.run(running, "echo a", origin=ALICE)
    actions.remove(running, by=ALICE, wait=None)
    Command.objects.filter(pk=command.pk).update(ended_at=moments_ago(days=2))
    Lease.objects.create(name="process:old", owner="old", until=moments_ago(days=2))
    assert counted(cleanup.run_round()) == {"pruned": 1}
    assert not Lease.objects.filter(name="process:old").exists()


def test_presence_of_images_is_looked_up(engine, db):
    Image.objects.create(reference=STARTER, title="Starter")
    cleanup.run_round()
    assert Image.objects.get().is_here


def test_a_fault_in_one_step_leaves_the_others(running, engine, monkeypatch):
    overdue(running)
    monkeypatch.setattr(commands, "reap", lambda alive: 1 / 0)
    report = cleanup.run_round()
    assert report.error == "A step failed: ZeroDivisionError. The log says more."
    assert report.counts["expired"] == 1
