"""Who reads slowly is not who does not read: what the kernel was told has arrived is what counts."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import sys
import termios
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from sandboxes.management import web_server
from sandboxes.management.web_server import Outflow
from tests.fakes.processes import wait_until

SMALL = 8192
"""Bytes that a kernel keeps, so that little reading is soon seen on the other side."""


class Transport:
    """What an Outflow knows of Twisted's: bytes of its own, then the kernel's, then the client's."""

    offset = _tempDataLen = 0
    disconnecting = is_aborted = False

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self.dataBuffer = sock, b""

    def registerProducer(self, producer: Any, streaming: bool) -> None: ...

    def unregisterProducer(self) -> None: ...

    def fileno(self) -> int:
        return self.sock.fileno()

    def abortConnection(self) -> None:
        self.is_aborted = True

    def give(self, data: bytes = b"") -> int:
        """The kernel takes what it has room for; how much is left here."""
        self.dataBuffer += data
        with contextlib.suppress(BlockingIOError):
            while self.dataBuffer:
                self.dataBuffer = self.dataBuffer[self.sock.send(self.dataBuffer) :]
        return len(self.dataBuffer)


class Clock:
    """A loop whose time passes when a test says so."""

    def __init__(self) -> None:
        self.due: list[tuple[float, Any]] = []

    def call_later(self, seconds: float, act: Any) -> Any:
        timer = (seconds, act)
        self.due.append(timer)
        return SimpleNamespace(cancel=lambda: self.due.remove(timer))

    def pass_by(self) -> float:
        """Until the next thing that is due; the seconds that took."""
        seconds, act = self.due.pop(0)
        act()
        return seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    loop = SimpleNamespace(Event=asyncio.Event, get_running_loop=lambda: made)
    monkeypatch.setattr(web_server, "asyncio", loop)
    return made


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection with little room at either end: the server's and the client's."""
    with socket.socket() as door, socket.socket() as client:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        door.bind(("127.0.0.1", 0))
        door.listen()
        client.connect(door.getsockname())
        client.settimeout(20)
        server = door.accept()[0]
        with server:
            server.setblocking(False)
            yield server, client


@pytest.fixture
def transport(ends: tuple[socket.socket, socket.socket]) -> Transport:
    return Transport(ends[0])


@pytest.fixture
def client(ends: tuple[socket.socket, socket.socket]) -> socket.socket:
    return ends[1]


def in_kernel(transport: Transport) -> int:
    return int.from_bytes(fcntl.ioctl(transport.fileno(), termios.TIOCOUTQ, b"\0" * 4), sys.byteorder)


def full(transport: Transport) -> Outflow:
    """Neither kernel takes any more, and half a megabyte is left here."""
    out = Outflow(transport)
    transport.give(b"x" * (1 << 19))
    assert len(transport.dataBuffer) > 1 << 18
    out.pauseProducing()
    return out


def read_until(client: socket.socket, is_noticed: Callable[[], bool]) -> None:
    """A little at a time, until the server's side notices."""
    assert wait_until(lambda: bool(client.recv(1024)) and is_noticed(), 20)


def test_who_reads_slowly_but_steadily_is_never_closed(
    transport: Transport, client: socket.socket, clock: Clock, settings: Any
) -> None:
    settings.SANDBOX_CLIENT_PATIENCE = 7.5
    out = full(transport)
    for _ in range(4):
        left = transport.give() + in_kernel(transport)
        read_until(client, lambda: transport.give() + in_kernel(transport) < left)  # noqa: B023
        assert clock.pass_by() == 7.5
        assert not transport.is_aborted
    assert not out.room.is_set()  # there never was room


def test_what_left_the_kernel_was_read_though_all_that_is_here_still_is(
    transport: Transport, client: socket.socket, clock: Clock
) -> None:
    full(transport)
    held, left = in_kernel(transport), len(transport.dataBuffer)
    read_until(client, lambda: in_kernel(transport) < held)
    clock.pass_by()
    assert (transport.is_aborted, len(transport.dataBuffer)) == (False, left)


def test_who_reads_nothing_is_closed_after_it(transport: Transport, clock: Clock, settings: Any) -> None:
    settings.SANDBOX_CLIENT_PATIENCE = 7.5
    full(transport)
    assert wait_until(lambda: clock.pass_by() == 7.5 and transport.is_aborted, 20)
    assert clock.due == []


def test_who_stops_reading_is_closed_too(transport: Transport, client: socket.socket, clock: Clock) -> None:
    full(transport)
    held = in_kernel(transport)
    read_until(client, lambda: in_kernel(transport) < held)
    clock.pass_by()
    assert not transport.is_aborted
    assert wait_until(lambda: bool(clock.pass_by()) and transport.is_aborted, 20)


def test_once_all_is_read_nobody_waits(transport: Transport, clock: Clock) -> None:
    out = full(transport)
    out.resumeProducing()
    assert (out.room.is_set(), clock.due, transport.is_aborted) == (True, [], False)
