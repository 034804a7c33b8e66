"""A wire that can be cut: a relay between the browser and the server, or the server and the engine."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path


class Wire:
    """Relays to ``target`` until ``cut()``; then it refuses, until ``mend()``.

    The target is a port of this machine, or a unix socket; then ``door`` is where it listens, too.
    """

    def __init__(self, target: int | Path, door: Path | None = None) -> None:
        self.target = target
        self.is_cut = False
        self._ends: list[socket.socket] = []
        self._door = _door(door)
        self.address = self._door.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break every connection, with no goodbye."""
        self.is_cut = True
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._ends.clear()

    def mend(self) -> None:
        self.is_cut = False

    def close(self) -> None:
        self.cut()
        self._door.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._door.accept()
                if self.is_cut:
                    near.close()
                    continue
                far = self._reach()
            except OSError:
                return
            self._ends += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_relay, args=(one, other), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.address[1])

    def _reach(self) -> socket.socket:
        if isinstance(self.target, int):
            return socket.create_connection(("127.0.0.1", self.target))
        far = socket.socket(socket.AF_UNIX)
        far.connect(str(self.target))
        return far


def _door(path: Path | None) -> socket.socket:
    if path is None:
        return socket.create_server(("127.0.0.1", 0))
    door = socket.socket(socket.AF_UNIX)
    door.bind(str(path))
    door.listen()
    return door


def _relay(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
    for end in (one, other):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def wire(target: int | Path, door: Path | None = None) -> Iterator[Wire]:
    made = Wire(target, door)
    try:
        yield made
    finally:
        made.close()
