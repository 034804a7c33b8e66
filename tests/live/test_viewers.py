"""A viewer whose socket broke is its consumer's business, and nobody else's."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from sandboxes.live.ring import Ring
from sandboxes.live.viewers import WINDOW, Viewer


@pytest.mark.parametrize("waits", [False, True], ids=["at once", "later"])
async def test_a_broken_socket_is_not_told_to_the_log(waits: bool) -> None:
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))

    async def broken(data: Any) -> None:
        if waits:
            await asyncio.sleep(0)
        raise ConnectionError

    ring = Ring(1024)
    ring.add(b"output")
    viewer = Viewer("alice", broken, broken, 80, 24)
    viewer.place(0)
    viewer.flush(ring)
    await asyncio.sleep(0.01)
    gc.collect()
    assert told == []


async def test_what_was_not_sent_cannot_be_acknowledged() -> None:
    sent: list[bytes] = []

    async def send(data: Any) -> None:
        sent.append(data)

    ring = Ring(4 * WINDOW)
    ring.add(b"x" * 2 * WINDOW)
    viewer = Viewer("alice", send, send, 80, 24)
    viewer.place(0)
    viewer.flush(ring)
    viewer.acknowledge(10**15)
    viewer.flush(ring)
    assert sum(map(len, sent)) == WINDOW
    viewer.acknowledge(WINDOW)
    viewer.flush(ring)
    assert sum(map(len, sent)) == 2 * WINDOW
