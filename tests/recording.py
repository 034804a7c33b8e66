"""The way to a real engine on which every call is written down, for the whole of a test run.

Products under test are started with ``host()`` as their engine, and engines of the tests' own process are led
there once ``begin()`` was called; what a test does by hand goes past it. After each test, conftest.py holds
what was heard against the closed list in faults/calls.py.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import re
import shutil
import socket
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from sandboxes.engine import docker_engine

MACHINE = "unix:///var/run/docker.sock"
LARGEST = 1 << 20
"""Bytes of a body that is kept: beyond are archives."""


@dataclass(frozen=True)
class Call:
    """One request to the engine: its head's two words, and its body, unless that is an archive."""

    method: str
    path: str
    body: bytes = b""
    image: Mapping[str, Any] | None = None
    """For a create: what the engine says of its image at that moment."""

    def json(self) -> Any:
        return json.loads(self.body)


_heard: deque[Call] = deque()
_is_on = threading.Event()
_made: set[str] = set()
"""Names of the containers and networks that products under test asked the machine's engine for."""


def take() -> list[Call]:
    """All calls since this was asked last, of all ways there are."""
    return [_heard.popleft() for _ in range(len(_heard))]


class Recorder:
    """Listens at ``door``, writes down, and passes on to ``target``.

    One request a connection: the engine is asked to close after each, so that every call is seen. What is
    upgraded (a terminal, a command) is passed on as bytes.
    """

    def __init__(self, door: Path, target: Path) -> None:
        self.door, self.target = door, target
        self.host = f"unix://{door}"
        self.open: set[socket.socket] = set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(door))
        door.chmod(0o660)  # as the engine's own: a product in a container is given its group
        self._listener.listen(512)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
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
        self.open.add(near)
        with contextlib.suppress(OSError), near:
            asked = request(near, whole=self.reads_whole)
            if asked:
                self._note(asked[0])
                self._answer(near, *asked)
        self.open.discard(near)  # it is closed

    def _note(self, call: Call) -> None:
        if "/containers/create" in call.path:
            call = Call(call.method, call.path, call.body, self._image(call))
        self._keep(call)
        _heard.append(call)
        if f"unix://{self.target}" == machine():
            _made.update(re.findall(r"/containers/create\?name=([\w-]+)", call.path))
            _made.update([call.json()["Name"]] if call.path.endswith("/networks/create") else [])

    def _keep(self, call: Call) -> None:
        """For a way of its own that is asked later: here nothing is kept beyond its test."""

    def _image(self, call: Call) -> Mapping[str, Any] | None:
        client = docker.APIClient(base_url=f"unix://{self.target}", version="1.41", timeout=10)
        with contextlib.closing(client), contextlib.suppress(docker.errors.DockerException, OSError):
            return dict(client.inspect_image(call.json()["Image"]))
        return None

    @property
    def reads_whole(self) -> bool:
        """Whether a request has to be here to its end before anything of it is passed on."""
        return False

    def _answer(self, near: socket.socket, call: Call, data: bytes) -> None:
        self._pass_on(near, data)

    def _pass_on(self, near: socket.socket, data: bytes) -> None:
        with socket.socket(socket.AF_UNIX) as far:
            far.connect(str(self.target))
            self.open.add(far)
            far.sendall(data)
            back = threading.Thread(target=self._relay, args=(near, far), daemon=True)
            back.start()
            self._relay(far, near)
            with contextlib.suppress(OSError):
                near.shutdown(socket.SHUT_RDWR)
            back.join()
        self.open.discard(far)

    def _relay(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := one.recv(65536):
                self._send(other, piece)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_WR)

    def _send(self, other: socket.socket, piece: bytes) -> None:
        other.sendall(piece)


def request(near: socket.socket, *, whole: bool) -> tuple[Call, bytes] | None:
    """A request, and what to send on in its place; None when nobody asks.

    Not ``whole``: an archive is left to come, and is not in the call.
    """
    came = b""
    while b"\r\n\r\n" not in came:
        piece = near.recv(65536)
        if not piece:
            return None
        came += piece
    head, _, body = came.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    is_small = "transfer-encoding" not in fields and int(fields.get("content-length") or 0) <= LARGEST
    body = _body(near, body, fields) if whole or is_small else body
    method, path, _ = lines[0].split(" ", 2)
    if "upgrade" not in fields:
        lines = [line for line in lines if not line.lower().startswith("connection:")] + ["Connection: close"]
    sent_on = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
    return Call(method, path, body if whole or is_small else b""), sent_on


def _body(near: socket.socket, body: bytes, fields: dict[str, str]) -> bytes:
    """All of it, as it came: by its length, or in chunks to the last one."""
    if fields.get("transfer-encoding", "").lower() == "chunked":
        while not body.endswith(b"0\r\n\r\n") and (piece := near.recv(65536)):
            body += piece
        return body
    while len(body) < int(fields.get("content-length") or 0) and (piece := near.recv(65536)):
        body += piece
    return body


def machine() -> str:
    """Where the machine's engine is, for what is done by hand."""
    return os.environ.get("DOCKER_HOST", MACHINE)


@contextlib.contextmanager
def by_hand() -> Iterator[docker.APIClient]:
    """What somebody does with the engine's own tools: past the product, and past what is written down."""
    with contextlib.closing(docker.APIClient(base_url=machine(), version="auto", timeout=60)) as api:
        yield api


def left() -> list[str]:
    """What tests have had made on the machine's engine, and not put away."""
    if not _made:
        return []
    with by_hand() as api:
        names = {name.strip("/") for one in api.containers(all=True) for name in one["Names"] or ()}
        names |= {one["Name"] for one in api.networks() if one["Name"].startswith("test-")}
    return sorted(names & _made)


def put_away(network: str) -> None:
    """Remove a test's network: the engine has addresses for thirty, and then for nobody's."""
    with by_hand() as api:
        for one in api.networks(names=[network]):
            api.remove_network(one["Id"])


def host() -> str:
    """Where products under test find the machine's engine. Benchmarks and pictures go straight to it.

    One that is no socket cannot be recorded.
    """
    return _way().host if _is_on.is_set() and machine().startswith("unix://") else machine()


@functools.cache
def _way() -> Recorder:
    folder = Path(tempfile.mkdtemp(prefix="way-"))
    made = Recorder(folder / "engine.sock", Path(machine().removeprefix("unix://")))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return made


def sockets() -> int:
    """How many of this process's open files are the recorder's own."""
    return len(_way().open)


def begin() -> None:
    """From now on, engines of this very process take the recorded way to the machine's engine, too."""
    _is_on.set()
    real = docker_engine.make_client

    def made(environment: Mapping[str, str], pool: int, version: str) -> docker_engine.Client:
        named = environment.get("DOCKER_HOST", MACHINE)
        return real(
            {**environment, "DOCKER_HOST": host()} if named == machine() else environment, pool, version
        )

    docker_engine.make_client = made  # type: ignore[assignment]  # the same, by another way
