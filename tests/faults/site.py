"""The whole product at the end of an engine that a test may break, and a look at its records."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Origin

from bench.person import Person
from tests.browser.product import Product, running
from tests.fakes.processes import wait_until

AWAY = re.compile(r'id="engine"(?![^>]*hidden)[^>]*>')
"""The banner of every page, when it shows."""


@contextlib.contextmanager
def site(data: Path, host: str, by_hand: str, **environment: str) -> Iterator[Product]:
    """A product that knows its engine as ``host``; what a test does by hand goes to ``by_hand``."""
    with running(data, DOCKER_HOST=host, **environment) as made:
        made.engine.close()
        made.engine = docker.DockerClient(base_url=by_hand)
        yield made


@contextlib.contextmanager
def small_disk(folder: Path, size: str = "64m") -> Iterator[Path]:
    """A folder on a file system of its own."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def query(product: Product, sql: str, *given: Any) -> list[tuple[Any, ...]]:
    """Rows of its database, past everything."""
    with contextlib.closing(sqlite3.connect(product.data / "db.sqlite3", timeout=20)) as connection:
        return connection.execute(sql, given).fetchall()


def statuses(product: Product) -> dict[str, str]:
    """Status by id; what is under way stands behind a plus."""
    rows = query(product, "SELECT id, status, pending FROM sandboxes_sandbox")
    return {pk: f"{status}+{pending}" if pending else status for pk, status, pending in rows}


def settled(product: Product, wanted: dict[str, str], seconds: float) -> None:
    """Wait until each of these has that status."""
    assert wait_until(lambda: wanted.items() <= statuses(product).items(), seconds), (
        statuses(product),
        wanted,
        product.log()[-3000:],
    )


def act(person: Person, pk: str, action: str) -> None:
    person.post(f"/sandboxes/{pk}/{action}/")


def is_away(person: Person, path: str = "/sandboxes/") -> bool:
    """Whether a page says that the engine is unreachable."""
    return bool(AWAY.search(person.page(path)))


def ready(product: Product) -> bool:
    """Whether /readyz says that it is."""
    return not why_not(product)


def why_not(product: Product) -> list[str]:
    """What /readyz says is missing."""
    try:
        with urllib.request.urlopen(f"{product.url}/readyz", timeout=10) as answer:
            return list(json.load(answer)["reasons"])
    except urllib.error.HTTPError as error:
        return list(json.load(error)["reasons"])
    except OSError as error:
        return [str(error)]


def breaches(product: Product) -> str:
    """What check_invariants says, "" when all is as it must be."""
    try:
        product.manage("check_invariants")
    except subprocess.CalledProcessError as error:
        return f"{error.stdout}{error.stderr}" or str(error)
    return ""


PATH = "/ws/sandboxes/{pk}/terminals/{name}/?cols=80&rows=24"


class Shell:
    """A terminal's socket, as a page has it."""

    def __init__(self, person: Person, pk: str, name: str = "main", path: str = PATH) -> None:
        path = path.format(pk=pk, name=name)
        self._stack = contextlib.ExitStack()
        self.socket = self._stack.enter_context(connect(
            person.product.url.replace("http", "ws") + path, origin=Origin(person.product.url),
            additional_headers={"Cookie": person.cookies()}, ping_interval=None,
        ))  # fmt: skip
        self.shown = b""
        self.said: list[dict[str, Any]] = []

    def type(self, line: str) -> None:
        self.socket.send(line.encode())

    def sees(self, wanted: Callable[[Shell], bool], seconds: float = 20) -> bool:
        """Read on until it holds, or the socket is closed."""
        return wait_until(lambda: wanted(self) or not self._read() or wanted(self), seconds) and wanted(self)

    def _read(self) -> bool:
        try:
            frame = self.socket.recv(timeout=0.2)
        except TimeoutError:
            return True
        except ConnectionClosed:
            return False
        if isinstance(frame, bytes):
            self.shown += frame
        else:
            self.said.append(json.loads(frame))
        return True

    def last(self, kind: str) -> dict[str, Any]:
        return next((one for one in reversed(self.said) if one.get("type") == kind), {})

    def close(self) -> None:
        self._stack.close()
