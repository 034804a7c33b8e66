"""A crash between any two steps, or an engine that was away: one round later nothing is wrong."""

import pytest

from sandboxes.engine.base import Unreachable
from sandboxes.lifecycle import actions, audit, cleanup, transitions
from sandboxes.models import Event, Sandbox, Status
from tests.lifecycle.helpers import (
    ALICE,
    Crash,
    came_to,
    change,
    counted,
    crash,
    die,
    is_quiet,
    older,
    overdue,
    put,
)

pytestmark = pytest.mark.django_db

# -- crashes ------------------------------------------------------------------------------------

ACTIONS = {
    "launch": (Status.QUEUED, ["create", "start"]),
    "start": (Status.STOPPED, ["start"]),
    "pause": (Status.RUNNING, ["pause"]),
    "resume": (Status.PAUSED, ["resume"]),
    "stop": (Status.RUNNING, ["stop"]),
    "restart": (Status.RUNNING, ["stop", "start"]),
    "remove": (Status.RUNNING, ["remove"]),
}
POINTS = [
    (action, status, method, before)
    for action, (status, methods) in ACTIONS.items()
    for method in methods
    for before in (True, False)
]


@pytest.mark.parametrize(("action", "status", "method", "before"), POINTS)
def test_a_crash_beside_any_engine_call_is_put_right_in_one_round(
    running, engine, action, status, method, before
):
    put(running, engine, status)
    repair = crash(engine, method, before)
    with pytest.raises(Crash):
        actions.act(running, action, ALICE)
    repair()
    die(running)
    assert counted(cleanup.run_round())["redone"] == 1
    came_to(running, engine, transitions.TABLE[action].target)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("point", ["settle", "still_ours"])
def test_a_crash_beside_any_write_is_put_right_in_one_round(running, engine, monkeypatch, action, point):
    put(running, engine, ACTIONS[action][0])
    with monkeypatch.context() as patch:
        patch.setattr(transitions, point, lambda *_, **__: (_ for _ in ()).throw(Crash(point)))
        try:
            actions.act(running, action, ALICE)
        except Crash:
            die(running)
    cleanup.run_round()
    came_to(running, engine, transitions.TABLE[action].target)


@pytest.mark.parametrize("action", ACTIONS)
def test_a_crash_right_after_the_claim_is_put_right_in_one_round(running, engine, action):
    put(running, engine, ACTIONS[action][0])
    transitions.claim(running, action, ALICE)
    die(running)
    assert counted(cleanup.run_round())["redone"] == 1
    came_to(running, engine, transitions.TABLE[action].target)


@pytest.mark.parametrize("method", ["create", "start"])
def test_a_crash_during_the_very_first_launch(launch, engine, method):
    repair = crash(engine, method)
    with pytest.raises(Crash):
        launch(name="web")
    repair()
    sandbox = Sandbox.objects.get()
    die(sandbox)
    cleanup.run_round()
    came_to(sandbox, engine, Status.RUNNING)
    assert [row.actor_name for row in Event.objects.filter(sandbox_id=sandbox.pk)] == ["alice", "alice"]


def test_a_restart_that_had_started_it_again_is_not_stopped_twice(running, engine):
    transitions.claim(running, "restart", ALICE)
    die(running)
    engine.calls.clear()
    cleanup.run_round()
    assert "stop" not in [name for name, _ in engine.calls]


def test_the_claim_of_a_living_process_is_left_alone_until_it_is_silent_too_long(running, engine, settings):
    transitions.claim(running, "pause", ALICE)
    assert is_quiet()
    older(Sandbox.objects.get(pk=running.pk), seconds=settings.SANDBOX_CLAIM_LIMIT + 1)
    assert counted(cleanup.run_round()) == {"redone": 1}


def test_who_did_it_and_why_outlives_the_crash(running, engine):
    actions_by = audit.Origin("user", user_id=7, name="prof", address="192.0.2.9")
    transitions.claim(running, "remove", actions_by, reason="class is over")
    die(running)
    cleanup.run_round()
    running.refresh_from_db()
    assert running.status_reason == "class is over"
    last = Event.objects.order_by("id").last()
    assert (last.actor_name, last.actor_id, last.address) == ("prof", 7, "192.0.2.9")


# -- the engine away ----------------------------------------------------------------------------


def test_while_the_engine_is_away_nothing_is_concluded(running, engine):
    overdue(running)
    die(change(running, pending="pause", claim="x"))
    engine.away = Unreachable("The engine cannot be reached.")
    report = cleanup.run_round()
    assert report.error == "The engine cannot be reached."
    running.refresh_from_db()
    assert (running.status, running.pending) == (Status.RUNNING, "pause")


def test_what_waited_for_the_engine_is_launched_when_it_is_back(launch, engine):
    engine.away = Unreachable("away")
    sandbox = launch()
    engine.away = None
    assert counted(cleanup.run_round()) == {"launched": 1}
    came_to(sandbox, engine, Status.RUNNING)


def test_a_create_that_timed_out_and_happened_makes_no_twin(launch, engine):
    real = engine.create

    def create(spec):
        real(spec)
        raise Unreachable("slow")

    engine.create = create
    sandbox = launch()
    engine.create = real
    assert sandbox.status == Status.QUEUED
    cleanup.run_round()
    came_to(sandbox, engine, Status.RUNNING)
    assert len(engine.containers) == 1


def test_the_container_of_one_removed_while_the_engine_was_away_goes(launch, engine):
    engine.fail["start"] = Unreachable("away")
    sandbox = launch()
    engine.away = Unreachable("away")
    actions.remove(sandbox, by=ALICE, wait=None)
    assert sandbox.status == Status.REMOVED
    engine.away = None
    assert counted(cleanup.run_round()) == {"orphans": 1}
    assert not engine.containers
