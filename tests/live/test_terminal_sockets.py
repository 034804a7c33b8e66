"""Terminals through their sockets: what a page sends and gets, and what ends them."""

import asyncio
import time
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from sandboxes.consumers import shells
from sandboxes.engine.base import Unreachable
from sandboxes.lifecycle import actions, audit, terminals
from sandboxes.live import hub
from sandboxes.live.registry import registry
from sandboxes.models import Event, Lease, Outcome, Sandbox, Terminal
from tests.live.helpers import eventually, refused

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_terminal_echoes_and_is_on_record(open_terminal, running, alice):
    page = await open_terminal(running.pk, alice)
    greeting = await page.read(kind="attached")
    assert (greeting["offset"], greeting["leader"], greeting["cols"]) == (0, True, 80)
    await page.type(b"echo hello\r")
    await page.read(until=b"hello\r\n")
    done, asked = [event async for event in Event.objects.filter(action="terminal.open")]
    assert (asked.outcome, done.outcome, asked.operation) == ("requested", "ok", done.operation)
    assert (done.actor_name, done.detail) == ("alice", {"terminal": "main"})
    assert done.duration is not None


async def test_a_second_page_joins_the_same_shell(open_terminal, running, alice, prof):
    first = await open_terminal(running.pk, alice)
    await first.type(b"echo shared\r")
    await first.read(until=b"shared\r\n")
    second = await open_terminal(running.pk, prof)
    await second.read(until=b"shared\r\n")
    assert (await first.read(kind="viewers"))["count"] == 2
    assert await eventually(lambda: Event.objects.filter(action="terminal.join", actor_name="prof").aexists())
    assert await Terminal.objects.acount() == 1


async def test_who_looks_at_one_shell_is_named_at_the_sandboxs_others(open_terminal, running, alice, prof):
    main, two = await open_terminal(running.pk, alice), await open_terminal(running.pk, alice, "two")
    await main.read(until=b"$ ")
    await two.read(until=b"$ ")
    staff = await open_terminal(running.pk, prof)
    await staff.read(kind="attached")
    await told_of(two, ["prof"])
    await staff.socket.close()
    await told_of(two, [])


async def told_of(page, names):
    """Wait until a page that is alone at its shell is told of these others."""
    while (told := await page.read(kind="viewers"))["others"] != names:
        pass
    assert told["count"] == 1


async def test_a_reconnect_with_its_offset_gets_only_what_is_new(open_terminal, running, alice):
    first = await open_terminal(running.pk, alice)
    shell = (await first.read(kind="attached"))["shell"]
    await first.type(b"echo one\r")
    await first.read(until=b"one\r\n$ ")
    at = len(first.bytes)
    await first.socket.close()
    again = await open_terminal(running.pk, alice, query=f"cols=80&rows=24&offset={at}&shell={shell}")
    greeting = await again.read(kind="attached")
    assert (greeting["resumed"], greeting["offset"]) == (True, at)


async def test_closed_on_purpose_ends_the_processes_and_says_by_whom(open_terminal, running, alice, engine):
    page = await open_terminal(running.pk, alice)
    await page.read(kind="attached")
    await page.send({"type": "close"})
    ended = await page.read(kind="ended")
    assert (ended["reason"], ended["sentence"], ended["again"]) == ("closed", "Closed by alice.", True)
    await page.read(kind="closed")
    row = await Terminal.objects.aget()
    assert await eventually(lambda: Terminal.objects.filter(reaped_at__isnull=False).aexists())
    assert ("kill_marked", (running.native_id, row.marker)) in engine.calls or any(
        call[0] == "kill_marked" for call in engine.calls
    )


async def test_a_shell_that_exits_says_with_what(open_terminal, running, alice):
    page = await open_terminal(running.pk, alice)
    await page.type(b"exit 3\r")
    ended = await page.read(kind="ended")
    assert (ended["exit_code"], ended["again"]) == (3, True)
    assert "exit code 3" in ended["sentence"]


async def end_on_record():
    """The Event of a terminal's end, once it is there."""
    rows = Event.objects.filter(action="terminal.end")
    assert await eventually(lambda: rows.aexists())
    return await rows.aget()


@pytest.mark.parametrize("code", [1, 2, 126, 127, 130])
async def test_leaving_a_shell_after_a_failed_command_is_no_failure(open_terminal, running, alice, code):
    page = await open_terminal(running.pk, alice)
    await page.type(b"exit %d\r" % code)
    sentence = f"The shell has ended with exit code {code}."
    assert (await page.read(kind="ended", seconds=10))["sentence"] == sentence
    event = await end_on_record()
    assert (event.outcome, event.reason) == (Outcome.OK, sentence)
    assert event.detail == {"terminal": "main", "exit_code": code}


async def test_a_shell_that_was_killed_has_failed(open_terminal, running, alice, monkeypatch):
    monkeypatch.setattr(shells, "PATIENCE", 0.2)
    page = await open_terminal(running.pk, alice)
    await page.type(b"exit 137\r")
    await page.read(kind="ended", seconds=10)
    assert (await end_on_record()).outcome == Outcome.FAILED


async def test_a_shell_that_could_not_be_started_has_failed(open_terminal, running, alice, engine):
    page = await open_terminal(running.pk, alice)
    await page.read(kind="attached")
    shell = engine.containers[running.native_id].processes[-1]
    shell.never_began = True
    shell.finish(127)
    ended = await page.read(kind="ended", seconds=10)
    assert ended["sentence"] == "This image has no shell sh. An admin can name another."
    assert (await end_on_record()).outcome == Outcome.FAILED


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (None, "The connection to the shell broke. What it started was ended."),
        (
            Unreachable("The engine does not answer."),
            "The connection to the shell broke. What it started is ended as soon as that is possible.",
        ),
    ],
)
async def test_a_broken_connection_is_told_within_two_seconds(
    open_terminal, running, alice, engine, fault, sentence
):
    page = await open_terminal(running.pk, alice)
    await page.read(kind="attached")
    shell = engine.containers[running.native_id].processes[-1]
    if fault:
        engine.fail["kill_marked"] = fault
    began = time.monotonic()
    shell.close()
    ended = await page.read(kind="ended", seconds=10)
    assert time.monotonic() - began < 8
    assert (ended["sentence"], ended["again"]) == (sentence, True)
    assert (await end_on_record()).outcome == Outcome.FAILED
    assert shell.running is bool(fault)


async def test_removal_ends_the_terminal_with_who_did_it(open_terminal, running, alice):
    page = await open_terminal(running.pk, alice)
    await page.read(kind="attached")
    remove = sync_to_async(actions.remove, thread_sensitive=False)
    await remove(await Sandbox.objects.aget(pk=running.pk), by=audit.Origin.of(alice), wait=None)
    ended = await page.read(kind="ended", seconds=10)
    assert ended["again"] is False
    assert "alice" in ended["sentence"]


async def test_a_paused_sandbox_offers_resume_instead_of_a_terminal(open_terminal, paused, alice):
    page = await open_terminal(paused.pk, alice)
    goodbye = await page.read(kind="goodbye")
    assert (goodbye["code"], "Resume" in goodbye["reason"]) == ("paused", True)
    await page.read(kind="closed")
    assert page.code == 4409
    assert await Event.objects.filter(action="terminal.open", outcome=Outcome.REFUSED).aexists()


async def test_a_stopped_sandbox_has_no_terminal(open_terminal, stopped, alice):
    page = await open_terminal(stopped.pk, alice)
    assert (await page.read(kind="goodbye"))["code"] == "not_running"


async def test_somebody_elses_sandbox_looks_missing(open_terminal, running, bob):
    theirs = await open_terminal(running.pk, bob)
    missing = await open_terminal("sb_nothing", bob)
    assert await theirs.read(kind="goodbye") == await missing.read(kind="goodbye")
    assert await Terminal.objects.acount() == 0


async def test_an_engine_that_is_away_is_said_so_and_nothing_stays_open(
    open_terminal, running, alice, engine
):
    engine.fail["open_terminal"] = Unreachable("The engine does not answer.")
    page = await open_terminal(running.pk, alice)
    assert (await page.read(kind="goodbye"))["code"] == "unreachable"
    assert not await Terminal.objects.filter(ended_at=None).aexists()


async def test_more_terminals_than_allowed_are_refused(open_terminal, running, alice, settings):
    settings.SANDBOX_TERMINALS = 2
    for name in ("main", "two"):
        await (await open_terminal(running.pk, alice, name)).read(kind="attached")
    page = await open_terminal(running.pk, alice, "three")
    assert (await page.read(kind="goodbye"))["code"] == "too_many"


@pytest.mark.parametrize(
    ("cols", "rows"), [(0, 24), (80, 0), (70000, 24), (80, -1), ("80", 24), (True, 24), (None, 24), (8.5, 24)]
)
async def test_a_size_no_tty_has_is_refused(open_terminal, running, alice, cols, rows):
    page = await open_terminal(running.pk, alice)
    await page.send({"type": "resize", "cols": cols, "rows": rows})
    assert (await page.read(kind="error"))["code"] == "bad_size"
    assert await refused() == ("socket.frame", "alice", running.pk, "bad_size")


@pytest.mark.parametrize(
    "junk",
    [
        " ",
        "{",
        "[]",
        "3",
        "null",
        '{"type":3}',
        '{"type":"nonsense"}',
        "\x00",
        '{"type":"ack","offset":"\\ud800"}',
        "[" * 9999,
    ],
)
async def test_junk_is_answered_and_the_terminal_goes_on(open_terminal, running, alice, junk):
    page = await open_terminal(running.pk, alice)
    await page.send(junk)
    assert (await page.read(kind="error"))["code"] in {"bad_json", "bad_type"}
    await page.type(b"echo still here\r")
    await page.read(until=b"still here\r\n")


async def test_a_huge_frame_of_input_is_refused(open_terminal, running, alice):
    page = await open_terminal(running.pk, alice)
    await page.type(b"x" * (64 * 1024 + 1))
    assert (await page.read(kind="error"))["code"] == "too_big"


async def test_the_shells_of_a_dead_server_process_are_ended_by_the_loop(running, engine):
    reap = sync_to_async(terminals.reap, thread_sensitive=False)
    row = await Terminal.objects.acreate(sandbox=running, name="main", process="dead-1")
    assert await reap({"alive-1"}) == 1
    await row.arefresh_from_db()
    assert row.ended_at is not None
    assert row.reaped_at is not None
    assert await reap({"alive-1"}) == 0


async def test_the_name_of_a_dead_process_terminal_is_free(open_terminal, running, alice, engine):
    lost = await Terminal.objects.acreate(sandbox=running, name="main", process="dead-1")
    page = await open_terminal(running.pk, alice)
    assert (await page.read(kind="attached"))["offset"] == 0
    await lost.arefresh_from_db()
    assert (lost.reason, lost.reaped_at is not None) == ("its server process ended", True)


async def test_the_name_of_another_living_process_is_taken(open_terminal, running, alice, engine):
    until = timezone.now() + timedelta(seconds=60)
    await Lease.objects.acreate(name="process:other-1", owner="other-1", until=until)
    await Terminal.objects.acreate(sandbox=running, name="main", process="other-1")
    page = await open_terminal(running.pk, alice)
    assert (await page.read(kind="goodbye"))["code"] == "busy"


async def test_a_paused_sandboxs_shells_wait_for_their_end(paused, engine):
    reap = sync_to_async(terminals.reap, thread_sensitive=False)
    row = await Terminal.objects.acreate(sandbox=paused, name="main", process="dead-1")
    await reap(set())
    await row.arefresh_from_db()
    assert (row.ended_at is not None, row.reaped_at) == (True, None)


async def test_a_pause_by_any_hand_is_told_to_the_terminal(open_terminal, running, alice, engine):
    page = await open_terminal(running.pk, alice)
    await page.read(kind="attached")
    await asyncio.sleep(0.3)  # the hub has begun to listen
    await asyncio.to_thread(engine.pause, running.native_id)
    await page.read(kind="paused")
    await asyncio.to_thread(engine.resume, running.native_id)
    await page.read(kind="resumed")


async def test_a_name_is_free_again_as_soon_as_its_shell_is_closed(open_terminal, running, alice):
    page = await open_terminal(running.pk, alice)
    await page.read(kind="attached")
    await page.send({"type": "close"})
    await page.read(kind="ended")
    again = await open_terminal(running.pk, alice)
    assert (await again.read(kind="attached"))["offset"] == 0
    assert await Terminal.objects.acount() == 2


async def test_a_socket_whose_server_gave_it_up_leaves_no_viewer(open_terminal, running, alice):
    page = await open_terminal(running.pk, alice)
    await page.read(kind="attached")
    (terminal,) = registry.of(running.pk)
    page.socket.communicator.future.cancel()  # as daphne does with one that is too slow to go
    page.socket.is_open = False
    assert await eventually(lambda: not terminal.viewers)
    assert not hub.current().guard.entries


async def test_a_flood_of_keystrokes_is_told_to_slow_down(open_terminal, running, alice):
    page = await open_terminal(running.pk, alice)
    for _ in range(2500):
        await page.type(b"k")
    assert (await page.read(kind="error"))["code"] == "too_fast"
    await asyncio.sleep(0.5)
    await page.type(b"\recho still here\r")
    await page.read(until=b"still here\r\n")


async def test_a_process_that_ends_in_good_order_ends_its_shells(open_terminal, running, alice, engine):
    page = await open_terminal(running.pk, alice)
    await page.read(kind="attached")
    await sync_to_async(terminals.end_all, thread_sensitive=False)()
    row = await Terminal.objects.aget()
    assert (row.reason, row.reaped_at is not None) == ("the server was stopped", True)


async def test_a_shell_that_ran_out_of_memory_says_so(open_terminal, running, alice, monkeypatch):
    monkeypatch.setattr(shells, "PATIENCE", 0.2)
    page = await open_terminal(running.pk, alice)
    await page.read(kind="attached")
    await sync_to_async(audit.record)("sandbox.oom", audit.ENGINE, running)
    await page.type(b"exit 137\r")
    ended = await page.read(kind="ended", seconds=10)
    assert "ran out of memory" in ended["sentence"]
