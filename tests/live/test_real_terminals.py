"""Terminals on the real engine: bytes, sizes, viewers, and that nothing is left in the container."""

from __future__ import annotations

import asyncio
import secrets
import time
from pathlib import Path
from typing import Any

import docker
import pytest
from asgiref.sync import sync_to_async

from sandboxes.consumers.shells import BROKEN, BROKEN_ONLY
from sandboxes.engine.docker_engine import DockerEngine
from sandboxes.lifecycle import actions, audit, terminals
from sandboxes.live.registry import registry
from sandboxes.live.viewers import FRAME, WINDOW
from sandboxes.models import Event, Sandbox, Terminal
from tests.live.helpers import eventually

pytestmark = [pytest.mark.engine, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def engine(real_engine: DockerEngine) -> DockerEngine:
    return real_engine


def by_hand(sandbox: Sandbox) -> Any:
    """Its container, as somebody at the machine has it."""
    return docker.from_env().containers.get(sandbox.native_id)


async def processes(sandbox: Sandbox) -> str:
    """The command lines in the container."""
    rows = await asyncio.to_thread(lambda: by_hand(sandbox).top()["Processes"] or [])
    return "\n".join(" ".join(row) for row in rows)


async def gone(sandbox: Sandbox, text: str, seconds: float) -> float:
    """Seconds until no process' command line holds this text; at most so many."""
    began = time.monotonic()
    while text in await processes(sandbox) and time.monotonic() - began < seconds:
        await asyncio.sleep(0.02)
    return time.monotonic() - began


def act(action: Any, sandbox: Sandbox, **options: Any) -> Any:
    return sync_to_async(action, thread_sensitive=False)(sandbox, wait=None, **options)


async def test_what_is_typed_is_answered_whatever_its_script(open_terminal, running, alice):
    page = await open_terminal(running.pk, alice)
    await page.run("printf '<%s>' héllo 日本 🎉", "<héllo><日本><🎉>".encode())
    await page.run("echo $TERM $COLORTERM; pwd", b"xterm-256color truecolor\r\n/workspace")


async def test_the_tty_has_the_size_of_the_smallest_window(open_terminal, running, alice, prof):
    page = await open_terminal(running.pk, alice, query="cols=98&rows=25")
    await page.run("stty size", b"25 98")
    await page.send({"type": "resize", "cols": 131, "rows": 35})
    await page.read(kind="size")
    await asyncio.sleep(0.2)
    await page.run("stty size", b"35 131")
    small = await open_terminal(running.pk, prof, query="cols=60&rows=50")
    await page.read(kind="size")
    await asyncio.sleep(0.2)
    await small.run("stty size", b"35 60")
    await small.leave()
    await page.read(kind="size")
    await asyncio.sleep(0.2)
    await page.run("echo again; stty size", b"again\r\n35 131")


async def test_a_reload_shows_the_same_screen_in_the_same_shell(open_terminal, running, alice):
    page = await open_terminal(running.pk, alice)
    await page.run("kept=yes; echo on the screen; echo e''nd", b"end\r\n")
    await page.leave()
    again = await open_terminal(running.pk, alice)
    await again.read(until=b"on the screen\r\nend\r\n")
    await again.run("echo $kept!", b"yes!")
    assert again.bytes.startswith(page.bytes)


async def test_a_cut_connection_loses_and_doubles_nothing(open_terminal, running, alice):
    page = await open_terminal(running.pk, alice)
    shell = (await page.read(kind="attached"))["shell"]
    await page.type(b"for i in $(seq 20000); do echo line $i; done; echo a''ll\r")
    await page.read(until=b"line 200\r\n")
    await page.leave()
    whole, at = page.bytes, len(page.bytes)
    while b"all\r\n" not in whole:
        page = await open_terminal(running.pk, alice, query=f"cols=80&rows=24&offset={at}&shell={shell}")
        assert (await page.read(kind="attached"))["resumed"] is True
        await read_some(page)
        await page.leave()
        whole, at = whole + page.bytes, at + len(page.bytes)
    expected = b"".join(b"line %d\r\n" % number for number in range(1, 20001)) + b"all\r\n"
    assert expected in whole


async def read_some(page: Any) -> None:
    """Up to 64 KiB, acknowledged now and then."""
    while len(page.bytes) < 65536:
        before = len(page.bytes)
        await page.read_one()
        if len(page.bytes) == before or b"all\r\n" in page.bytes:
            return


async def test_ten_megabytes_come_whole(open_terminal, running, alice):
    page = await open_terminal(running.pk, alice)
    await page.run("stty -opost; echo r''eady", b"ready")
    begin = len(page.bytes)
    await page.type(b"head -c 10000000 /dev/zero | tr '\\0' '\\132'; echo d''one\r")
    while b"done\n" not in page.bytes[-200:]:
        await page.read_one()
    assert page.bytes[begin:].count(b"Z") == 10_000_000


async def test_two_people_share_one_shell(open_terminal, running, alice, prof):
    one, two = await open_terminal(running.pk, alice), await open_terminal(running.pk, prof)
    await one.run("echo from alice", b"\nfrom alice")
    await two.read(until=b"\nfrom alice")
    await two.run("echo from prof", b"\nfrom prof")
    await one.read(until=b"\nfrom prof")
    assert (await processes(running)).count("\n") == 2  # init, its main process, one shell


async def test_closed_on_purpose_leaves_no_process(open_terminal, running, alice):
    page = await open_terminal(running.pk, alice)
    await page.run("(trap '' HUP TERM; sleep 4711) & sleep 4712 & echo b''oth", b"both")
    await page.send({"type": "close"})
    assert await gone(running, "sleep 471", 5) < 2
    assert (await page.read(kind="ended"))["sentence"] == "Closed by alice."
    assert await eventually(lambda: Terminal.objects.filter(reaped_at__isnull=False).aexists())


async def test_merely_left_it_ends_after_its_grace_and_not_before(open_terminal, running, alice, settings):
    settings.SANDBOX_TERMINAL_GRACE = 1.5
    page = await open_terminal(running.pk, alice)
    await page.run("sleep 4713 & echo st''arted", b"started")
    await page.leave()
    await asyncio.sleep(1)
    assert "sleep 4713" in await processes(running)
    assert await gone(running, "sleep 4713", 5) < 2.5
    assert await eventually(lambda: Event.objects.filter(action="terminal.end").aexists())
    assert (await Terminal.objects.aget()).reason.startswith("Nobody was watching")


async def test_what_nobody_reads_waits_in_the_program(open_terminal, running, alice):
    page = await open_terminal(running.pk, alice)
    await page.type(b"yes\r")
    (terminal,) = [await until_there(running.pk)]
    assert await eventually(lambda: terminal.ring.head >= WINDOW)
    before = memory()
    await asyncio.sleep(4)
    assert terminal.ring.head <= WINDOW + 2 * FRAME
    assert memory() - before <= 8e6
    await page.type(b"\x03")
    await page.run("echo st''ill here", b"still here")


async def until_there(sandbox_id: str) -> Any:
    await eventually(lambda: registry.of(sandbox_id))
    return registry.of(sandbox_id)[0]


def memory() -> int:
    """Resident bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def test_a_sandbox_that_is_stopped_or_removed_says_by_whom(open_terminal, launch, alice):
    for action, word in ((actions.stop, "stopped"), (actions.remove, "removed")):
        sandbox = await sync_to_async(launch)()
        await sandbox.arefresh_from_db()
        page = await open_terminal(sandbox.pk, alice)
        await page.read(until=b"$ ")
        await act(action, sandbox, by=audit.Origin.of(alice))
        ended = await page.read(kind="ended", seconds=10)
        assert (ended["sentence"], ended["again"]) == (f"This sandbox was {word} by alice.", False)


async def test_a_container_removed_by_hand_says_so(open_terminal, running, alice):
    page = await open_terminal(running.pk, alice)
    await page.read(until=b"$ ")
    await asyncio.to_thread(by_hand(running).remove, force=True)
    ended = await page.read(kind="ended", seconds=10)
    assert ended["sentence"] == "This sandbox was removed outside Sandboxes."


async def test_a_sandbox_whose_time_is_over_says_so(open_terminal, running, alice):
    page = await open_terminal(running.pk, alice)
    await page.read(until=b"$ ")
    await act(actions.remove, running, reason="expired")
    ended = await page.read(kind="ended", seconds=10)
    assert (ended["reason"], "time" in ended["sentence"]) == ("expired", True)


async def test_while_paused_nothing_is_lost_and_no_new_shell_opens(open_terminal, running, alice):
    page = await open_terminal(running.pk, alice)
    await page.run("echo r''eady", b"ready")
    await act(actions.pause, running, by=audit.Origin.of(alice))
    await page.read(kind="paused")
    await page.type(b"echo kept f''or later\r")
    other = await open_terminal(running.pk, alice, name="two")
    assert (await other.read(kind="goodbye"))["code"] == "paused"
    await act(actions.resume, running, by=audit.Origin.of(alice))
    await page.read(until=b"kept for later\r\n")


async def test_a_shell_that_the_image_has_not_is_a_sentence(open_terminal, running, alice):
    await Sandbox.objects.filter(pk=running.pk).aupdate(shell="zsh")
    page = await open_terminal(running.pk, alice)
    ended = await page.read(kind="ended")
    assert (ended["exit_code"] in (126, 127), "no shell zsh" in ended["sentence"]) == (True, True)


async def test_a_cut_connection_is_told_and_what_ran_is_ended(open_terminal, running, alice, engine):
    page = await open_terminal(running.pk, alice)
    await page.run("sleep 4715 & echo st''arted", b"started")
    engine.wires.cut(running.native_id)
    ended = await page.read(kind="ended", seconds=30)
    assert ended["sentence"] in (BROKEN, BROKEN_ONLY)  # a busy machine has not ended it by then
    assert ended["sentence"] == BROKEN_ONLY or "sleep 4715" not in await processes(running)
    assert await gone(running, "sleep 4715", 30) < 30


@pytest.mark.parametrize(
    "line", ["exec env -i sh -c 'sleep 4716; true'", "env -i sleep 4716 &", "env -i setsid sleep 4716"]
)
async def test_closed_on_purpose_ends_what_cleared_its_environment(open_terminal, running, alice, line):
    page = await open_terminal(running.pk, alice)
    await page.read(until=b"$ ")
    await page.type(line.encode() + b"\r")
    while "sleep 4716" not in await processes(running):
        await asyncio.sleep(0.05)
    await page.send({"type": "close"})
    assert await gone(running, "sleep 4716", 2) < 2


async def test_the_shells_of_a_killed_server_are_ended_by_the_loop(running, engine):
    marker = f"m_{secrets.token_hex(6)}"
    await Terminal.objects.acreate(sandbox=running, name="main", process="dead-1", marker=marker)
    stream = await engine.open_terminal(running.native_id, ["sh"], cols=80, rows=24, marker=marker)
    await stream.write(b"sleep 4714 & echo st''arted\n")
    while b"started" not in await stream.read():
        pass
    await sync_to_async(terminals.reap, thread_sensitive=False)({"alive-1"})
    assert "sleep 4714" not in await processes(running)
    stream.close()
