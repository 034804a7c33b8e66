"""Bytes that a task waits for; it goes on the moment they come, not a turn of the event loop later.

A future wakes its task through the loop's queue: one more turn, with a look at every socket, between
a keystroke's echo and its way out. This is a fifth of what a keystroke costs here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any


class Arrival:
    """What asyncio calls a future-compatible object: awaited by one task, once.

    ``come`` and ``fail`` are for a callback of the loop, where no task is running.
    """

    _asyncio_future_blocking = False

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._wake: Callable[[Any], Any] | None = None
        self._context: Context | None = None
        self._data = b""
        self._failure: BaseException | None = None
        self._is_done = False

    def come(self, data: bytes) -> None:
        """Here they are: the task goes on before this returns."""
        self._data, self._is_done = data, True
        if self._wake is not None and self._context is not None:
            self._context.run(self._wake, self)

    def fail(self, failure: BaseException) -> None:
        """They will not come: the task is told so before this returns."""
        self._failure = failure
        self.come(b"")

    def done(self) -> bool:
        return self._is_done

    # -- what a task asks of whatever it waits for -------------------------------------------------

    def __await__(self) -> Generator[Any, None, bytes]:
        if not self._is_done:
            self._asyncio_future_blocking = True
            yield self
        return self.result()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def add_done_callback(self, call: Callable[[Any], Any], *, context: Context | None = None) -> None:
        self._wake, self._context = call, context or Context()

    def result(self) -> bytes:
        if self._failure is not None:
            raise self._failure
        return self._data

    def cancel(self, msg: Any = None) -> bool:
        """The task is being cancelled, by another that runs: it is woken through the queue."""
        if self._is_done:
            return False
        self._failure, self._is_done = asyncio.CancelledError(), True
        if self._wake is not None:
            self._loop.call_soon(self._wake, self, context=self._context)
        return True
