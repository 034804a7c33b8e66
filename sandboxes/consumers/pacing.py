"""Downloads no faster than they are taken: daphne itself keeps what a slow browser does not read.

It writes to Twisted, which buffers without bound and tells a registered producer when to pause. Other
servers let ``send`` wait by themselves; there nothing is done here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]


class Pace:
    """Twisted's push producer: it is paused while the connection has enough to send."""

    def __init__(self) -> None:
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    def pauseProducing(self) -> None:
        self.may_go_on.clear()

    def resumeProducing(self) -> None:
        self.may_go_on.set()

    def stopProducing(self) -> None:
        """The connection is gone; whoever waits learns of it elsewhere."""
        self.may_go_on.set()


@asynccontextmanager
async def paced(send: Send) -> AsyncIterator[Send]:
    """A ``send`` that waits, after a piece of a body with more to come, until the connection wants more."""
    request = next(iter(getattr(send, "args", ())), None)
    if not hasattr(request, "registerProducer"):
        yield send
        return
    sender = _Paced(send, request)
    try:
        yield sender.send
    finally:
        sender.end()


class _Paced:
    """The send of one request, which is a producer from its first piece on until its last."""

    def __init__(self, send: Send, request: Any) -> None:
        self._send, self._request = send, request
        self._pace: Pace | None = None

    async def send(self, message: Message) -> None:
        if message["type"] != "http.response.body" or not message.get("more_body"):
            self.end()
            await self._send(message)
            return
        if self._pace is None and self._request.channel is not None:
            self._pace = Pace()
            self._request.registerProducer(self._pace, True)
        await self._send(message)
        if self._pace is not None:
            await self._pace.may_go_on.wait()

    def end(self) -> None:
        """Before the last piece, and in any case: Twisted ends no request that still has a producer."""
        if self._pace is not None and self._request.channel is not None:
            self._request.unregisterProducer()
        self._pace = None
