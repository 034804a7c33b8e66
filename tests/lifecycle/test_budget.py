"""The install's memory budget and the further quotas of a user: figures, what would free them, and races."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.utils import timezone

from sandboxes.engine.base import Unreachable
from sandboxes.lifecycle import actions, audit, budget, cleanup, host, invariants, terminals
from sandboxes.models import Event, Image, Sandbox, Status, Terminal, User
from tests.lifecycle.helpers import ALICE, change, put
from tests.lifecycle.test_claims import at_once

pytestmark = pytest.mark.django_db(transaction=True)
MIB = 1 << 20


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch):
    monkeypatch.setattr(host, "KEPT", 0)
    monkeypatch.setattr(budget, "_total", budget._Total())


def test_it_is_a_share_of_the_host_s_memory(engine, settings):
    settings.SANDBOX_MEMORY_SHARE = 50
    assert budget.limit() == 4 << 30  # the fake engine has 8
    settings.SANDBOX_MEMORY_BUDGET = 3 << 30
    assert budget.limit() == 3 << 30


def test_without_a_share_there_is_none(engine):
    assert budget.limit() is None


def test_the_host_s_memory_is_known_once_it_was_told(engine, settings):
    settings.SANDBOX_MEMORY_SHARE = 50
    engine.away = Unreachable("away")
    assert budget.limit() is None
    engine.away = None
    budget.limit()
    engine.away = Unreachable("away")
    assert budget.limit() == 4 << 30


def another_process(engine, monkeypatch) -> None:
    """It knows what is in the database, and the engine is slow or away."""
    monkeypatch.setattr(budget, "_total", budget._Total())
    engine.fail["info"] = Unreachable("slow")


def test_what_the_engine_said_last_is_known_to_a_process_that_cannot_ask(
    launch, engine, settings, monkeypatch
):
    settings.SANDBOX_MEMORY_SHARE = 50
    launch(memory="512m")
    another_process(engine, monkeypatch)
    assert budget.limit() == 4 << 30
    settings.SANDBOX_MEMORY_SHARE = 10
    with pytest.raises(actions.Refused, match="307 MB of 819 MB"):
        launch(memory="512m")


def test_the_loop_keeps_what_the_engine_says(engine, settings, monkeypatch):
    settings.SANDBOX_MEMORY_SHARE = 50
    assert cleanup.run_round().error == ""
    another_process(engine, monkeypatch)
    assert budget.limit() == 4 << 30


def test_while_nothing_is_known_a_launch_waits_and_is_made_when_there_is_room(launch, engine, settings):
    settings.SANDBOX_MEMORY_SHARE = 50
    engine.fail["info"] = Unreachable("slow")
    first, _, third = (launch(name=name, memory="1500m") for name in ("first", "second", "third"))
    assert cleanup.run_round().counts["launched"] == 0
    assert {row.status_reason for row in Sandbox.objects.all()} == {"waiting for the engine"}
    assert engine.containers == {}
    del engine.fail["info"]
    assert cleanup.run_round().counts["launched"] == 2
    states = {row.name: (row.status, row.status_reason) for row in Sandbox.objects.all()}
    assert states["first"] == states["second"] == (Status.RUNNING, "")
    assert states["third"] == (Status.QUEUED, "waiting for 1.5 GB of memory")
    assert cleanup.run_round().counts["launched"] == 0
    waits = Event.objects.filter(sandbox_id=third.pk, reason="waiting for 1.5 GB of memory")
    assert [event.outcome for event in waits] == ["refused"], "on record once"
    change(third, changed_at=timezone.now() - timedelta(seconds=5))
    assert [one for one in invariants.look() if one.promise == "within the budget"] == []
    actions.remove(first, by=ALICE, wait=None)
    assert cleanup.run_round().counts["launched"] == 1
    assert budget.promised() == 3000 * MIB


def test_while_the_engine_is_away_launches_are_taken_and_wait(launch, engine, settings):
    settings.SANDBOX_MEMORY_SHARE = 50
    engine.away = Unreachable("away")
    sandbox = launch(memory="512m")
    assert (sandbox.status, sandbox.pending) == (Status.QUEUED, "")
    engine.away = None
    assert cleanup.run_round().counts["launched"] == 1


def test_a_failed_one_is_not_launched_anew_while_nothing_is_known(running, engine, settings):
    put(running, engine, Status.FAILED)
    settings.SANDBOX_MEMORY_SHARE = 50
    engine.fail["info"] = Unreachable("slow")
    result = actions.start(running, by=ALICE, wait=None)
    assert "it is not known how much memory is left" in result.message
    assert engine.containers == {}


def test_what_waits_is_not_made_below_the_floor(launch, engine, settings):
    engine.away = Unreachable("away")
    sandbox = launch()
    engine.away = None
    settings.SANDBOX_DISK_FLOOR = 200 << 30  # the fake engine has 100 free
    assert cleanup.run_round().counts["launched"] == 0
    sandbox.refresh_from_db()
    assert (sandbox.status, sandbox.status_reason) == (
        Status.QUEUED,
        "waiting for free space on the server's disk",
    )
    settings.SANDBOX_DISK_FLOOR = 1 << 30
    assert cleanup.run_round().counts["launched"] == 1


def test_above_it_is_refused_with_the_figures_and_what_would_free_it(launch, bob, settings):
    settings.SANDBOX_MEMORY_BUDGET = 600 * MIB
    launch(owner=bob, memory="300m")
    with pytest.raises(actions.Refused) as refused:
        launch(memory="400m")
    assert refused.value.field == "memory"
    free = "The server has no 400 MB left: 300 MB of 600 MB for all sandboxes is free."
    assert str(refused.value) == f"{free} Wait until others end."
    launch(memory="100m")
    with pytest.raises(actions.Refused, match="Yours have 100 MB of it: remove one, or wait"):
        launch(memory="400m")
    assert Event.objects.filter(action="sandbox.launch", outcome="refused").count() == 2


def test_a_stopped_one_keeps_its_place_and_a_removed_one_gives_it_back(launch, settings):
    settings.SANDBOX_MEMORY_BUDGET = 600 * MIB
    first = launch(memory="400m")
    actions.stop(first, by=ALICE, wait=None)
    with pytest.raises(actions.Refused):
        launch(memory="400m")
    actions.remove(first, by=ALICE, wait=None)
    assert launch(memory="400m").pk


def test_what_was_lent_counts_in_the_budget_and_in_no_quota(launch, alice, settings):
    settings.SANDBOX_MEMORY_BUDGET = 600 * MIB
    User.objects.update(quota_creates=0, quota_cpus=0, quota_disk=0)
    launch(memory="400m", lent=True)
    with pytest.raises(actions.Refused, match="The server has no"):
        launch(memory="400m", lent=True)


def test_fifty_launches_at_once_do_not_overshoot(pool, launch, alice, bob, settings):
    settings.SANDBOX_MEMORY_BUDGET = 640 * MIB
    settings.SANDBOX_QUOTA_SANDBOXES = 50
    made = at_once(50, lambda number: launch(owner=(alice, bob)[number % 2], memory="64m"))
    born = [one for one in made if isinstance(one, Sandbox)]
    refused = [one for one in made if isinstance(one, actions.Refused)]
    assert (len(born), len(refused)) == (10, 40), made
    assert budget.promised() == 640 * MIB


# -- the further quotas -------------------------------------------------------------------------


def failed_ones(launch, engine, alice, count: int) -> list[Sandbox]:
    """Of 64 MB each; they have no container, and take no place."""
    for number in range(count):
        launch(name=f"f{number}", memory="64m")
    assert cleanup.work.drain(20)
    return [put(row, engine, Status.FAILED) for row in Sandbox.objects.order_by("name")]


def test_failed_ones_started_at_once_do_not_overshoot(pool, launch, engine, alice, settings):
    rows = failed_ones(launch, engine, alice, 12)
    alice.quota_sandboxes = 5
    alice.save()
    settings.SANDBOX_MEMORY_BUDGET = 4 * 64 * MIB
    engine.delay["create"] = 0.2
    made = at_once(12, lambda number: actions.start(rows[number], by=ALICE, wait=0))
    assert sum(one.under_way or one.done for one in made) == 4, made
    assert cleanup.work.drain(20)
    assert Sandbox.objects.filter(status=Status.RUNNING).count() == 4
    assert budget.promised() == 4 * 64 * MIB


@pytest.mark.parametrize(("quota", "memory"), [(2, 0), (20, 2 * 64 * MIB)], ids=["quota", "budget"])
def test_a_failed_one_has_its_place_from_the_click_on(
    pool, launch, engine, alice, settings, quota: int, memory: int
):
    """One after the other, as the list's button for many does it, while none of them runs yet."""
    rows = failed_ones(launch, engine, alice, 5)
    alice.quota_sandboxes = quota
    alice.save()
    settings.SANDBOX_MEMORY_BUDGET = memory
    engine.gate["create"] = threading.Event()
    made = [actions.start(row, by=ALICE, wait=0) for row in rows]
    assert [one.under_way for one in made] == [True, True, False, False, False]
    engine.gate["create"].set()
    assert cleanup.work.drain(20)
    assert Sandbox.objects.filter(status=Status.RUNNING).count() == 2


def refused(launch, **options) -> actions.Refused:
    with pytest.raises(actions.Refused) as caught:
        launch(**options)
    return caught.value


def test_cpus_together(launch, alice):
    User.objects.update(quota_cpus=2)
    launch(cpus="1.5")
    refusal = refused(launch, cpus="0.75")
    assert refusal.field == "cpus"
    assert str(refusal) == "0.5 of your 2 CPUs are left. Choose less, or remove a sandbox."
    assert launch(cpus="0.5").pk


def test_disk_together(launch, image):
    User.objects.update(quota_disk=3 << 30)
    launch()
    left = "A sandbox of this image may write 2 GB, and 1 GB of your 3 GB of disk is left."
    assert str(refused(launch)) == f"{left} Remove a sandbox first."
    Image.objects.update(disk=1 << 30)
    assert launch().pk


def test_lifetime_at_launch_and_by_extending(launch, alice):
    User.objects.update(quota_lifetime=3600)
    assert "at most 1 h" in str(refused(launch, lifetime="2h"))
    sandbox = launch(lifetime="1h")
    change(sandbox, expires_at=timezone.now() + timedelta(minutes=50))
    assert actions.extend(sandbox, by=ALICE).done
    assert sandbox.time_left <= timedelta(hours=1)
    assert "the longest time there is: 1 h" in actions.extend(sandbox, by=ALICE).message


def test_launches_in_ten_minutes_and_how_long_to_wait(launch, alice):
    User.objects.update(quota_creates=2)
    first = launch()
    launch()
    change(first, created_at=timezone.now() - timedelta(minutes=7, seconds=30))
    text = str(refused(launch))
    assert text.startswith("You launched 2 sandboxes in the last 10 minutes, and may launch 2. Wait 2 min.")
    change(first, created_at=timezone.now() - timedelta(minutes=11))
    assert launch().pk


def test_removing_makes_no_room_in_the_ten_minutes(launch, alice):
    User.objects.update(quota_creates=1)
    actions.remove(launch(), by=ALICE, wait=None)
    assert "in the last 10 minutes" in str(refused(launch))


def test_terminals_of_one_person(running, alice, bob):
    User.objects.update(quota_terminals=2)
    mine = audit.Origin.of(alice)
    terminals.open(running, "main", mine)
    one = terminals.open(running, "two", mine)
    with pytest.raises(actions.Refused, match="You have 2 terminals open"):
        terminals.open(running, "three", mine)
    assert Event.objects.filter(action="terminal.open", outcome="refused").count() == 1
    terminals.open(running, "bobs", audit.Origin.of(bob))
    terminals.ended(one, "closed", mine)
    assert terminals.open(running, "three", mine).pk


def test_terminals_of_one_sandbox_opened_at_once(pool, running, alice, bob, settings):
    settings.SANDBOX_TERMINALS = 3
    made = at_once(
        20, lambda number: terminals.open(running, f"t{number}", audit.Origin.of((alice, bob)[number % 2]))
    )
    opened = [one for one in made if isinstance(one, Terminal)]
    kept_out = [one for one in made if isinstance(one, actions.Refused)]
    assert (len(opened), len(kept_out)) == (3, 17), made
    assert {str(one) for one in kept_out} == {"This sandbox has 3 terminals open. Close one first."}
    assert Terminal.objects.filter(ended_at=None).count() == 3
    assert Event.objects.filter(action="terminal.open", outcome="refused").count() == 17


def test_staff_may_have_others(launch, prof, alice, settings):
    settings.SANDBOX_QUOTA_CPUS = 1
    settings.SANDBOX_STAFF_QUOTAS = {"cpus": 3}
    assert launch(owner=prof, cpus="3").pk
    assert refused(launch, cpus="2").field == "cpus"
    User.objects.filter(pk=prof.pk).update(quota_cpus=1)
    assert refused(launch, owner=prof, cpus="1").field == "cpus"


def test_one_that_fails_just_then_is_not_started_without_a_place(running, engine, settings):
    put(running, engine, Status.STOPPED)
    read_before = Sandbox.objects.get(pk=running.pk)
    put(running, engine, Status.FAILED)
    settings.SANDBOX_MEMORY_BUDGET = running.memory // 2
    result = actions.start(read_before, by=ALICE, wait=None)
    running.refresh_from_db()
    assert (result.done, running.status, engine.containers) == (False, Status.FAILED, {})
