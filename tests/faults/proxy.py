"""A way to the engine that can be told to misbehave, and that writes down what goes along it.

One request a connection: the engine is asked to close after each, so that every single call meets
the way as it is then. What is upgraded (a terminal, a command) is passed on as bytes.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ENGINE = Path("/var/run/docker.sock")
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


@dataclass(frozen=True)
class Call:
    """One request to the engine: its head's two words, and its body."""

    method: str
    path: str
    body: bytes

    def json(self) -> object:
        return json.loads(self.body)


class Proxy:
    """Listens at ``door``, and passes on to ``target`` as ``mode`` says."""

    def __init__(self, door: Path, target: Path = ENGINE) -> None:
        self.door, self.target = door, target
        self.host = f"unix://{door}"
        self.mode = FINE
        self.calls: list[Call] = []
        self.spoiled = 0
        """Calls that did not pass as they should."""
        self._change = threading.Condition()
        self._open: set[socket.socket] = set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(door))
        self._listener.listen(512)
        threading.Thread(target=self._accept, daemon=True).start()

    def switch(self, mode: str) -> None:
        """From now on like this; what is under way is stalled or slowed too, or broken."""
        with self._change:
            self.mode = mode
            self._change.notify_all()
        if mode not in (FINE, "slow", "stalls"):
            self._break()

    def _break(self) -> None:
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.switch("refuses")
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        self._open.add(near)
        with contextlib.suppress(OSError), near:
            asked = request(near)
            if asked:
                self.calls.append(asked[0])
                self._answer(near, *asked)
        self._open.discard(near)

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

    def _pass_on(self, near: socket.socket, data: bytes) -> None:
        with socket.socket(socket.AF_UNIX) as far:
            far.connect(str(self.target))
            self._open.add(far)
            far.sendall(data)
            back = threading.Thread(target=self._relay, args=(near, far), daemon=True)
            back.start()
            self._relay(far, near)
            with contextlib.suppress(OSError):
                near.shutdown(socket.SHUT_RDWR)
            back.join()
            self._open.discard(far)

    def _relay(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := one.recv(65536):
                self._hold()
                if self.mode == "cuts":
                    other.sendall(piece[: len(piece) // 2])
                    break
                other.sendall(piece)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_WR)


def request(near: socket.socket) -> tuple[Call, bytes] | None:
    """One whole request, and what to send on in its place; None when nobody asks."""
    came = b""
    while b"\r\n\r\n" not in came:
        piece = near.recv(65536)
        if not piece:
            return None
        came += piece
    head, _, body = came.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    body = _body(near, body, fields)
    method, path, _ = lines[0].split(" ", 2)
    if "upgrade" not in fields:
        lines = [line for line in lines if not line.lower().startswith("connection:")] + ["Connection: close"]
    return Call(method, path, body), "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def _body(near: socket.socket, body: bytes, fields: dict[str, str]) -> bytes:
    """All of it, as it came: by its length, or in chunks to the last one."""
    if fields.get("transfer-encoding", "").lower() == "chunked":
        while not body.endswith(b"0\r\n\r\n") and (piece := near.recv(65536)):
            body += piece
        return body
    while len(body) < int(fields.get("content-length") or 0) and (piece := near.recv(65536)):
        body += piece
    return body


@contextlib.contextmanager
def proxy(folder: Path, target: Path | None = None) -> Iterator[Proxy]:
    """A proxy before the machine's engine, or another."""
    host = os.environ.get("DOCKER_HOST", f"unix://{ENGINE}")
    made = Proxy(folder / "proxy.sock", target or Path(host.removeprefix("unix://")))
    try:
        yield made
    finally:
        made.close()
