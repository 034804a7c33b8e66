"""Who opened, joined, left and took over a terminal is on record, or it does not happen."""

from __future__ import annotations

import pytest
from asgiref.sync import sync_to_async
from django.db import DatabaseError

from sandboxes.consumers import presence
from sandboxes.engine.base import Unreachable
from sandboxes.lifecycle import actions, audit, terminals
from sandboxes.lifecycle.refusals import Refused
from sandboxes.models import Event, Outcome, Terminal
from tests.fakes.engine import Script

from .helpers import eventually

pytestmark = pytest.mark.django_db(transaction=True)


async def told(action):
    """(actor, outcome) of all events of this action, oldest first."""
    rows = Event.objects.filter(action=action).order_by("id").values_list("actor_name", "outcome")
    return [row async for row in rows]


async def is_told(action, *expected):
    async def so():
        return await told(action) == list(expected)

    assert await eventually(so), await told(action)


async def test_a_page_that_leaves_and_comes_again_is_on_record(open_terminal, running, alice, monkeypatch):
    monkeypatch.setattr(presence, "AWAY", 0.05)
    page = await open_terminal(running.pk, alice)
    shell = (await page.read(kind="attached"))["shell"]
    assert await told("terminal.open") == [("alice", "requested"), ("alice", "ok")]
    assert await told("terminal.join") == []
    await page.socket.close()
    await is_told("terminal.leave", ("alice", "ok"))
    again = await open_terminal(running.pk, alice, query=f"cols=80&rows=24&offset=0&shell={shell}")
    await again.read(kind="attached")
    await is_told("terminal.join", ("alice", "ok"))


async def test_somebody_else_who_types_takes_it_over_once(open_terminal, running, alice, prof):
    mine = await open_terminal(running.pk, alice)
    await mine.type(b"echo mine\r")
    await mine.read(until=b"mine\r\n")
    assert await told("terminal.type") == []
    theirs = await open_terminal(running.pk, prof)
    await theirs.type(b"echo one\r")
    await theirs.read(until=b"one\r\n")
    await theirs.type(b"echo two\r")
    await theirs.read(until=b"two\r\n")
    assert await told("terminal.type") == [("prof", "ok")]
    event = await Event.objects.aget(action="terminal.type")
    assert (event.owner_name, event.detail["terminal"]) == ("alice", "main")


async def test_keys_that_cannot_be_put_on_record_are_not_typed(
    open_terminal, running, alice, prof, monkeypatch
):
    mine = await open_terminal(running.pk, alice)
    await mine.read(kind="attached")
    theirs = await open_terminal(running.pk, prof)
    await theirs.read(kind="attached")

    def broken(*args):
        raise DatabaseError("no room")

    monkeypatch.setattr(terminals, "taken_over", broken)
    await theirs.socket.send_bytes(b"echo forbidden\r")
    assert (await theirs.read(kind="error"))["code"] == "not_recorded"
    await mine.type(b"echo mine\r")
    await mine.read(until=b"mine\r\n")
    assert b"forbidden" not in mine.bytes


async def test_a_shell_that_does_not_come_up_is_a_request_that_failed(open_terminal, running, alice, engine):
    engine.fail["open_terminal"] = [Unreachable("The engine does not answer.")]
    page = await open_terminal(running.pk, alice)
    await page.read(kind="goodbye")
    await is_told("terminal.open", ("alice", "requested"), ("alice", "failed"))
    assert await told("terminal.end") == []


async def test_a_shell_that_cannot_be_put_on_record_is_not_opened(
    open_terminal, running, alice, monkeypatch, engine
):
    real = Event.save

    def broken(self, *args, **options):
        if self.action == "terminal.open" and self.outcome == Outcome.OK:
            raise DatabaseError("no room")
        real(self, *args, **options)

    monkeypatch.setattr(Event, "save", broken)
    page = await open_terminal(running.pk, alice)
    assert "on record" in (await page.read(kind="goodbye"))["reason"]
    assert await eventually(lambda: Terminal.objects.exclude(ended_at=None).aexists())


def test_one_whose_process_died_while_it_was_opened_is_answered_by_the_loop(running, alice):
    terminals.open(running, "main", audit.Origin.of(alice))
    Terminal.objects.update(process="a-dead-process")
    terminals.reap(set())
    rows = Event.objects.filter(action="terminal.open").order_by("id")
    assert [(row.actor_name, row.outcome) for row in rows] == [("alice", "requested"), ("alice", "failed")]
    assert not Event.objects.filter(action="terminal.end").exists()


def test_one_taken_for_dead_while_it_was_opened_is_not_opened_after_all(running, alice, engine):
    """Its process was only slow. One answer on record, and the shell that came late is ended too."""
    mine = audit.Origin.of(alice)
    record = terminals.open(running, "main", mine)
    Terminal.objects.update(process="a-dead-process")
    terminals.reap(set())
    engine.scripts[("sleep", "600")] = Script(hold=None)
    engine.exec(running.native_id, ["sleep", "600"], marker=record.marker)
    with pytest.raises(Refused, match="Try again"):
        terminals.opened(record, mine)
    rows = Event.objects.filter(action__startswith="terminal.").order_by("id")
    assert [(row.action, row.outcome) for row in rows] == [
        ("terminal.open", "requested"), ("terminal.open", "failed")]  # fmt: skip
    assert engine.processes(running.native_id)
    terminals.reap(set())
    assert not engine.processes(running.native_id)


async def test_whoever_opened_that_is_told(open_terminal, running, alice, engine, monkeypatch):
    real = engine.open_terminal

    async def slow(*args, **options):
        await Terminal.objects.aupdate(process="a-dead-process")
        await sync_to_async(terminals.reap, thread_sensitive=False)(set())
        return await real(*args, **options)

    monkeypatch.setattr(engine, "open_terminal", slow)
    page = await open_terminal(running.pk, alice)
    assert (await page.read(kind="goodbye"))["code"] == "busy"


def test_a_removal_answers_no_request_but_one_for_the_sandbox(running, alice):
    terminals.open(running, "main", audit.Origin.of(alice))
    audit.record("command.run", audit.Origin.of(alice), running, outcome=Outcome.REQUESTED, operation="cmd_1")
    actions.remove(running, by=audit.Origin.of(alice), wait=None)
    assert not Event.objects.filter(reason__startswith="overtaken").exists()
    assert is_removed_on_record(running)


def is_removed_on_record(sandbox):
    """Whether the removal has its request and its outcome."""
    rows = Event.objects.filter(sandbox_id=sandbox.pk, action="sandbox.remove").order_by("id")
    return [row.outcome for row in rows] == ["requested", "ok"]
