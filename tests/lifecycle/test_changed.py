"""What another hand has given other limits or networks is stopped, and does not start as it is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from sandboxes.engine.base import ContainerStatus, Unreachable
from sandboxes.lifecycle import actions, changed, cleanup, watch
from sandboxes.models import Event, Sandbox, Status
from tests import recording
from tests.fakes.processes import wait_until
from tests.lifecycle.helpers import ALICE, container_status, counted

pytestmark = pytest.mark.django_db
WHY = "changed outside Sandboxes: memory, networks"


@pytest.fixture(autouse=True)
def first_turn(monkeypatch):
    monkeypatch.setattr(changed, "_turns", changed.Turns())


def change(engine, sandbox):
    engine.changed[sandbox.native_id] = ["memory", "networks"]


def looks(engine):
    return [name for name, _ in engine.calls].count("changes")


def let_age():
    Sandbox.objects.update(started_at=timezone.now() - timedelta(minutes=5))


@pytest.mark.parametrize("status", [Status.RUNNING, Status.PAUSED])
def test_the_loop_finds_it_and_stops_it_with_the_reason_and_its_files(running, engine, status):
    if status == Status.PAUSED:
        actions.pause(running, by=ALICE, wait=None)
    let_age()
    change(engine, running)
    assert counted(cleanup.run_round()) == {"changed": 1}
    running.refresh_from_db()
    assert (running.status, running.status_reason) == (Status.STOPPED, WHY)
    assert container_status(engine, running) == ContainerStatus.EXITED
    last = Event.objects.filter(action="sandbox.stop").latest("id")
    assert (last.outcome, last.actor_kind, last.reason) == ("ok", "cleanup", WHY)
    assert counted(cleanup.run_round()) == {}


def test_the_engines_own_word_of_it_leads_to_a_look_at_once(running, engine):
    change(engine, running)
    engine.emit("update", running.native_id)
    for _ in range(2):  # each web process hears it
        watch.handle(engine.happened[-1])
    running.refresh_from_db()
    assert (running.status, running.status_reason) == (Status.STOPPED, WHY)
    assert Event.objects.filter(action="engine.update").count() == 1
    assert Event.objects.filter(action="sandbox.stop", outcome="ok").count() == 1


def test_one_whose_limits_are_as_demanded_runs_on(running, engine):
    let_age()
    engine.emit("update", running.native_id)
    watch.handle(engine.happened[-1])
    assert counted(cleanup.run_round()) == {}
    assert (Sandbox.objects.get().status, looks(engine)) == (Status.RUNNING, 2)


def test_a_stopped_one_starts_only_once_it_is_put_back(stopped, engine):
    change(engine, stopped)
    assert not actions.start(stopped, by=ALICE, wait=None).done
    assert stopped.status == Status.FAILED
    assert stopped.status_reason == (
        "Changed outside Sandboxes: memory, networks. Remove it, or ask an admin to put that back."
    )
    assert ("start", stopped.native_id) not in engine.calls[-2:]
    engine.changed.clear()
    assert actions.start(stopped, by=ALICE, wait=None).done
    assert stopped.status == Status.RUNNING


def test_restarting_stops_it_and_does_not_start_it(running, engine):
    change(engine, running)
    assert not actions.restart(running, by=ALICE, wait=None).done
    assert (running.status, container_status(engine, running)) == (Status.FAILED, ContainerStatus.EXITED)
    assert running.status_reason.startswith("Changed outside Sandboxes: memory, networks.")


def test_a_launch_and_what_has_just_started_cost_no_look_and_a_start_costs_one(launch, engine):
    one = launch()
    cleanup.run_round()
    assert looks(engine) == 0
    actions.restart(one, by=ALICE, wait=None)
    assert (one.status, looks(engine)) == (Status.RUNNING, 1)


def test_an_engine_that_does_not_answer_says_nothing(running, engine):
    let_age()
    change(engine, running)
    engine.fail["changes"] = Unreachable("away")
    assert cleanup.run_round().error == "away"
    engine.emit("update", running.native_id)
    watch.handle(engine.happened[-1])
    assert actions.restart(running, by=ALICE, wait=None).level == "error"
    assert not Event.objects.filter(action="sandbox.stop").exists()


@pytest.mark.parametrize("count", [0, 1, 3, 4, 30, 101])
def test_all_have_their_turn_within_twelve_rounds_and_a_few_in_each(count):
    ids = [f"{number:03}" for number in range(count)]
    turns = changed.Turns()
    rounds = [turns.take(ids) for _ in range(changed.ROUNDS)]
    assert {pk for taken in rounds for pk in taken} == set(ids)
    assert max(map(len, rounds)) <= max(changed.FEW, count / changed.ROUNDS + 1)
    assert all(len(set(taken)) == len(taken) for taken in rounds)


@pytest.mark.engine
@pytest.mark.django_db(transaction=True)
def test_limits_that_somebody_changed_on_the_real_engine(running, events, by_hand):
    by_hand("update_container", running, mem_limit="1g", memswap_limit="1g")
    assert wait_until(lambda: Sandbox.objects.get().status == Status.STOPPED, 30)
    running.refresh_from_db()
    assert running.status_reason == "changed outside Sandboxes: memory, swap"
    actions.start(running, by=ALICE, wait=None)
    assert running.status == Status.FAILED
    by_hand("update_container", running, mem_limit=running.memory, memswap_limit=running.memory)
    actions.start(running, by=ALICE, wait=None)
    assert running.status == Status.RUNNING


@pytest.mark.engine
@pytest.mark.django_db(transaction=True)
def test_a_network_that_somebody_gave_it_on_the_real_engine(launch):
    one = launch()
    assert wait_until(lambda: Sandbox.objects.get().status == Status.RUNNING)
    with recording.by_hand() as api:
        api.disconnect_container_from_network(Sandbox.objects.get().native_id, "none")
        api.connect_container_to_network(Sandbox.objects.get().native_id, "bridge")
    let_age()
    assert cleanup.run_round().counts["changed"] == 1
    assert wait_until(lambda: Sandbox.objects.get().status == Status.STOPPED, 30)
    assert Sandbox.objects.get(pk=one.pk).status_reason == "changed outside Sandboxes: networks"


def test_a_strict_one_is_paused_for_it_has_its_files_in_memory(running, engine):
    Sandbox.objects.update(isolation="strict")
    let_age()
    change(engine, running)
    assert counted(cleanup.run_round()) == {"changed": 1}
    running.refresh_from_db()
    assert (running.status, running.status_reason) == (Status.PAUSED, WHY)
    assert counted(cleanup.run_round()) == {}
    assert not actions.resume(running, by=ALICE, wait=None).done
    assert (running.status, container_status(engine, running)) == (Status.PAUSED, ContainerStatus.PAUSED)
    engine.changed.clear()
    assert actions.resume(running, by=ALICE, wait=None).done
    assert running.status == Status.RUNNING
