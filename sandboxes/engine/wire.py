"""A connection taken out of the HTTP library's hands, with the bytes it had read ahead.

The library buffers: the head of an answer and the first output may arrive in one read, and whoever
then reads the bare socket loses that output. ``take_over`` drains the buffer first.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from .base import Unreachable

RECV = 256 * 1024


class Wire:
    """One connection, ours alone. ``sock`` is a socket, a TLS socket or an SSH channel."""

    def __init__(self, response: Any) -> None:
        reader = response.raw._fp.fp
        self._response = response
        self.sock: Any = getattr(getattr(reader, "raw", None), "_sock", None) or reader.channel
        self.head = _read_ahead(self.sock, reader)
        self.chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
        self.closed = False
        _keep_alive(self.sock)

    @property
    def plain(self) -> bool:
        """Whether the event loop can read it: a bare socket, nothing wrapped around it."""
        return type(self.sock) is socket.socket

    def recv(self, seconds: float | None = None) -> bytes:
        """What arrives next, b"" at the end or after ``close``.

        Waits at most ``seconds`` (None: without limit), then raises TimeoutError. Raises
        Unreachable when the connection breaks.
        """
        if self.head:
            head, self.head = self.head, b""
            return head
        try:
            self.sock.settimeout(seconds)
            return bytes(self.sock.recv(RECV))
        except TimeoutError:
            raise
        except OSError as error:
            if self.closed:
                return b""
            raise Unreachable("The connection to the engine broke.", str(error)) from error

    def send(self, data: bytes, seconds: float) -> None:
        """All of it. Raises Unreachable when the connection breaks, or nothing moves for so long."""
        try:
            self.sock.settimeout(seconds)
            self.sock.sendall(data)
        except OSError as error:
            raise Unreachable("The connection to the engine broke.", str(error)) from error

    def shutdown(self) -> None:
        """End it in both directions, which wakes whoever reads it in another thread."""
        self.closed = True
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of it. The answer goes first: its wrapper flushes into the socket."""
        self.shutdown()
        with contextlib.suppress(OSError, ValueError):
            self._response.close()
        with contextlib.suppress(OSError):
            self.sock.close()


class Wires:
    """The open connections to each container's programs, so that they can be cut.

    An engine (20.10) that cannot get rid of a program's output does not notice that the program,
    or its whole container, has ended: with one unread terminal a stop takes 12 s and a remove 20.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, weakref.WeakSet[Wire]] = {}

    def add(self, native_id: str, wire: Wire) -> None:
        with self._lock:
            self._open = {key: wires for key, wires in self._open.items() if wires}
            self._open.setdefault(native_id, weakref.WeakSet()).add(wire)

    def of(self, native_id: str) -> list[Wire]:
        """Those that are open now."""
        with self._lock:
            return [wire for wire in self._open.get(native_id, ()) if not wire.closed]

    def cut(self, native_id: str) -> None:
        """End all connections of a container; their readers see the end."""
        for wire in self.of(native_id):
            wire.shutdown()


@contextlib.contextmanager
def meanwhile(seconds: float, work: Callable[[], object]) -> Iterator[None]:
    """Do ``work`` in another thread if what is done inside takes longer than ``seconds``.

    What was begun is over afterwards: a signal meant for what is being stopped must not reach what is
    started next.
    """
    timer = threading.Timer(seconds, work)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _read_ahead(sock: Any, reader: Any) -> bytes:
    """What the library has buffered already, without waiting for more."""
    if not hasattr(reader, "peek"):
        return bytes(getattr(reader, "_rbuffer", b""))
    sock.setblocking(False)
    try:
        return bytes(reader.peek(1) or b"")
    except OSError:  # TLS has nothing to say yet
        return b""
    finally:
        sock.setblocking(True)


def _keep_alive(sock: Any) -> None:
    """Over a network, notice a peer that vanished without a word (after about a minute)."""
    if getattr(sock, "family", None) not in (socket.AF_INET, socket.AF_INET6):
        return
    with contextlib.suppress(OSError, AttributeError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
