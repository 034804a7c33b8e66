"""The network guard: what was seen from inside decides whether a sandbox with internet starts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from sandboxes.engine.base import EngineError, Reach, TimedOut, Unreachable
from sandboxes.lifecycle import actions, cleanup, guard, transitions
from sandboxes.lifecycle.paces import Every
from sandboxes.models import Event, Lease, Sandbox, Status
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
def test_not_guarded_it_is_refused_in_the_form_the_first_one_too(launch, engine, reach, why):
    engine.reached = reach
    for _ in range(2):
        with pytest.raises(actions.Refused, match="Choose none, or ask an admin") as refused:
            launch(network="internet")
        assert refused.value.field == "network"
    assert guard.seen().why == why
    assert (looks(engine), Sandbox.objects.count(), len(engine.containers)) == (1, 0, 0)
    assert Event.objects.filter(action="sandbox.launch", outcome="refused").count() == 2


def test_the_form_says_so_at_its_field(client, alice, image, engine):
    engine.reached = OPEN
    client.force_login(alice)
    page = client.post("/sandboxes/new/", {"image": image.pk, "network": "internet"})
    assert page.status_code == 422
    assert "network guard is not in place. Choose none, or ask an admin." in page.content.decode()


def test_what_nobody_sees_in_time_is_left_to_the_start(launch, engine, monkeypatch):
    monkeypatch.setattr(guard, "PATIENCE", 0)
    engine.reached = OPEN
    engine.delay["reach"] = 0.2
    first = launch(network="internet")
    assert (first.status, first.status_detail) == (Status.FAILED, "A sandbox reaches services of this host.")
    assert first.status_reason.startswith(guard.SHUT)


def test_an_engine_that_is_away_says_nothing_about_its_guard(launch, engine):
    engine.away = Unreachable("away")
    waiting = launch(network="internet")
    assert (waiting.status, guard.seen().at) == (Status.QUEUED, None)
    engine.away = None
    cleanup.run_round()
    waiting.refresh_from_db()
    assert waiting.status == Status.RUNNING


def test_from_afar_the_words_are_others(launch, engine):
    engine.reached = Reach(False, False, is_near=False)
    launch(network="internet")
    assert guard.seen().why == "A sandbox reaches neither the engine's host nor the metadata address."


def test_without_internet_nobody_looks(launch, engine):
    engine.reached = OPEN
    assert launch().status == Status.RUNNING
    assert looks(engine) == 0


def test_what_cannot_be_looked_at_is_not_guarded(launch, engine):
    engine.fail["reach"] = EngineError("The probe could not look.")
    with pytest.raises(actions.Refused):
        launch(network="internet")
    assert guard.seen().guarded is None


def test_the_risk_can_be_accepted(launch, engine, settings):
    settings.SANDBOX_ACCEPT_UNGUARDED_NETWORK = True
    engine.reached = OPEN
    assert launch(network="internet").status == Status.RUNNING


def test_once_it_is_guarded_a_launch_works_without_a_restart(launch, engine):
    engine.reached = OPEN
    with pytest.raises(actions.Refused):
        launch(network="internet")
    engine.reached = Reach(False, False)
    let_age()
    assert launch(network="internet").status == Status.RUNNING


def test_a_stopped_one_does_not_start_again_without_the_guard(launch, engine):
    sandbox = launch(network="internet")
    actions.stop(sandbox, by=ALICE, wait=None)
    engine.reached = OPEN
    let_age()
    actions.start(sandbox, by=ALICE, wait=None)
    assert sandbox.status == Status.FAILED
    assert sandbox.status_reason.startswith(guard.SHUT)


@pytest.mark.parametrize("status", [Status.RUNNING, Status.PAUSED])
def test_restarting_is_refused_without_the_guard_and_it_stays_as_it_was(launch, engine, status):
    sandbox = launch(network="internet")
    if status == Status.PAUSED:
        actions.pause(sandbox, by=ALICE, wait=None)
    engine.reached = OPEN
    let_age()
    result = actions.restart(sandbox, by=ALICE, wait=None)
    assert (result.done, result.level) == (False, "error")
    assert guard.SHUT in result.message
    assert (sandbox.status, sandbox.pending, looks(engine)) == (status, "", 2)
    assert not {"stop", "resume"} & {name for name, _ in engine.calls}
    last = Event.objects.filter(action="sandbox.restart").latest("id")
    assert (last.outcome, last.reason) == ("failed", guard.SHUT)


def test_restarting_costs_no_look_while_what_was_seen_is_fresh(launch, engine):
    sandbox = launch(network="internet")
    assert actions.restart(sandbox, by=ALICE, wait=None).done
    assert (sandbox.status, looks(engine)) == (Status.RUNNING, 1)


def test_the_loop_looks_again_while_somebody_has_internet(launch, engine):
    launch(network="internet")
    engine.reached = OPEN
    let_age()
    cleanup.run_round()
    assert guard.seen().guarded is False


def test_the_loop_looks_at_its_start_and_then_now_and_then(running, engine, monkeypatch):
    monkeypatch.setattr(guard, "_quiet", guard.Every(guard.QUIET))
    cleanup.run_round()
    assert (looks(engine), guard.seen().guarded) == (1, True)
    let_age()
    cleanup.run_round()
    assert looks(engine) == 1


def test_the_loop_does_not_look_where_the_risk_was_accepted(running, engine, monkeypatch, settings):
    monkeypatch.setattr(guard, "_quiet", guard.Every(guard.QUIET))
    settings.SANDBOX_ACCEPT_UNGUARDED_NETWORK = True
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


def test_a_restart_that_was_cut_off_half_way_and_may_not_go_on_is_not_told_as_running(launch, engine):
    one = launch(network="internet")
    transitions.claim(one, "restart", ALICE)
    engine.stop(one.native_id)
    Sandbox.objects.update(claimed_by="dead")
    Lease.objects.filter(name=guard.NAME).delete()
    engine.reached = OPEN
    cleanup.run_round()
    one.refresh_from_db()
    assert (one.status, one.status_reason[: len(guard.SHUT)]) == (Status.FAILED, guard.SHUT)
    assert not Event.objects.filter(action="engine.exit").exists()


def test_an_engine_that_did_not_answer_once_is_asked_again_in_the_next_round(engine, monkeypatch):
    monkeypatch.setattr(guard, "_quiet", Every(guard.QUIET))
    engine.fail["reach"] = TimedOut("It did not answer in time.")
    cleanup.run_round()
    assert guard.seen().guarded is None
    engine.fail.clear()
    cleanup.run_round()
    assert guard.seen().guarded
    assert [name for name, _ in engine.calls].count("reach") == 2
