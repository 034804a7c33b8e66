"""Daphne with less patience: `python -m sandboxes.management.web_server` takes the same options.

Daphne closes a connection on which nothing comes for a minute, and begins anew with every byte: who
sends one now and then keeps it for ever. Here a request's head has to be whole within
SANDBOX_CLIENT_PATIENCE seconds, its body may pause for as long and has LONGEST in all. A body of more than
LARGEST bytes is refused: daphne writes all of it to disk first, whoever sends it.

A socket is read no faster than INPUT bytes a second: daphne would keep whatever comes until somebody
has time for it. Nor is anything sent on one whose client does not read: who sends waits, and after
SANDBOX_CLIENT_PATIENCE seconds in which none was taken it is closed.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
import termios
import time
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sandboxes.settings")

from daphne import server
from daphne.cli import CommandLineInterface
from daphne.http_protocol import HTTPFactory, WebRequest
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from django.conf import settings
from twisted.internet.protocol import connectionDone
from twisted.web.http import HTTPChannel

from sandboxes.management import priority

LONGEST = 300.0
"""Seconds in which a request's body has to be here."""
LARGEST = 16 << 20
"""Bytes of a body: the largest files that pages take have 5 MiB, with pictures of 2 MiB beside them."""
IN_ALL = 32 * LARGEST
SMALL = 1 << 20
"""Bytes of bodies that are on their way at a time, which is what they take of the disk; small ones come in
regardless."""
LINGER = 2.0
"""Seconds in which who sends too much can read that it is; what comes meanwhile is let go."""
TOO_LARGE = (
    f"That was too large: the largest file that can be uploaded has 5 MiB, and a form {LARGEST >> 20} MiB."
)
TOO_MUCH = "Too much is being uploaded just now. Try again in a minute."
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


class Unread:
    """What waits for one client, which is let go when it takes none of it for too long."""

    def __init__(self, transport: Any) -> None:
        self.transport, self.left = transport, 0
        self.timer: asyncio.TimerHandle | None = None

    def wait(self) -> None:
        self.left = self.count()
        later = asyncio.get_running_loop().call_later  # twisted runs on it
        self.timer = later(settings.SANDBOX_CLIENT_PATIENCE, self.look)

    def look(self) -> None:
        """Who reads slowly is not who does not read."""
        if self.count() < self.left:
            self.wait()
        else:
            self.transport.abortConnection()

    def count(self) -> int:
        """Bytes that are here, or in the kernel and not yet with the client."""
        here = len(self.transport.dataBuffer) - self.transport.offset + self.transport._tempDataLen
        kernel = fcntl.ioctl(self.transport.fileno(), termios.TIOCOUTQ, b"\0" * 4)
        return int(here) + int.from_bytes(kernel, sys.byteorder)

    def end(self) -> None:
        """It took all of it, or is gone."""
        if self.timer is not None:
            self.timer.cancel()


class Outflow(Unread):
    """Whether there is room for more on one connection: Twisted tells its producer, which this is.

    It says so when more than 64 KiB are unsent, and when none are any more.
    """

    def __init__(self, transport: Any) -> None:
        super().__init__(transport)
        self.room = asyncio.Event()
        self.room.set()
        self.since = 0.0
        transport.unregisterProducer()  # of the request that this was
        transport.registerProducer(self, True)

    @property
    def is_stuck(self) -> bool:
        return not self.room.is_set() and time.monotonic() - self.since > STUCK

    def pauseProducing(self) -> None:
        self.room.clear()
        self.since = time.monotonic()
        self.wait()

    def resumeProducing(self) -> None:
        self.stopProducing()
        if self.transport.disconnecting:
            self.transport.unregisterProducer()  # or it would wait for more

    def stopProducing(self) -> None:
        """Nobody waits for it any more; its client has read everything, or is gone."""
        self.end()
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


class Body(WebRequest):
    """A request whose body is counted while it comes, by itself and together with all others."""

    on_their_way = 0
    size = 0

    def gotLength(self, length: int | None) -> None:
        super().gotLength(length)
        if length is not None and length > LARGEST:
            self.channel.refuse("413 Content Too Large", TOO_LARGE)

    def handleContentChunk(self, data: bytes) -> None:
        self.size += len(data)
        Body.on_their_way += len(data)
        if self.size > LARGEST:
            self.channel.refuse("413 Content Too Large", TOO_LARGE)
        elif self.size > SMALL and Body.on_their_way > IN_ALL:
            self.channel.refuse("503 Service Unavailable", TOO_MUCH)
        if not self.channel.is_refused:
            super().handleContentChunk(data)

    def forget(self) -> None:
        """It is here in full, or will never be."""
        Body.on_their_way -= self.size
        self.size = 0

    def requestReceived(self, *line: Any) -> None:
        self.forget()
        if not self.channel.is_refused:
            super().requestReceived(*line)

    def connectionLost(self, reason: Any) -> None:
        self.forget()
        super().connectionLost(reason)


class Channel(HTTPChannel):
    """One connection. Its clock runs from its first byte, or the first after an answer, to a whole head."""

    whole_head = 0.0
    rests = is_refused = False
    unread: Unread | None = None

    def pauseProducing(self) -> None:
        """More than 64 KiB of answers are unsent. Twisted's own clock stands still while it answers."""
        super().pauseProducing()
        self.unread = Unread(self.transport)
        self.unread.wait()

    def resumeProducing(self) -> None:
        self.take_up()
        super().resumeProducing()

    def connectionLost(self, reason: Any = connectionDone) -> None:
        self.take_up()
        super().connectionLost(reason)

    def take_up(self) -> None:
        """Nothing is unsent any more."""
        if self.unread is not None:
            self.unread.end()

    def dataReceived(self, data: bytes) -> None:
        if not self.is_refused:
            super().dataReceived(data)

    def refuse(self, status: str, sentence: str) -> None:
        """Say so at once, and close it soon; of what still comes nothing is kept."""
        if not self.is_refused:
            self.is_refused = True
            head = "Content-Type: text/plain; charset=utf-8\r\nRetry-After: 60\r\nConnection: close"
            answer = f"HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {len(sentence)}\r\n\r\n{sentence}"
            transport: Any = self.transport
            transport.write(answer.encode("ascii"))
            self.setTimeout(LINGER)

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
            made.requestFactory = made._channel.requestFactory = Body
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
