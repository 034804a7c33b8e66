"""The table, pair by pair: what may happen does, and nothing else."""

import re
from pathlib import Path

import pytest

from sandboxes.engine.base import ContainerStatus
from sandboxes.lifecycle import actions, transitions
from sandboxes.lifecycle.transitions import TABLE
from sandboxes.models import Outcome, Status
from tests.lifecycle.helpers import ALICE, answered, change, container_status, put, trail

pytestmark = pytest.mark.django_db
PAIRS = [(action, status) for action in TABLE for status in Status]
CONTAINER = {
    Status.RUNNING: ContainerStatus.RUNNING,
    Status.PAUSED: ContainerStatus.PAUSED,
    Status.STOPPED: ContainerStatus.EXITED,
}


@pytest.mark.parametrize(("action", "status"), PAIRS)
def test_an_action_leads_where_the_table_says_or_nowhere(running, engine, action, status):
    sandbox = put(running, engine, status)
    before = len(trail())
    result = actions.act(sandbox, action, ALICE, wait=None)
    row = TABLE[action]
    if status in row.sources:
        assert (result.done, result.level) == (True, "success")
        assert sandbox.status == (row.target or status)
        assert trail()[-1][1] == Outcome.OK
    else:
        assert result.level in {"info", "warning"}
        assert sandbox.status == status
        assert not engine.calls
        assert {outcome for _, outcome, _ in trail()[before:]} <= {Outcome.REFUSED}
    assert sandbox.pending == sandbox.claim == ""
    assert container_status(engine, sandbox) == CONTAINER.get(Status(sandbox.status))
    assert answered(sandbox)


@pytest.mark.parametrize(("action", "status"), PAIRS)
def test_a_claim_is_had_exactly_where_the_table_says(running, engine, action, status):
    sandbox = put(running, engine, status)
    mine = transitions.claim(sandbox, action, ALICE)
    assert (mine is not None) == (status in TABLE[action].sources)


@pytest.mark.parametrize("under_way", [name for name in TABLE if name != "extend"])
@pytest.mark.parametrize("action", TABLE)
def test_only_an_overriding_action_takes_a_sandbox_from_another(running, under_way, action):
    source = next(iter(TABLE[action].sources))
    change(running, status=source, pending=under_way, claim="theirs")
    mine = transitions.claim(running, action, ALICE)
    assert (mine is not None) == (TABLE[action].overrides and under_way != action)


@pytest.mark.parametrize("status", Status)
def test_what_is_offered_is_what_the_table_allows(running, status):
    change(running, status=status)
    offered = {row.action for row in transitions.allowed(running)}
    assert offered == {name for name, row in TABLE.items() if row.offered and status in row.sources}


def test_while_something_is_under_way_only_removal_is_offered(running):
    change(running, pending="pause")
    assert [row.action for row in transitions.allowed(running)] == ["remove"]
    change(running, pending="remove")
    assert transitions.allowed(running) == []


def test_a_claim_that_was_taken_settles_nothing(running):
    mine = transitions.claim(running, "pause", ALICE)
    other = transitions.claim(running, "remove", ALICE)
    before = trail()
    assert not transitions.settle(mine, Status.PAUSED)
    assert not transitions.still_ours(mine, launch_step="pulling")
    assert trail() == before
    assert transitions.settle(other, Status.REMOVED)
    running.refresh_from_db()
    assert running.status == Status.REMOVED


def test_an_overtaken_request_is_answered_on_record(running):
    transitions.claim(running, "pause", ALICE)
    actions.remove(running, by=ALICE, wait=None)
    assert ("sandbox.pause", "failed", "overtaken: remove was asked for") in trail()
    assert answered(running)


def test_claim_and_settle_are_few_queries(running, django_assert_num_queries):
    with django_assert_num_queries(6):  # savepoint, update, read, the place, event, release
        mine = transitions.claim(running, "pause", ALICE)
    with django_assert_num_queries(5):
        transitions.settle(mine, Status.PAUSED)


def test_a_status_is_written_in_one_file_only():
    room = Path(transitions.__file__).parents[1]
    writes = re.compile(r"(?:\.status\s*=[^=])|(?:update\([^)]*\bstatus=)")
    guilty = {
        path.name
        for path in room.rglob("*.py")
        if not {"migrations", "labs"} & set(path.parts) and writes.search(path.read_text())
    }
    assert guilty <= {"transitions.py", "commands.py"}, guilty  # a Command has a status of its own
    # and so have labs and seats, which write no sandbox at all
    theirs = re.compile(r"Sandbox\.objects[^\n]*update\(|sandbox\.(?:status|pending)\s*=[^=]|sandbox\.save\(")
    assert not [path for path in (room / "labs").rglob("*.py") if theirs.search(path.read_text())]
