"""Who sends without end, or does not read: nothing is lost, nothing piles up, nobody else waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bench.wire import BINARY, MORE, PING, PONG, Closed, Wire, framed
from sandboxes.management.web_server import BURST, INPUT

from .test_slow_clients import PATIENCE, serve

APP = """
async def application(scope, receive, send):
    size = 0
    while (got := await receive())["type"] != "websocket.disconnect":
        if got["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        elif got.get("text") == "flood":
            for _ in range(4096):
                await send({"type": "websocket.send", "bytes": b"x" * 65536})
            await send({"type": "websocket.send", "text": "done"})
        elif got.get("text"):
            await send({"type": "websocket.send", "text": str(size)})
        else:
            size += len(got["bytes"])
"""
MASK = b"mask"


FLOOD = 4096 * 65536


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[tuple[str, int], int]]:
    with serve(tmp_path_factory.mktemp("sockets"), APP) as both:
        yield both


@pytest.fixture
def served(server: tuple[tuple[str, int], int]) -> tuple[str, int]:
    return server[0]


def peak(process: int) -> int:
    """The most memory it ever had, in bytes."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def line(place: tuple[str, int]) -> Wire:
    return Wire(f"ws://{place[0]}:{place[1]}/", "http://x", "")


async def test_more_than_may_come_is_read_later_and_all_of_it(served: tuple[str, int]) -> None:
    beyond = 3 * INPUT
    async with line(served) as one, line(served) as other:
        began = time.monotonic()
        sending = asyncio.create_task(send(one, BURST + beyond))
        for _ in range(20):
            await other.send("how much")
            assert await asyncio.wait_for(other.recv(), 20) == "0"
        await sending
        assert await asyncio.wait_for(one.recv(), 60) == str(BURST + beyond)
        assert time.monotonic() - began >= 0.9 * beyond / INPUT


async def send(one: Wire, size: int) -> None:
    """So many bytes, some in fragments, and then the question."""
    piece = b"x" * 16384
    for number in range(size // len(piece)):
        if number % 3:
            await one.send(piece)
        else:
            await one.send_raw(framed(BINARY, piece[:5], MASK, end=False) + framed(MORE, piece[5:], MASK))
    await one.send("how much")


async def test_a_flood_of_pings_is_not_answered_one_by_one(served: tuple[str, int]) -> None:
    async with line(served) as one:
        began, pongs = time.monotonic(), 0
        await one.send_raw(framed(PING, b"", MASK) * 5000)
        await one.send("how much")
        while (got := await asyncio.wait_for(one.frame(), 60))[0] == PONG:
            pongs += 1
        assert got[1] == b"0"
        assert 1 <= pongs <= 1 + (time.monotonic() - began) / 0.1


async def test_a_socket_that_went_while_it_was_held_harms_nobody(served: tuple[str, int]) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(5):
            one = await stack.enter_async_context(line(served))
            with pytest.raises((TimeoutError, ConnectionError)):
                await asyncio.wait_for(send(one, 16 * BURST), 1)
    async with line(served) as other:
        await other.send("how much")
        assert await asyncio.wait_for(other.recv(), 20) == "0"


async def test_what_a_client_does_not_read_is_not_kept_for_it(server: tuple[tuple[str, int], int]) -> None:
    served, process = server
    before = peak(process)
    async with AsyncExitStack() as stack:
        deaf = [await stack.enter_async_context(line(served)) for _ in range(3)]
        for one in deaf:
            await one.send("flood")
        async with line(served) as other:
            for _ in range(20):
                await other.send("how much")
                assert await asyncio.wait_for(other.recv(), 20) == "0"
        for one in deaf:
            assert await asyncio.wait_for(until_closed(one), 60) < FLOOD
    assert peak(process) - before < 48 << 20


async def until_closed(one: Wire) -> int:
    """How much came of it that had found room on the way; it is read once it is closed."""
    await asyncio.sleep(2 * PATIENCE)
    size = 0
    while True:
        try:
            size += len((await one.frame())[1])
        except (Closed, ConnectionError):
            return size


async def test_who_reads_late_gets_all_of_it(served: tuple[str, int]) -> None:
    async with line(served) as one:
        await one.send("flood")
        await asyncio.sleep(PATIENCE / 3)
        size = 0
        while isinstance(got := await asyncio.wait_for(one.recv(), 60), bytes):
            size += len(got)
    assert (size, got) == (FLOOD, "done")
