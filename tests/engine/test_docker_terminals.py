"""Terminals on the real engine: what a person at a keyboard would notice."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import closing
from typing import Any

import pytest

from sandboxes.engine.base import Unreachable
from tests.engine.helpers import Sandboxes, read_until, run

pytestmark = pytest.mark.engine


async def opened(real: Sandboxes, native_id: str, *argv: str, **size: int) -> Any:
    given = {"cols": 80, "rows": 24} | size
    return await real.engine.open_terminal(native_id, argv or ("sh",), marker="term", **given)


async def raw_terminal(real: Sandboxes, native_id: str, line: str) -> Any:
    """A terminal whose tty passes every byte on, once ``line`` is about to run."""
    terminal = await opened(real, native_id, "sh", "-c", f"stty raw -echo; echo ready; {line}")
    await read_until(terminal, b"ready\n")
    return terminal


async def test_every_character_comes_back_whole(real: Sandboxes):
    text = "héllo 日本 🎉"
    with closing(await opened(real, real.running(), "cat")) as terminal:
        await terminal.write(text.encode() + b"\r")
        seen = await read_until(terminal, text.encode() + b"\r\n" + text.encode())
        assert seen.decode().count(text) == 2


async def test_control_keys_reach_the_program(real: Sandboxes):
    with closing(await opened(real, real.running())) as terminal:
        await read_until(terminal, b"$ ")
        await terminal.write(b"sleep 60\r")
        await asyncio.sleep(0.3)
        await terminal.write(b"\x03")
        await asyncio.sleep(0.3)
        await terminal.write(b"echo code=$?\r")
        assert b"code=130" in await read_until(terminal, b"code=130")


async def test_ctrl_p_ctrl_q_does_not_detach(real: Sandboxes):
    with closing(await raw_terminal(real, real.running(), "cat")) as terminal:
        await terminal.write(b"\x10\x11end")
        assert b"\x10\x11end" in await read_until(terminal, b"end")


async def test_any_bytes_pass_even_the_engine_s_usual_keys(real: Sandboxes):
    data = bytes(range(256)) + b"\x10\x11" + b"\x1f\x1e\x1d" + b"\x1e\x00\x1e" + b"end"
    with closing(await raw_terminal(real, real.running(), "cat")) as terminal:
        _, seen = await asyncio.gather(terminal.write(data), read_until(terminal, b"end"))
    assert seen == data


async def test_the_terminal_knows_its_kind(real: Sandboxes):
    with closing(await opened(real, real.running(), "sh", "-c", "echo $TERM; pwd")) as terminal:
        assert await read_until(terminal, b"/workspace") == b"xterm-256color\r\n/workspace\r\n"


async def test_the_size_is_right_before_the_first_program_asks(real: Sandboxes):
    line = "sleep 0.2; stty size"
    with closing(await opened(real, real.running(), "sh", "-c", line, cols=133, rows=7)) as terminal:
        assert b"7 133" in await read_until(terminal, b"7 133")


async def test_many_sizes_at_once_end_with_the_last(real: Sandboxes):
    with closing(await opened(real, real.running())) as terminal:
        await asyncio.gather(*(terminal.resize(60 + number, 20) for number in range(40)))
        await terminal.write(b"stty size\r")
        assert b"20 99" in await read_until(terminal, b"20 99")


async def test_impossible_sizes_are_held_in_bounds(real: Sandboxes):
    argv = ("sh", "-c", "sleep 0.3; stty size")
    with closing(await opened(real, real.running(), *argv, cols=99, rows=70000)) as terminal:
        assert b"500 99\r\n" in await read_until(terminal, b"500 99\r\n")


async def test_a_missing_shell_is_said_without_engine_text(real: Sandboxes):
    with closing(await opened(real, real.running(), "no-such-shell")) as terminal:
        assert await read_until(terminal, b"never") == b"no-such-shell: program not found\r\n"
        assert await terminal.exit_code() in (126, 127)
        assert terminal.never_began


async def test_a_megabyte_each_way_arrives(real: Sandboxes):
    native_id = real.running()
    with closing(await raw_terminal(real, native_id, "cat > in")) as terminal:
        await asyncio.wait_for(terminal.write(os.urandom(1 << 20)), 30)
        await asyncio.sleep(0.5)
        assert run(real.engine, native_id, "wc", "-c", "in")[0].split()[0] == b"1048576"
    line = "stty raw; head -c 1048576 /dev/zero"
    with closing(await opened(real, native_id, "sh", "-c", line)) as terminal:
        assert len(await read_until(terminal, b"never")) == 1 << 20


async def test_what_waits_can_be_taken_without_waiting(real: Sandboxes):
    with closing(await opened(real, real.running(), "sh", "-c", "echo one; sleep 1")) as terminal:
        await read_until(terminal, b"one\r\n")
        assert terminal.read_nowait(100) is None
        await asyncio.sleep(1.5)
        assert terminal.read_nowait(100) == b""


async def test_two_writers_do_not_mix(real: Sandboxes):
    with closing(await raw_terminal(real, real.running(), "cat")) as terminal:
        one, two = b"a" * 100_000, b"b" * 100_000
        await asyncio.gather(terminal.write(one), terminal.write(two), drained(terminal, 200_000))


async def drained(terminal: Any, count: int) -> None:
    seen = b""
    while len(seen) < count:
        seen += await terminal.read()
    assert seen in (b"a" * 100_000 + b"b" * 100_000, b"b" * 100_000 + b"a" * 100_000)


async def test_a_paused_sandbox_is_silent_and_goes_on(real: Sandboxes):
    native_id = real.running()
    with closing(await opened(real, native_id, "cat")) as terminal:
        await asyncio.to_thread(real.engine.pause, native_id)
        await terminal.write(b"typed while paused\r")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read_until(terminal, b"paused\r\ntyped"), 0.5)
        await asyncio.to_thread(real.engine.resume, native_id)
        assert b"typed" in await asyncio.wait_for(read_until(terminal, b"typed"), 10)


async def test_a_terminal_ends_with_its_sandbox(real: Sandboxes):
    native_id = real.running()
    with closing(await opened(real, native_id)) as terminal:
        await read_until(terminal, b"$ ")
        await asyncio.to_thread(real.engine.remove, native_id)
        await asyncio.wait_for(read_until(terminal, b"never"), 10)


async def test_closed_and_killed_nothing_is_left(real: Sandboxes):
    native_id = real.running()
    terminal = await opened(real, native_id)
    await terminal.write(b"sleep 77 &\rsetsid sleep 77\r")
    await asyncio.sleep(0.5)
    terminal.close()
    assert b"sleep 77" in run(real.engine, native_id, "ps")[0]
    assert await asyncio.to_thread(real.engine.kill_marked, native_id, "term") == 0
    assert b"sleep 77" not in run(real.engine, native_id, "ps")[0]


async def test_writing_to_a_closed_one_is_told(real: Sandboxes):
    terminal = await opened(real, real.running())
    terminal.close()
    with pytest.raises(Unreachable):
        await terminal.write(b"x")


async def test_a_cancelled_opening_leaves_no_connection(real: Sandboxes):
    native_id = real.running()
    await asyncio.sleep(0)
    before = len(os.listdir("/proc/self/fd"))
    opening = asyncio.create_task(opened(real, native_id))
    await asyncio.sleep(0.005)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await asyncio.sleep(0.5)
    assert len(os.listdir("/proc/self/fd")) - before <= 2


async def test_twenty_at_once_open_and_close(real: Sandboxes):
    native_id = real.running(pids=128)
    began = time.monotonic()
    terminals = await asyncio.gather(*(opened(real, native_id) for _ in range(20)))
    try:
        for terminal in terminals:
            await terminal.write(b"echo here-$((40+2))\r")
        found = await asyncio.gather(*(read_until(one, b"here-42") for one in terminals))
        assert all(b"here-42" in one for one in found)
        assert time.monotonic() - began < 20
    finally:
        for terminal in terminals:
            terminal.close()
