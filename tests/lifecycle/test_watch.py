"""What Docker did by itself or by another hand: written down once, never mistaken for our own."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection

from sandboxes.engine.base import Unreachable
from sandboxes.lifecycle import actions, cleanup, commands, transitions, watch
from sandboxes.models import Event, Sandbox, Status, guards
from tests.fakes.engine import Script
from tests.fakes.processes import wait_until
from tests.lifecycle.helpers import ALICE, change, older, stray, trail

pytestmark = pytest.mark.django_db


@pytest.fixture
def outside(engine, running, monkeypatch):
    """``outside(act)``: somebody else does it, much later than anything of ours; then its events."""
    monkeypatch.setattr(watch, "_signals", watch._Signals())

    def outside(act):
        settled()
        before = len(engine.happened)
        act(engine)
        for event in engine.happened[before:]:
            watch.handle(event)
        running.refresh_from_db()
        return trail(running)

    return outside


def settled():
    """Let all that is on record be of some time ago."""
    # the trail is append-only for code; time passing is not code
    earlier = [(event.at - timedelta(minutes=1), event.pk) for event in Event.objects.all()]
    guards.uninstall(connection)
    with connection.cursor() as cursor:
        cursor.executemany("UPDATE sandboxes_event SET at = %s WHERE id = %s", earlier)
    guards.install(connection)


def test_a_pause_by_hand(outside, running):
    last = outside(lambda engine: engine.pause(running.native_id))[-1]
    assert (running.status, running.status_reason) == (Status.PAUSED, "paused outside Sandboxes")
    assert last == ("engine.pause", "ok", "paused outside Sandboxes")
    event = Event.objects.order_by("id").last()
    assert (event.actor_kind, event.actor_name) == ("engine", "engine")


def test_a_resume_by_hand(outside, paused):
    last = outside(lambda engine: engine.resume(paused.native_id))[-1]
    assert last == ("engine.resume", "ok", "resumed outside Sandboxes")
    paused.refresh_from_db()
    assert paused.status == Status.RUNNING


def test_a_start_by_hand(outside, stopped):
    last = outside(lambda engine: engine.start(stopped.native_id))[-1]
    assert last == ("engine.start", "ok", "started outside Sandboxes")


def test_the_main_process_ends_by_itself(outside, running):
    last = outside(lambda engine: engine.kill_by_hand(running.native_id, code=3))[-1]
    assert last == ("engine.exit", "ok", "the main process ended with exit code 3")
    assert (running.status, running.exit_code) == (Status.STOPPED, 3)


def test_a_stop_by_hand_is_told_from_an_end_by_itself(outside, running):
    def stop(engine):
        engine.emit("kill", running.native_id, signal="15")
        engine.stop(running.native_id)

    assert outside(stop)[-1] == ("engine.exit", "ok", "stopped outside Sandboxes")
    assert running.exit_code == 143


def test_out_of_memory_is_a_line_of_its_own_and_the_reason(outside, running):
    lines = outside(lambda engine: engine.kill_by_hand(running.native_id, oom=True))
    assert lines[-2:] == [
        ("sandbox.oom", "ok", "out of memory: a process was ended at its 512 MB limit"),
        ("engine.exit", "ok", "out of memory: the main process was ended at its 512 MB limit"),
    ]


def test_a_removal_by_hand(outside, running):
    last = outside(lambda engine: engine.remove_by_hand(running.native_id))[-1]
    assert last == ("engine.remove", "ok", "removed outside Sandboxes")
    assert running.status == Status.REMOVED
    assert running.ended_at is not None


def test_one_that_goes_when_it_ends_goes_at_once(launch, engine):
    sandbox = launch(auto_remove=True)
    settled()
    engine.kill_by_hand(sandbox.native_id, code=3)
    watch.handle(engine.happened[-1])
    sandbox.refresh_from_db()
    assert (sandbox.status, sandbox.exit_code) == (Status.REMOVED, 3)
    assert sandbox.status_reason == "the main process ended with exit code 3"
    assert not engine.containers


def test_a_quick_pause_and_resume_are_both_on_record(outside, running):
    def blink(engine):
        engine.pause(running.native_id)
        engine.resume(running.native_id)

    assert [line[0] for line in outside(blink)[-2:]] == ["engine.pause", "engine.resume"]
    assert running.status == Status.RUNNING


@pytest.mark.parametrize(
    ("word", "action"),
    [
        ("rename", "engine.rename"),
        ("update", "engine.update"),
        ("archive-path", "engine.copy"),
        ("extract-to-dir", "engine.copy"),
    ],
)
def test_other_acts_are_on_record_and_change_nothing(outside, running, word, action):
    assert outside(lambda engine: engine.emit(word, running.native_id))[-1][0] == action
    assert running.status == Status.RUNNING


def test_a_signal_that_ends_nothing_is_on_record(outside, running):
    last = outside(lambda engine: engine.emit("kill", running.native_id, signal="10"))[-1]
    assert last == ("engine.signal", "ok", "signal 10 was sent to it outside Sandboxes")


def test_an_exec_by_hand_is_on_record_by_its_program_only(outside, running):
    outside(lambda engine: engine.exec_by_hand(running.native_id, "psql", "postgres://u:canary@db"))
    (event,) = Event.objects.filter(action="engine.exec")
    assert event.detail == {"program": "psql"}
    assert "canary" not in str(event.__dict__)


def test_our_own_execs_are_not(running, engine):
    commands.run(running, "echo a", origin=ALICE)
    engine.kill_marked(running.native_id, "m_x")
    for event in engine.happened:
        watch.handle(event)
    assert not Event.objects.filter(actor_kind="engine").exists()


@pytest.mark.parametrize("action", ["pause", "stop", "restart", "remove"])
def test_our_own_acts_are_not_another_s_though_their_events_come_late(running, engine, action):
    actions.act(running, action, ALICE, wait=None)
    before = trail()
    for event in engine.happened:
        watch.handle(event)
    assert trail() == before


def test_pause_and_resume_of_ours_in_a_row_leave_it_running(running, engine):
    actions.pause(running, by=ALICE, wait=None)
    actions.resume(running, by=ALICE, wait=None)
    for event in engine.happened:
        watch.handle(event)
    running.refresh_from_db()
    assert running.status == Status.RUNNING
    assert not Event.objects.filter(actor_kind="engine").exists()


def test_while_an_action_of_ours_is_under_way_its_events_are_ours(running, engine):
    mine = transitions.claim(running, "pause", ALICE)
    engine.pause(running.native_id)
    watch.handle(engine.happened[-1])
    running.refresh_from_db()
    assert (running.status, running.pending) == (Status.RUNNING, "pause")
    transitions.settle(mine, Status.PAUSED)


def test_an_event_seen_again_is_on_record_once(outside, running, engine):
    lines = outside(lambda engine: engine.kill_by_hand(running.native_id, code=3))
    watch.handle(engine.happened[-1])
    assert trail(running) == lines


@pytest.mark.django_db(transaction=True)
def test_an_event_seen_by_four_processes_at_once_is_on_record_once(pool, running, engine):
    settled()
    engine.kill_by_hand(running.native_id, code=3)
    event = engine.happened[-1]
    barrier = threading.Barrier(4)

    def one(_):
        barrier.wait(5)
        try:
            watch.handle(event)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(one, range(4)))
    assert [line[0] for line in trail(running)].count("engine.exit") == 1


def test_what_the_loop_saw_first_is_not_on_record_twice(running, engine):
    settled()
    engine.kill_by_hand(running.native_id, code=3)
    cleanup.run_round()
    watch.handle(engine.happened[-1])
    assert [line[0] for line in trail(running)].count("engine.exit") == 1


def test_events_of_a_former_container_change_nothing(outside, running, engine):
    event = engine.emit("die", running.native_id, exitCode="1")
    change(running, native_id="e" * 64)
    before = trail()
    watch.handle(event)
    assert trail() == before


def test_events_of_strangers_change_nothing(engine, db):
    engine.start(stray(engine))
    for event in engine.happened:
        watch.handle(event)
    assert trail() == []


def test_an_engine_that_is_away_leaves_it_to_the_loop(running, engine):
    settled()
    engine.kill_by_hand(running.native_id, code=3)
    engine.away = Unreachable("away")
    watch.handle(engine.happened[-1])
    running.refresh_from_db()
    assert running.status == Status.RUNNING
    engine.away = None
    cleanup.run_round()
    running.refresh_from_db()
    assert running.status == Status.STOPPED


def test_a_row_that_changes_while_it_is_looked_at_is_read_again(running, engine, monkeypatch):
    settled()
    engine.kill_by_hand(running.native_id, code=3)
    real, times = engine.inspect, []

    def inspect(native_id):
        if not times:
            times.append(1)
            actions.extend(Sandbox.objects.get(pk=running.pk), by=ALICE)
        return real(native_id)

    monkeypatch.setattr(engine, "inspect", inspect)
    watch.handle(engine.happened[-1])
    running.refresh_from_db()
    assert running.status == Status.STOPPED


@pytest.mark.django_db(transaction=True)
def test_an_end_by_itself_during_an_action_of_ours_is_noticed_after_it(pool, running, engine, monkeypatch):
    monkeypatch.setattr(watch, "AGAIN", 0.1)
    settled()
    mine = transitions.claim(running, "pause", ALICE)
    engine.kill_by_hand(running.native_id, code=3)
    watch.handle(engine.happened[-1])
    transitions.settle(mine, Status.RUNNING)
    assert wait_until(lambda: Sandbox.objects.get(pk=running.pk).status == Status.STOPPED)


def test_many_ends_for_memory_in_a_row_are_one_line(running, engine):
    for _ in range(20):
        watch.handle(engine.emit("oom", running.native_id))
    assert 1 <= Event.objects.filter(action="sandbox.oom").count() <= 2


def test_a_command_killed_for_memory_learns_of_it(running, engine):
    engine.scripts[("sh",)] = Script(code=137)
    command = commands.run(running, "x", origin=ALICE)
    watch.handle(engine.emit("oom", running.native_id))
    command.refresh_from_db()
    assert command.reason == "out of memory: it was ended at its 512 MB limit"


def test_a_lost_one_is_removed_by_the_event_long_before_the_grace(outside, running, engine):
    older(running, seconds=1)
    outside(lambda engine: engine.remove_by_hand(running.native_id))
    assert running.status == Status.REMOVED
