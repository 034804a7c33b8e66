"""What was asked of an engine whose answer was lost, and done all the same, is told as that."""

from datetime import timedelta

import pytest
from django.utils import timezone

from sandboxes.engine.base import TimedOut
from sandboxes.lifecycle import actions, cleanup, lost_answers, watch
from sandboxes.models import Status
from tests.lifecycle.helpers import ALICE, counted, older, put, trail

pytestmark = pytest.mark.django_db
DONE = {"pause": Status.PAUSED, "stop": Status.STOPPED, "remove": Status.REMOVED}


BY_ALICE = "alice asked to remove it; the engine's answer was lost"


def found_later(sandbox):
    """What the loop says of it two minutes later."""
    older(sandbox, minutes=2)
    cleanup.run_round()
    sandbox.refresh_from_db()
    return sandbox.status_reason


@pytest.fixture
def ask(running, engine):
    """``ask(action)``: alice asks for it, the engine does it, and its answer is lost."""

    def asked(action):
        real, native_id = getattr(engine, action), running.native_id
        engine.away = TimedOut("slow")
        assert not actions.act(running, action, ALICE, wait=None).done
        engine.away = None
        real(native_id)

    return asked


@pytest.mark.parametrize("action", DONE)
def test_what_was_done_all_the_same_is_not_called_lost_or_another_s(running, ask, action):
    ask(action)
    assert running.status == Status.RUNNING
    older(running, minutes=2)
    cleanup.run_round()
    running.refresh_from_db()
    reason = f"alice asked to {action} it; the engine's answer was lost"
    assert (running.status, running.status_reason) == (DONE[action], reason)
    assert trail(running)[-1][2] == reason


def test_the_next_act_finds_it_so_too(running, ask):
    ask("remove")
    actions.act(running, "pause", ALICE, wait=None)
    assert running.status_reason == BY_ALICE


def test_the_engines_own_word_finds_it_so_too(running, engine, ask, monkeypatch):
    """It was slow, and says what it did long after."""
    ask("remove")
    monkeypatch.setattr(watch, "SLACK", timedelta(0))
    for event in engine.happened:
        if event.action == "destroy":
            watch.handle(event)
    running.refresh_from_db()
    assert (running.status, running.status_reason) == (Status.REMOVED, BY_ALICE)


def test_what_failed_since_hides_nothing(running, engine, ask):
    """People press on while the engine is away."""
    ask("remove")
    engine.away = TimedOut("slow")
    for action in ("pause", "stop"):
        assert not actions.act(running, action, ALICE, wait=None).done
    engine.away = None
    assert [row[:2] for row in trail(running)][-1] == ("sandbox.stop", "failed")
    assert found_later(running) == BY_ALICE


def test_more_time_explains_nothing_away(running, ask):
    """Extending asks no engine."""
    ask("remove")
    assert actions.extend(running, by=ALICE).done
    assert found_later(running) == BY_ALICE


def test_days_later_it_has_another_cause(running, ask, monkeypatch):
    ask("remove")
    monkeypatch.setattr(lost_answers, "RECENT", timedelta(0))
    assert found_later(running) == "lost: its container is gone"


def test_another_state_than_what_was_asked_for_is_not_explained_by_it(running, engine, ask):
    ask("pause")
    engine.remove_by_hand(running.native_id)
    older(running, minutes=2)
    assert counted(cleanup.run_round()) == {"lost": 1}
    running.refresh_from_db()
    assert running.status_reason == "lost: its container is gone"


def test_nor_is_what_came_after_a_later_act(running, engine, ask):
    ask("pause")
    engine.resume(running.native_id)
    assert actions.act(running, "stop", ALICE, wait=None).done
    put(running, engine, Status.STOPPED)
    engine.start(running.native_id)
    older(running, minutes=2)
    engine.pause(running.native_id)
    cleanup.run_round()
    running.refresh_from_db()
    assert (running.status, running.status_reason) == (Status.PAUSED, "paused outside Sandboxes")
    assert running.changed_at <= timezone.now()
