"""What every Engine promises of what flows: terminals, events and statistics; asked of each as well."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import closing
from typing import Any

import pytest

from sandboxes.engine.base import (
    Conflict,
    ContainerStatus,
    Engine,
)
from tests.engine.helpers import Sandboxes, collect, read_until

MISSING = "0" * 64
Status = ContainerStatus


# -- terminals ------------------------------------------------------------------------------------


async def opened(engine: Engine, native_id: str, **size: int) -> Any:
    given = {"cols": 80, "rows": 24} | size
    return await engine.open_terminal(native_id, ["sh"], marker="term", **given)


async def test_a_terminal_echoes_and_knows_its_size(engine: Engine, sandboxes: Sandboxes):
    terminal = await opened(engine, sandboxes.running(), cols=101, rows=31)
    with closing(terminal):
        await terminal.write(b"stty size\r")
        assert b"31 101" in await read_until(terminal, b"31 101")
        await terminal.resize(50, 20)
        await terminal.write(b"stty size\r")
        assert b"20 50" in await read_until(terminal, b"20 50")


async def test_a_terminal_ends_with_its_exit_code(engine: Engine, sandboxes: Sandboxes):
    terminal = await opened(engine, sandboxes.running())
    with closing(terminal):
        await terminal.write(b"exit 7\r")
        await read_until(terminal, b"never")
        assert await terminal.read() == b""
        assert await terminal.exit_code() == 7
        await terminal.resize(40, 10)  # too late, and quietly so


async def test_ctrl_c_drops_the_line(engine: Engine, sandboxes: Sandboxes):
    terminal = await opened(engine, sandboxes.running())
    with closing(terminal):
        await terminal.write(b"exit 9\x03echo still-here\r")
        assert b"still-here\r\n" in await read_until(terminal, b"still-here\r\n")


async def test_a_closed_terminal_reads_as_ended(engine: Engine, sandboxes: Sandboxes):
    terminal = await opened(engine, sandboxes.running())
    await read_until(terminal, b"$ ")
    waiting = asyncio.create_task(terminal.read())
    await asyncio.sleep(0.05)
    terminal.close()
    await asyncio.wait_for(waiting, 5)
    assert await asyncio.wait_for(terminal.read(), 5) == b""
    terminal.close()


async def test_no_terminal_in_a_paused_one(engine: Engine, sandboxes: Sandboxes):
    native_id = sandboxes.running()
    engine.pause(native_id)
    with pytest.raises(Conflict, match="paused"):
        await opened(engine, native_id)


async def test_no_terminal_with_an_impossible_mark(engine: Engine):
    with pytest.raises(ValueError, match="SANDBOX_MARKER"):
        await engine.open_terminal(MISSING, ["sh"], cols=80, rows=24, marker="a b")


# -- events and statistics ------------------------------------------------------------------------


def test_events_tell_a_container_s_life(engine: Engine, sandboxes: Sandboxes):
    began, spec = time.time(), sandboxes.spec()
    native_id = sandboxes.created(spec)
    engine.start(native_id)
    engine.stop(native_id)
    engine.remove(native_id)

    def mine(events: Any) -> list[Any]:
        return [one for one in events if one.native_id == native_id]

    found = mine(collect(engine, began - 1, lambda all_: any(e.action == "destroy" for e in mine(all_))))
    wanted = ["create", "start", "die", "stop", "destroy"]
    assert [one.action for one in found if one.action in wanted] == wanted
    assert {one.sandbox_id for one in found} == {spec.sandbox_id}
    assert len({one.key for one in found}) == len(found)
    assert all(began - 2 < one.at < time.time() + 2 for one in found)
    assert next(one for one in found if one.action == "die").attributes["exitCode"].isdigit()


def test_an_event_stream_ends_soon_after_it_is_told_to(engine: Engine):
    began = time.monotonic()
    list(engine.events(time.time(), lambda: time.monotonic() - began > 0.2))
    assert time.monotonic() - began < 8


def test_the_first_sample_has_no_cpu_and_the_second_has(engine: Engine, sandboxes: Sandboxes):
    samples = engine.stats(sandboxes.running(), lambda: False)
    with closing(samples):
        first, second = next(samples), next(samples)
    assert first.cpu is None
    assert second.cpu is not None
    assert 0 <= second.cpu < 4
    assert second.at > first.at
    assert second.memory is not None
    assert 0 < second.memory < 64 << 20
    assert second.pids is not None
    assert second.pids >= 1


def test_samples_end_with_the_container(engine: Engine, sandboxes: Sandboxes):
    native_id = sandboxes.running()
    threading.Timer(0.5, lambda: engine.stop(native_id)).start()
    assert all(one.memory is not None for one in engine.stats(native_id, lambda: False))


def test_samples_end_soon_after_they_are_told_to(engine: Engine, sandboxes: Sandboxes):
    native_id, began = sandboxes.running(), time.monotonic()
    list(engine.stats(native_id, lambda: time.monotonic() - began > 0.2))
    assert time.monotonic() - began < 8


def test_cpu_time_grows_with_what_it_computes(engine: Engine, sandboxes: Sandboxes):
    native_id = sandboxes.running()
    before = engine.cpu_time(native_id)
    assert 0 <= before < 60
    assert engine.cpu_time(native_id) >= before
