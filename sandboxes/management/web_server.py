"""Daphne with less patience: `python -m sandboxes.management.web_server` takes the same options.

Daphne closes a connection on which nothing comes for a minute, and begins anew with every byte: who
sends one now and then keeps it for ever. Here a request's head has to be whole within
SANDBOX_CLIENT_PATIENCE seconds, its body may pause for as long and has LONGEST in all.

A socket is read no faster than INPUT bytes a second: daphne would keep whatever comes until somebody
has time for it. Nor is anything sent on one whose client does not read: who sends waits, and after
SANDBOX_CLIENT_PATIENCE seconds without room it is closed.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sandboxes.settings")

from daphne import server
from daphne.cli import CommandLineInterface
from daphne.http_protocol import HTTPFactory
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from django.conf import settings
from twisted.web.http import HTTPChannel

from sandboxes.management import priority

LONGEST = 300.0
"""Seconds in which a request's body has to be here."""
RESTS = 4
"""So many times that patience between two requests: a proxy in front of us should let go first."""


INPUT = 256 * 1024
"""Bytes a second that are read of one socket in the long run."""
BURST = 1024 * 1024
"""Bytes that are read at once."""
PONGS = 0.1
"""Seconds at least between two answers to pings; the protocol asks for the latest only."""
STUCK = 2.0
"""Seconds without room for output, from when on nothing more is read either: its application waits."""


class Outflow:
    """Whether there is room for more on one connection: Twisted tells its producer, which this is.

    It says so when more than 64 KiB are unsent, and when none are any more.
    """

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.room = asyncio.Event()
        self.room.set()
        self.since = 0.0
        self.timer: asyncio.TimerHandle | None = None
        transport.unregisterProducer()  # of the request that this was
        transport.registerProducer(self, True)

    @property
    def is_stuck(self) -> bool:
        return not self.room.is_set() and time.monotonic() - self.since > STUCK

    def pauseProducing(self) -> None:
        self.room.clear()
        self.since = time.monotonic()
        later = asyncio.get_running_loop().call_later  # twisted runs on it
        self.timer = later(settings.SANDBOX_CLIENT_PATIENCE, self.transport.abortConnection)

    def resumeProducing(self) -> None:
        self.stopProducing()
        if self.transport.disconnecting:
            self.transport.unregisterProducer()  # or it would wait for more

    def stopProducing(self) -> None:
        """Nobody waits for it any more; its client has read everything, or is gone."""
        if self.timer is not None:
            self.timer.cancel()
        self.room.set()


class Server(server.Server):
    """Daphne's; whoever sends on a socket waits until there is room for more."""

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        await super().handle_reply(protocol, message)
        if message["type"] == "websocket.send" and isinstance(protocol, Line):
            await protocol.out.room.wait()


class Line(WebSocketProtocol):
    """One socket. Who sends too much is read later, which is theirs to wait for: nothing of it is lost."""

    free, at, ponged = float(BURST), 0.0, 0.0

    def connectionMade(self) -> None:
        super().connectionMade()
        self.out = Outflow(self.transport)

    def connectionLost(self, reason: Any) -> None:
        self.out.stopProducing()
        super().connectionLost(reason)

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        now = time.monotonic()
        self.free, self.at = min(BURST, self.free + (now - self.at) * INPUT) - len(data), now
        if self.free < 0 or self.out.is_stuck:
            self.transport.pauseProducing()
            self.read_on_in(max(-self.free / INPUT, 0.1))

    def read_on_in(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self.read_on)

    def read_on(self) -> None:
        if self.out.is_stuck:
            self.read_on_in(0.1)
        else:
            self.transport.resumeProducing()

    def onPing(self, payload: bytes) -> None:
        """Answers that nobody reads would pile up here."""
        if time.monotonic() - self.ponged >= PONGS:
            self.ponged = time.monotonic()
            super().onPing(payload)


class Channel(HTTPChannel):
    """One connection. Its clock runs from its first byte, or the first after an answer, to a whole head."""

    whole_head = 0.0
    rests = False

    def resetTimeout(self) -> None:
        """What comes in gives more time only to a body, and only for so long."""
        if self._transferDecoder is not None:
            if time.monotonic() - self.whole_head < LONGEST:
                super().resetTimeout()
        elif self.rests:
            self.rests = False
            self.setTimeout(settings.SANDBOX_CLIENT_PATIENCE)

    def allHeadersReceived(self) -> None:
        self.whole_head = time.monotonic()
        self.setTimeout(settings.SANDBOX_CLIENT_PATIENCE)
        super().allHeadersReceived()

    def requestDone(self, request: Any) -> None:
        """Between two requests there is time; not where the next has begun to come."""
        self.rests = not self._dataBuffer
        super().requestDone(request)
        if self.rests and self.persistent:
            self.setTimeout(RESTS * settings.SANDBOX_CLIENT_PATIENCE)


class ImpatientFactory(HTTPFactory):
    """Daphne's, with connections of ours."""

    def __init__(self, served: Any) -> None:
        super().__init__(served)
        self.timeOut = settings.SANDBOX_CLIENT_PATIENCE

    def buildProtocol(self, addr: Any) -> Any:
        made = super().buildProtocol(addr)
        if made is not None:
            made._channel.__class__ = Channel  # Twisted offers no other way to choose it
        return made


def main() -> None:
    """Serve as daphne's own command does."""
    priority.change(settings.SANDBOX_NICENESS)
    server.HTTPFactory = ImpatientFactory
    WebSocketFactory.protocol = Line
    CommandLineInterface.server_class = Server
    CommandLineInterface.entrypoint()


if __name__ == "__main__":
    main()
