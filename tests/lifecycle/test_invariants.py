"""What must be true at any moment: each breach is found, and nothing else is taken for one."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from sandboxes.engine.base import ContainerSpec, Unreachable
from sandboxes.lifecycle import audit, expiry, invariants, terminals, transitions
from sandboxes.models import Command, Event, Outcome, Sandbox, Status, Terminal
from tests.fakes.engine import STARTER
from tests.lifecycle.helpers import ALICE, change, die, older, put, stray

pytestmark = pytest.mark.django_db


def found() -> list[tuple[str, str]]:
    return [(one.promise, one.about) for one in invariants.breaches(again=0)]


@pytest.fixture
def resting(running: Sandbox) -> Sandbox:
    """Alice's sandbox, which nothing happened to lately."""
    return older(running, seconds=5)


@pytest.mark.parametrize("status", [Status.RUNNING, Status.PAUSED, Status.STOPPED, Status.FAILED])
def test_what_rests_is_in_order(resting: Sandbox, engine: Any, status: Status) -> None:
    put(resting, engine, status)
    assert found() == []


def test_a_container_without_a_record(resting: Sandbox, engine: Any) -> None:
    name = f"container {stray(engine, seconds=600)[:12]}"
    assert found() == [("one record", name)]


def test_but_not_one_that_was_made_just_now(resting: Sandbox, engine: Any) -> None:
    stray(engine, seconds=5)
    assert found() == []


def test_a_container_whose_record_is_over(resting: Sandbox, engine: Any) -> None:
    change(resting, status=Status.REMOVED)
    one = engine.containers[resting.native_id]
    one.state = replace(one.state, created_at=timezone.now() - timedelta(hours=1))
    assert found() == [("one record", f"container {resting.native_id[:12]}")]


def test_two_containers_of_one_sandbox(resting: Sandbox, engine: Any) -> None:
    twin = stray(engine, "sb_other", seconds=600)
    one = engine.containers[twin]
    one.state = replace(one.state, sandbox_id=resting.pk)
    assert {promise for promise, _ in found()} >= {"one container"}


def test_a_container_that_its_record_does_not_name(resting: Sandbox, engine: Any) -> None:
    change(resting, native_id="somebody-elses")
    assert found() == [("one record", f"container {next(iter(engine.containers))[:12]}"),
                       ("one container", resting.pk)]  # fmt: skip


def test_a_record_without_a_container(resting: Sandbox, engine: Any) -> None:
    engine.remove(resting.native_id)
    assert found() == [("one container", resting.pk)]


def test_a_record_that_says_otherwise(resting: Sandbox, engine: Any) -> None:
    engine.pause(resting.native_id)
    assert found() == [("same status", resting.pk)]


def test_no_end(resting: Sandbox) -> None:
    change(resting, expires_at=None)
    assert found() == [("an end", resting.pk)]


def test_past_its_end(resting: Sandbox, settings: Any) -> None:
    settings.SANDBOX_CLEANUP_INTERVAL = 10
    change(resting, expires_at=timezone.now() - timedelta(seconds=140))
    assert found() == []  # the loop is about to remove it
    change(resting, expires_at=timezone.now() - timedelta(seconds=160))
    assert found() == [("an end", resting.pk)]


def test_past_its_end_with_work_that_is_still_to_be_saved(
    resting: Sandbox, settings: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(expiry, "spared", lambda ids: [resting.pk])
    change(resting, expires_at=timezone.now() - timedelta(hours=12))
    assert found() == []
    change(resting, expires_at=timezone.now() - timedelta(days=1, minutes=5))
    assert found() == [("an end", resting.pk)]


def test_another_limit_than_was_demanded(resting: Sandbox) -> None:
    change(resting, memory=1 << 30)
    (breach,) = invariants.breaches(again=0)
    assert (breach.promise, breach.sentence) == ("as demanded", "memory")


def test_a_knob_that_the_engine_changed(resting: Sandbox, engine: Any) -> None:
    engine.odd[resting.native_id] = ["HostConfig.Privileged: True instead of False"]
    assert found() == [("as demanded", resting.pk)]


def test_an_action_in_the_hands_of_a_dead_process(resting: Sandbox) -> None:
    transitions.claim(resting, "pause", ALICE)
    assert found() == []
    die(resting)
    assert found() == [("nothing stuck", resting.pk)]


def test_an_action_that_takes_for_ever(resting: Sandbox) -> None:
    transitions.claim(resting, "pause", ALICE)
    change(resting, pending_since=timezone.now() - timedelta(hours=1))
    assert found() == [("nothing stuck", resting.pk)]


def test_a_request_without_an_answer_and_one_with_two(resting: Sandbox) -> None:
    late = timezone.now() - timedelta(hours=1)
    audit.record("sandbox.stop", ALICE, resting, outcome=Outcome.REQUESTED, operation="op1", at=late)
    audit.record("sandbox.stop", ALICE, resting, outcome=Outcome.REQUESTED, operation="op2", at=late)
    for _ in range(2):
        audit.record("sandbox.stop", ALICE, resting, operation="op2", at=late)
    assert sorted(found()) == [("one answer", "op1"), ("one answer", "op2")]


def test_a_terminal_whose_process_is_dead(resting: Sandbox) -> None:
    terminals.open(resting, "main", ALICE)
    assert found() == []
    Terminal.objects.update(process="a-dead-process")
    assert found() == [("an owner", f"terminal main of {resting.pk}")]


def test_a_command_whose_process_is_dead(resting: Sandbox) -> None:
    made = Command.objects.create(sandbox=resting, argv=["true"], time_limit=60, process="a-dead-process")
    assert found() == [("an owner", f"command {made.pk}")]


def test_but_not_one_that_waits_for_its_sandbox_to_be_resumed(resting: Sandbox, engine: Any) -> None:
    put(resting, engine, Status.PAUSED)
    Command.objects.create(sandbox=resting, argv=["true"], time_limit=60, process="a-dead-process")
    assert found() == []


def test_a_shell_that_is_nobodys(resting: Sandbox, engine: Any) -> None:
    record = terminals.open(resting, "main", ALICE)
    engine.exec(resting.native_id, ["sleep", "60"], marker=record.marker)
    assert found() == []
    Terminal.objects.update(ended_at=timezone.now())
    assert found() == []  # it may be on its way out
    Terminal.objects.update(ended_at=timezone.now() - timedelta(minutes=5))
    assert found() == [("an owner", resting.pk)]


def test_more_memory_than_there_is(resting: Sandbox, settings: Any) -> None:
    settings.SANDBOX_MEMORY_BUDGET = resting.memory
    assert found() == []
    settings.SANDBOX_MEMORY_BUDGET = resting.memory - 1
    assert found() == [("within the budget", "memory")]


def test_what_is_put_right_before_the_second_look_is_no_breach(
    resting: Sandbox, engine: Any, monkeypatch: Any
) -> None:
    engine.pause(resting.native_id)
    monkeypatch.setattr(invariants.time, "sleep", lambda seconds: engine.resume(resting.native_id))
    assert found() == []


def test_what_is_under_way_is_passed_over(resting: Sandbox, engine: Any) -> None:
    engine.pause(resting.native_id)
    transitions.claim(resting, "pause", ALICE)
    assert found() == []


# -- the command ----------------------------------------------------------------------------------


def run() -> tuple[int, str]:
    """Exit code and output."""
    out = io.StringIO()
    try:
        call_command("check_invariants", again=0, stdout=out, stderr=out)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def test_the_command_says_that_all_is_well(resting: Sandbox) -> None:
    assert run() == (0, "check_invariants: all is as it must be\n")


def test_the_command_has_a_line_for_each_breach(resting: Sandbox, engine: Any) -> None:
    change(resting, expires_at=None)
    engine.create(ContainerSpec("sb_unknown", STARTER, 64 << 20, 1, 64))
    stray(engine, "sb_unknown", seconds=600)
    code, text = run()
    assert code == 1
    assert sorted(text.splitlines())[0] == f"an end: {resting.pk}: it has no end"
    assert len(text.splitlines()) == 2


def test_the_command_does_not_know_while_the_engine_is_away(resting: Sandbox, engine: Any) -> None:
    engine.away = Unreachable("The engine cannot be reached.")
    assert run() == (2, "check_invariants: The engine cannot be reached.\n")


def test_it_changes_nothing(resting: Sandbox, engine: Any) -> None:
    engine.pause(resting.native_id)
    before, events = list(Sandbox.objects.values()), Event.objects.count()
    engine.calls.clear()
    found()
    assert (list(Sandbox.objects.values()), Event.objects.count()) == (before, events)
    assert {name for name, _ in engine.calls} <= {"list", "differences", "unowned"}
