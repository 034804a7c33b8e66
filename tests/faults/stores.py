"""A PostgreSQL and a Redis that can be killed, frozen and begun again on the same data."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sandboxes.management.supervisor import die_with
from scripts import services
from tests.fakes.processes import wait_until


@dataclass
class Store:
    """One server. ``url`` is its address, which stays the same whatever happens to it."""

    command: list[str]
    folder: Path
    who: dict[str, Any]
    socket: Path
    url: str
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        """Begin, and wait until it listens."""
        self.socket.unlink(missing_ok=True)
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=die_with(os.getpid()), **self.who,
            )  # fmt: skip
        assert wait_until(self.socket.exists, 60), (self.folder / "log").read_text()[-800:]

    def send(self, number: int) -> None:
        """A signal to it and to all it has started: PostgreSQL's have sessions of their own."""
        assert self.process is not None
        for pid in (self.process.pid, *children(self.process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """As by kill -9, or by the kernel when memory runs out."""
        assert self.process is not None
        left = children(self.process.pid)
        self.send(signal.SIGKILL)
        self.process.wait()
        assert wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left), 30)


def children(parent: int) -> list[int]:
    """The processes that this one has started."""
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(pid) for pid in found.split()]


@contextmanager
def postgres() -> Iterator[Store]:
    with services._folder("postgres") as (folder, who):
        services._initdb(folder / "data", who)
        words = {"unix_socket_directories": folder, "listen_addresses": "", "fsync": "off"}
        command = [str(services.find("postgres")), "-D", str(folder / "data")]
        command += [f"-c{name}={value}" for name, value in words.items()]
        url = f"postgres://postgres@{quote(str(folder), safe='')}/postgres"
        with _running(Store(command, folder, who, folder / ".s.PGSQL.5432", url)) as store:
            yield store


@contextmanager
def redis() -> Iterator[Store]:
    with services._folder("nobody") as (folder, who):
        socket = folder / "redis.sock"
        command = [str(services.find("redis-server")), "--port", "0", "--unixsocket", str(socket)]
        command += ["--save", "", "--dir", str(folder)]
        with _running(Store(command, folder, who, socket, f"unix://{socket}")) as store:
            yield store


@contextmanager
def _running(store: Store) -> Iterator[Store]:
    store.start()
    try:
        yield store
    finally:
        store.kill()
