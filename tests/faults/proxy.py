"""A way to the engine that can be told to misbehave, and that writes down what goes along it.

Every single call meets the way as it is then, since there is one a connection.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.recording import MACHINE, Call, Recorder, machine

ENGINE = Path(MACHINE.removeprefix("unix://"))
MODES = ("stalls", "slow", "cuts", "fails", "garbage", "refuses")
FINE = "fine"
SLOW = 1.0
"""Seconds by which a slow engine is late with every piece."""
NONSENSE = (
    b"\x16\x03\x01\x02\x00\x01\x00" + bytes(range(200)),
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"Id": [}',
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\nnull",
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]",
    b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 9\r\n\r\nnot found",
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n[{",
)
FAILED = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: 40\r\n"
    b'Connection: close\r\n\r\n{"message":"something is wrong in here"}'
)


class Proxy(Recorder):
    """Listens at ``door``, and passes on to ``target`` as ``mode`` says; ``calls`` are all it heard."""

    def __init__(self, door: Path, target: Path = ENGINE) -> None:
        self.mode = FINE
        self.calls: list[Call] = []
        self.spoiled = 0
        """Calls that did not pass as they should."""
        self._change = threading.Condition()
        super().__init__(door, target)

    def switch(self, mode: str) -> None:
        """From now on like this; what is under way is stalled or slowed too, or broken."""
        with self._change:
            self.mode = mode
            self._change.notify_all()
        if mode not in (FINE, "slow", "stalls"):
            self._break()

    def _break(self) -> None:
        for one in list(self.open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.switch("refuses")
        super().close()

    @property
    def reads_whole(self) -> bool:
        """An answer that does not come from the engine is given to who has said all."""
        return self.mode != FINE

    def _keep(self, call: Call) -> None:
        self.calls.append(call)

    def _answer(self, near: socket.socket, call: Call, data: bytes) -> None:
        if self.mode != FINE:
            self.spoiled += 1
        self._hold()
        if self.mode == "fails":
            near.sendall(FAILED)
        elif self.mode == "garbage":
            near.sendall(NONSENSE[self.spoiled % len(NONSENSE)])
        elif self.mode != "refuses":
            self._pass_on(near, data)

    def _hold(self) -> None:
        """Nothing moves while it stalls."""
        with self._change:
            while self.mode == "stalls":
                self._change.wait()
        if self.mode == "slow":
            time.sleep(SLOW)

    def _send(self, other: socket.socket, piece: bytes) -> None:
        self._hold()
        if self.mode == "cuts":
            other.sendall(piece[: len(piece) // 2])
            raise BrokenPipeError
        other.sendall(piece)


@contextlib.contextmanager
def proxy(folder: Path, target: Path | None = None) -> Iterator[Proxy]:
    """A proxy before the machine's engine, or another."""
    made = Proxy(folder / "proxy.sock", target or Path(machine().removeprefix("unix://")))
    try:
        yield made
    finally:
        made.close()
