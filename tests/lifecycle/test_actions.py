"""What comes of an action when the engine minds, and what people are told."""

from datetime import timedelta

import pytest
from django.utils import timezone

from sandboxes.engine.base import ContainerStatus, EngineError, NotFound, TimedOut, Unreachable
from sandboxes.lifecycle import actions, audit
from sandboxes.models import Event, Outcome, Sandbox, Status
from tests.lifecycle.helpers import ALICE, answered, change, container_status, put, trail

pytestmark = pytest.mark.django_db
ENGINE_ACTIONS = {
    "start": Status.STOPPED,
    "pause": Status.RUNNING,
    "resume": Status.PAUSED,
    "restart": Status.RUNNING,
    "stop": Status.RUNNING,
    "remove": Status.RUNNING,
}


@pytest.mark.parametrize(
    "error", [Unreachable("away", "ECONNREFUSED"), TimedOut("slow")], ids=["away", "slow"]
)
@pytest.mark.parametrize("action", ENGINE_ACTIONS)
def test_an_engine_that_is_away_changes_no_status(running, engine, action, error):
    status = ENGINE_ACTIONS[action]
    put(running, engine, status)
    engine.away = error
    result = actions.act(running, action, ALICE, wait=None)
    assert (running.status, running.pending) == (status, "")
    assert (result.done, result.level) == (False, "error")
    assert "does not answer" in result.message
    assert "ECONN" not in result.message
    assert trail(running)[-1][:2] == (f"sandbox.{action}", Outcome.FAILED)
    assert answered(running)


@pytest.mark.parametrize("action", [name for name in ENGINE_ACTIONS if name != "remove"])
def test_a_container_that_is_gone_ends_the_sandbox_as_lost(running, engine, action):
    put(running, engine, ENGINE_ACTIONS[action])
    engine.remove_by_hand(running.native_id)
    result = actions.act(running, action, ALICE, wait=None)
    assert (running.status, running.status_reason) == (Status.REMOVED, "lost: its container is gone")
    assert result.level == "error"
    assert answered(running)


def test_removing_what_is_gone_already_is_a_removal(running, engine):
    engine.remove_by_hand(running.native_id)
    assert actions.remove(running, by=ALICE, wait=None).done
    assert running.status_reason == "removed by alice"


@pytest.mark.parametrize("action", ["pause", "stop", "restart"])
def test_after_a_refusal_the_engine_s_truth_is_written_down(running, engine, action):
    engine.kill_by_hand(running.native_id, code=3)
    engine.fail["stop" if action == "restart" else action] = EngineError(
        "The engine failed to do this.", "/var/x"
    )
    result = actions.act(running, action, ALICE, wait=None)
    assert running.status == Status.STOPPED
    assert running.status_reason == "the main process ended with exit code 3"
    assert running.exit_code == 3
    assert result.done == (action == "stop"), "what was wanted may be so"
    assert "/var/x" not in result.message


def test_an_engine_that_refuses_even_to_tell_leaves_the_status_and_no_claim(running, engine):
    engine.fail |= {"pause": EngineError("No."), "inspect": EngineError("No.")}
    result = actions.pause(running, by=ALICE, wait=None)
    assert (running.status, running.pending, result.level) == (Status.RUNNING, "", "error")
    assert answered(running)


def test_a_refused_resume_of_a_paused_one_leaves_it_paused(paused, engine):
    engine.fail["resume"] = EngineError("The engine failed to do this.")
    result = actions.resume(paused, by=ALICE, wait=None)
    assert (paused.status, result.level) == (Status.PAUSED, "error")
    assert container_status(engine, paused) is ContainerStatus.PAUSED


def test_a_start_that_is_refused_fails_and_keeps_the_container(stopped, engine):
    engine.fail["start"] = EngineError("The working directory cannot be used in this image.", "chdir /x")
    actions.start(stopped, by=ALICE, wait=None)
    assert stopped.status == Status.FAILED
    assert stopped.status_reason.startswith("The working directory cannot be used in this image. ")
    assert stopped.native_id in engine.containers
    del engine.fail["start"]
    actions.start(stopped, by=ALICE, wait=None)
    assert stopped.status == Status.RUNNING
    assert stopped.generation == 1


def test_a_failed_one_whose_container_is_gone_is_made_anew(stopped, engine):
    change(stopped, status=Status.FAILED)
    engine.remove(stopped.native_id)
    assert actions.start(stopped, by=ALICE, wait=None).done
    assert stopped.generation == 2


def test_a_removal_that_is_refused_can_be_tried_again(running, engine):
    engine.fail["remove"] = EngineError("The engine failed to do this.", "device busy")
    result = actions.remove(running, by=ALICE, wait=None)
    assert (running.status, running.pending, result.level) == (Status.RUNNING, "", "error")
    del engine.fail["remove"]
    assert actions.remove(running, by=ALICE, wait=None).done


def test_a_stopped_one_keeps_its_exit_code_and_its_reason(running, prof):
    actions.stop(running, by=audit.Origin.of(prof), wait=None)
    assert (running.status_reason, running.exit_code) == ("stopped by prof", 143)
    assert running.ended_at is not None


def test_a_started_one_has_no_exit_code_any_more_and_the_same_end(stopped):
    end = stopped.expires_at
    actions.start(stopped, by=ALICE, wait=None)
    assert (stopped.exit_code, stopped.ended_at, stopped.expires_at) == (None, None, end)


def test_one_that_goes_when_it_ends_goes_when_it_is_stopped(launch, engine):
    sandbox = launch(auto_remove=True)
    actions.stop(sandbox, by=ALICE, wait=None)
    assert sandbox.status == Status.REMOVED
    assert (sandbox.status_reason, sandbox.exit_code) == ("stopped by alice", 143)
    assert not engine.containers
    assert answered(sandbox)


def test_extending_moves_the_end_up_to_the_longest_there_is(running, settings):
    before = running.expires_at
    assert actions.extend(running, by=ALICE).done
    assert running.expires_at - before == timedelta(seconds=settings.SANDBOX_EXTEND_BY)
    actions.extend(running, by=ALICE, seconds=10**7)
    left = (running.expires_at - timezone.now()).total_seconds()
    assert left == pytest.approx(settings.SANDBOX_MAX_LIFETIME, abs=5)
    again = actions.extend(running, by=ALICE, seconds=-50)
    assert (again.done, again.level) == (False, "info")


def test_extending_works_beside_another_action_but_not_beside_a_removal(running):
    change(running, pending="pause", claim="theirs")
    assert actions.extend(running, by=ALICE).done
    change(running, pending="remove")
    result = actions.extend(running, by=ALICE)
    assert (result.done, result.message) == (False, "quiet-otter is busy removing. Try again in a moment.")


def test_an_impossible_action_is_a_polite_sentence_and_on_record(stopped):
    result = actions.pause(stopped, by=ALICE)
    assert result.message == "quiet-otter is stopped, so it cannot be paused."
    assert trail(stopped)[-1] == ("sandbox.pause", "refused", result.message)


def test_an_action_on_what_is_so_already_is_no_refusal(paused):
    before = Event.objects.count()
    result = actions.pause(paused, by=ALICE)
    assert (result.done, result.message) == (True, "quiet-otter is paused already.")
    assert Event.objects.count() == before


def test_engine_work_does_not_start_inside_a_transaction(running, settings):
    settings.SANDBOX_WORKERS = 2
    with pytest.raises(RuntimeError, match="transaction"):
        actions.pause(running, by=ALICE)


def test_a_fault_of_ours_leaves_the_status_and_no_claim(running, engine):
    engine.fail["pause"] = ValueError("a bug")
    result = actions.pause(running, by=ALICE, wait=None)
    assert (running.status, running.pending) == (Status.RUNNING, "")
    assert "a bug" not in result.message


def test_names_and_owners_stay_on_record_after_removal(running, alice):
    actions.remove(running, by=ALICE, wait=None)
    event = Event.objects.order_by("id").last()
    assert (event.sandbox_name, event.owner_name, event.sandbox_id) == ("quiet-otter", "alice", running.pk)
    assert Sandbox.objects.present().count() == 0


def test_a_nudge_follows_each_change(running, monkeypatch, django_capture_on_commit_callbacks):
    sent = []
    monkeypatch.setattr("sandboxes.live.nudges.send_sandbox", lambda pk, owner: sent.append((pk, owner)))
    with django_capture_on_commit_callbacks(execute=True):
        actions.pause(running, by=ALICE, wait=None)
    assert sent == [(running.pk, running.owner_id)] * 2


def test_not_found_of_an_exec_kind_never_reaches_a_page(running, engine):
    engine.fail["pause"] = NotFound("The container does not exist any more.", "no such container /var/lib")
    result = actions.pause(running, by=ALICE, wait=None)
    assert "/var/lib" not in result.message
