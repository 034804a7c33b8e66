"""A machine beyond this one: a network namespace behind a pair of interfaces. What goes there is forwarded.

An address of the host's own, wherever it is put, is answered by the host itself, and so by other rules.
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "beyond"
NAMESPACES = Path("/var/run/netns")
GATE = "169.254.77.76"
"""This machine's side."""


@contextmanager
def machine(address: str, port: int) -> Iterator[None]:
    """One that answers there, one number after GATE, gone afterwards. Needs root."""
    name = f"{PREFIX}{os.getpid()}"
    sweep()
    try:
        _build(name, address)
        with _entered(name, port) as server:
            threading.Thread(target=_answer, args=(server,), daemon=True).start()
            yield
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)  # wakes the thread
    finally:
        remove(name)


def _build(name: str, address: str) -> None:
    near, far = f"{name}a", f"{name}b"
    _ip("netns", "add", name)
    _ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", name)
    _ip("addr", "add", f"{GATE}/31", "dev", near)
    _ip("link", "set", near, "up")
    _ip("-n", name, "addr", "add", f"{address}/31", "dev", far)
    _ip("-n", name, "link", "set", far, "up")
    _ip("-n", name, "route", "add", "default", "via", GATE)


@contextmanager
def _entered(name: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens over there: it belongs to where the thread was that made it."""
    made: list[socket.socket] = []

    def make() -> None:
        with (NAMESPACES / name).open() as place:
            os.setns(place.fileno(), os.CLONE_NEWNET)
        made.append(socket.create_server(("", port)))

    visitor = threading.Thread(target=make)
    visitor.start()
    visitor.join()
    with made[0] as server:
        yield server


def _answer(server: socket.socket) -> None:
    """Take each connection and end it, until the server is closed."""
    with suppress(OSError):
        while True:
            server.accept()[0].close()


def remove(name: str) -> None:
    """Also what is only half there."""
    _ip("link", "del", f"{name}a", must=False)
    _ip("netns", "del", name, must=False)


def sweep() -> None:
    """What test runs have left that were killed."""
    for place in NAMESPACES.glob(f"{PREFIX}[0-9]*"):
        if not Path("/proc", place.name.removeprefix(PREFIX)).exists():
            remove(place.name)


def _ip(*words: str, must: bool = True) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not must, (words, done.stderr)
