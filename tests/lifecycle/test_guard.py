"""The network guard: what was seen from inside decides whether a sandbox with internet starts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from sandboxes.engine.base import Reach, Unsupported
from sandboxes.lifecycle import actions, cleanup, guard
from sandboxes.models import Event, Lease, Status
from tests.lifecycle.helpers import ALICE, change

pytestmark = pytest.mark.django_db
OPEN = Reach(host=True, metadata=False)


def looks(engine) -> int:
    return [name for name, _ in engine.calls].count("reach")


def let_age() -> None:
    """What was seen last was seen two minutes ago."""
    report = Lease.objects.get(name="guard").report
    at = timezone.now() - timedelta(minutes=2)
    Lease.objects.filter(name="guard").update(report=report | {"at": at.isoformat()})


def test_guarded_it_starts_and_one_look_serves_several(launch, engine):
    assert launch(network="internet").status == Status.RUNNING
    assert launch(network="internet").status == Status.RUNNING
    assert looks(engine) == 1
    assert guard.seen().guarded


@pytest.mark.parametrize(
    ("reach", "why"),
    [
        (OPEN, "A sandbox reaches services of this host."),
        (Reach(host=False, metadata=True), "A sandbox reaches the metadata address."),
        (Reach(True, True), "A sandbox reaches services of this host and the metadata address."),
    ],
)
def test_not_guarded_the_first_fails_and_the_next_is_refused(launch, engine, reach, why):
    engine.reached = reach
    first = launch(network="internet")
    assert (first.status, first.status_detail) == (Status.FAILED, why)
    assert first.status_reason.startswith(guard.SHUT)
    with pytest.raises(actions.Refused, match="Choose none, or ask an admin") as refused:
        launch(network="internet")
    assert refused.value.field == "network"
    assert not engine.containers
    assert Event.objects.filter(action="sandbox.launch", outcome="refused").count() == 1


def test_without_internet_nobody_looks(launch, engine):
    engine.reached = OPEN
    assert launch().status == Status.RUNNING
    assert looks(engine) == 0


def test_what_cannot_be_looked_at_is_not_guarded(launch, engine):
    engine.fail["reach"] = Unsupported("The bridge is not on this machine, so it cannot be looked at.")
    assert launch(network="internet").status == Status.FAILED
    assert guard.seen().guarded is None


def test_the_risk_can_be_accepted(launch, engine, settings):
    settings.SANDBOX_ACCEPT_UNGUARDED_NETWORK = True
    engine.reached = OPEN
    assert launch(network="internet").status == Status.RUNNING


def test_once_it_is_guarded_a_launch_works_without_a_restart(launch, engine):
    engine.reached = OPEN
    failed = launch(network="internet")
    engine.reached = Reach(False, False)
    let_age()
    assert launch(network="internet").status == Status.RUNNING
    assert actions.start(failed, by=ALICE, wait=None).done


def test_a_stopped_one_does_not_start_again_without_the_guard(launch, engine):
    sandbox = launch(network="internet")
    actions.stop(sandbox, by=ALICE, wait=None)
    engine.reached = OPEN
    let_age()
    actions.start(sandbox, by=ALICE, wait=None)
    assert sandbox.status == Status.FAILED
    assert sandbox.status_reason.startswith(guard.SHUT)


def test_the_loop_looks_again_while_somebody_has_internet(launch, engine):
    launch(network="internet")
    engine.reached = OPEN
    let_age()
    cleanup.run_round()
    assert guard.seen().guarded is False


def test_the_loop_does_not_look_where_nobody_ever_asked(running, engine):
    cleanup.run_round()
    assert looks(engine) == 0


def test_what_was_seen_too_long_ago_is_not_believed(launch, engine):
    launch(network="internet")
    let_age()
    assert not guard.seen().is_fresh
    launch(network="internet")
    assert looks(engine) == 2


def test_one_that_runs_is_left_alone_when_the_guard_goes(launch, engine):
    sandbox = launch(network="internet")
    engine.reached = OPEN
    let_age()
    cleanup.run_round()
    assert change(sandbox).status == Status.RUNNING
