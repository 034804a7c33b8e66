"""Coroutines that run beside whoever starts them: held until they are over, their failures noted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

log = logging.getLogger(__name__)


class Tasks:
    """What is under way; the loop alone would forget it."""

    def __init__(self) -> None:
        self._under_way: set[asyncio.Task[Any]] = set()

    def do(self, work: Any) -> asyncio.Task[Any]:
        """Run a coroutine now as far as it goes without waiting, and keep hold of the rest."""
        task: asyncio.Task[Any] = asyncio.Task(work, loop=asyncio.get_running_loop(), eager_start=True)
        if task.done():
            _look(task)
        else:
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            task.add_done_callback(_look)
        return task


async def tried[T](work: Awaitable[T]) -> T | None:
    """What a hook fails at must not keep a terminal from ending."""
    try:
        return await work
    except Exception:
        log.exception("A terminal's end could not be dealt with")
        return None


def _look(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.debug("A terminal's task ended: %r", task.exception())
