"""Claims, launches and quotas when several threads want the same at the same moment."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import Q
from django.utils import timezone

from sandboxes.lifecycle import actions, cleanup, process, transitions
from sandboxes.models import Event, Lease, Outcome, Sandbox, Status
from tests.fakes.processes import wait_until
from tests.lifecycle.helpers import ALICE, answered, change, container_status, moments_ago, overdue

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(count, fn):
    """Call ``fn(number)`` in as many threads at the same moment; returns what each came to."""
    barrier = threading.Barrier(count)

    def one(number):
        barrier.wait(10)
        try:
            return fn(number)
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(one, range(count)))


def test_of_eight_who_claim_one_wins(running):
    process.hold()
    won = at_once(8, lambda _: transitions.claim(Sandbox.objects.get(pk=running.pk), "pause", ALICE))
    assert sum(mine is not None for mine in won) == 1
    asked = Event.objects.filter(action="sandbox.pause", outcome=Outcome.REQUESTED)
    assert asked.count() == 1


def test_a_form_sent_eight_times_is_one_sandbox(pool, launch, engine):
    made = at_once(8, lambda _: launch(name="web", launch_key="form-1"))
    assert len({sandbox.pk for sandbox in made}) == 1
    assert wait_until(lambda: Sandbox.objects.get().status == Status.RUNNING)
    assert [name for name, _ in engine.calls].count("create") == 1


def test_a_quota_holds_against_eight_launches_at_once(pool, launch, alice, engine):
    alice.quota_sandboxes = 3
    alice.save()
    made = at_once(8, lambda number: launch(name=f"s{number}"))
    refused = [one for one in made if isinstance(one, actions.Refused)]
    assert len(refused) == 5, made
    assert Sandbox.objects.count() == 3
    assert Event.objects.filter(outcome=Outcome.REFUSED).count() == 5


def test_ten_different_launches_all_run(pool, launch, engine):
    at_once(10, lambda number: launch(name=f"s{number}"))
    assert wait_until(lambda: Sandbox.objects.filter(status=Status.RUNNING).count() == 10)


def test_two_clicks_are_one_action(pool, running, engine):
    engine.gate["pause"] = threading.Event()
    first = actions.pause(running, by=ALICE, wait=0.05)
    second = actions.pause(running, by=ALICE, wait=0.05)
    assert first.under_way
    assert first.message == "Pausing quiet-otter…"
    assert second.under_way
    assert second.message == "Already pausing quiet-otter…"
    engine.gate["pause"].set()
    assert wait_until(lambda: Sandbox.objects.get(pk=running.pk).status == Status.PAUSED)
    assert [name for name, _ in engine.calls].count("pause") == 1


def test_another_action_meanwhile_is_told_to_wait(pool, running, engine):
    engine.gate["stop"] = threading.Event()
    actions.stop(running, by=ALICE, wait=0)
    result = actions.pause(running, by=ALICE)
    assert (result.done, result.message) == (False, "quiet-otter is busy stopping. Try again in a moment.")


@pytest.mark.parametrize("step", ["create", "start"])
def test_a_removal_during_a_launch_leaves_nothing(pool, launch, engine, step):
    engine.gate[step] = threading.Event()
    sandbox = launch(name="web")
    assert wait_until(lambda: any(name == step for name, _ in engine.calls))
    result = actions.remove(sandbox, by=ALICE, wait=5)
    assert result.done
    engine.gate[step].set()
    assert wait_until(lambda: container_status(engine, sandbox) is None)
    sandbox.refresh_from_db()
    assert (sandbox.status, sandbox.status_reason) == (Status.REMOVED, "removed by alice")
    assert answered(sandbox)


def test_extending_wins_against_a_sweep_that_has_seen_it_overdue(running):
    seen = Sandbox.objects.get(pk=overdue(running).pk)
    assert actions.extend(running, by=ALICE).done
    late = Q(expires_at__lte=timezone.now())
    result = actions.remove(seen, reason="expired", where=late)
    assert not result.done
    assert Sandbox.objects.get(pk=running.pk).status == Status.RUNNING


def test_extending_and_sweeping_at_once_ends_in_one_of_two_ways(launch, engine):
    for number in range(10):
        sandbox = overdue(launch(name=f"s{number}"))
        results = at_once(
            2,
            lambda who, sandbox=sandbox: (
                actions.extend(Sandbox.objects.get(pk=sandbox.pk), by=ALICE).done
                if who
                else cleanup.run_round()
            ),
        )
        sandbox.refresh_from_db()
        alive = sandbox.status == Status.RUNNING and sandbox.expires_at > moments_ago()
        gone = sandbox.status == Status.REMOVED and container_status(engine, sandbox) is None
        assert alive or gone
        assert alive == results[1], "who was told it is extended keeps it"


def test_two_extensions_at_once_both_count(running, settings):
    before = running.expires_at
    at_once(2, lambda _: actions.extend(Sandbox.objects.get(pk=running.pk), by=ALICE).done)
    running.refresh_from_db()
    assert (running.expires_at - before).total_seconds() == pytest.approx(
        2 * settings.SANDBOX_EXTEND_BY, abs=2
    )


def test_the_lease_of_a_working_process_is_renewed_by_itself(pool, settings, launch, engine):
    settings.SANDBOX_LEASE = 1
    launch(name="web")
    until = process.Lease.objects.get(name=f"process:{process.process_id()}").until
    assert wait_until(lambda: process.Lease.objects.get(name=f"process:{process.process_id()}").until > until)


def test_a_stale_claim_is_taken_over_once(running):
    change(running, pending="pause", claim="theirs", claimed_by="a-dead-process", pending_since=moments_ago())
    process.hold()
    seen = [Sandbox.objects.get(pk=running.pk) for _ in range(4)]
    won = at_once(4, lambda number: transitions.take_over(seen[number]))
    assert sum(mine is not None for mine in won) == 1


def test_a_database_that_was_away_makes_nobody_dead(db):
    now = timezone.now()
    process.renew()
    Lease.objects.create(name="process:web", owner="web", until=now)
    Lease.objects.filter(name__startswith="process:").update(until=now - timedelta(seconds=5))
    Lease.objects.create(name="process:old", owner="old", until=now - timedelta(seconds=60))
    assert process.alive() == {process.process_id(), "web"}


def test_who_gives_no_sign_while_others_do_is_dead(db):
    process.renew()
    Lease.objects.create(name="process:web", owner="web", until=timezone.now() - timedelta(seconds=1))
    assert process.alive() == {process.process_id()}
