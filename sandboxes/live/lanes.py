"""So many at a time for each key; the others wait on the loop, not in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary


class Lanes:
    """``async with lanes.of(key)``: at most ``most`` of one key are inside, the others in order of coming."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lanes: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, key: str) -> AsyncIterator[None]:
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = asyncio.Semaphore(self._most)
        async with lane:
            yield
