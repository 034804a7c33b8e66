"""Many people and their terminals on a running product, and what is measured meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker

from bench.person import Person, web_process
from bench.terminal import Ours, ready, until
from tests.browser.product import Product

MIB = 1 << 20


def settled(fact: Callable[[], object], seconds: float, what: Callable[[], str] = str) -> float:
    """Wait until ``fact()`` is true; after how many seconds it was."""
    began = time.monotonic()
    while not fact():
        assert time.monotonic() - began < seconds, what()
        time.sleep(0.2)
    return time.monotonic() - began


def launch_many(person: Person, names: Sequence[str], **fields: str) -> list[str]:
    """Sandboxes of those names, running."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda name: person.launch(name, **fields), names))


def alive(product: Product, sandboxes: Sequence[str]) -> list[str]:
    """Command lines in these sandboxes, as the host sees them, without their main processes."""
    found = []
    for one in sandboxes:
        with contextlib.suppress(docker.errors.APIError):  # it is gone, or going
            rows = product.engine.api.top(f"sandbox-{one}", "-o pid,ppid,etimes,args")["Processes"] or []
            found += others([(-int(age), int(pid), int(parent), args) for pid, parent, age, args in rows])
    return found


def others(rows: list[tuple[int, int, int, str]]) -> list[str]:
    """All but the first process and its first child, which reads its stdin for ever. By when they began
    (seconds), since numbers begin anew after the highest; of those of one second init is the first."""
    rows = sorted(rows, key=lambda row: (row[0], "docker-init" not in row[3], row[1]))
    first = rows[0][1] if rows else 0
    main = next((pid for _, pid, parent, _ in rows if parent == first), 0)
    return [args for _, pid, _, args in rows if pid not in (first, main)]


def web_memory(product: Product) -> float:
    """MiB that the web process has in memory."""
    return int(Path(f"/proc/{web_process(product)}/statm").read_text().split()[1]) * 4096 / MIB


def free_disk() -> int:
    """Bytes that are free where the engine keeps its data."""
    root = os.statvfs("/var/lib/docker" if os.path.isdir("/var/lib/docker") else "/")
    return root.f_bavail * root.f_frsize


def p(times: Sequence[float], share: int) -> float:
    """The percentile, in ms."""
    return round(statistics.quantiles(times, n=100)[share - 1] * 1000, 1)


@contextmanager
def visits(person: Person, path: str = "/sandboxes/", pause: float = 0.1) -> Iterator[list[float]]:
    """Somebody looks at a page all the while; gives the seconds of each answer as they come."""
    times: list[float] = []
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(pause):
            began = time.monotonic()
            person.page(path)
            times.append(time.monotonic() - began)

    visitor = threading.Thread(target=go_on)
    visitor.start()
    try:
        yield times
    finally:
        over.set()
        visitor.join(30)


async def echoes(person: Person, sandbox: str, seconds: float, name: str = "echo") -> list[float]:
    """Somebody types twenty keys a second; the seconds from each key to its coming back."""
    times: list[float] = []
    async with person.wire(sandbox, name) as wire:
        ours = Ours(wire)
        await ready(ours)
        end, index = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            byte = bytes([97 + (index := index + 1) % 26])
            began = time.monotonic()
            await ours.write(byte)
            await until(ours, byte, 30)
            times.append(time.monotonic() - began)
            await asyncio.sleep(0.05)
    return times


async def begun(socket: Any, line: str) -> Any:
    """A terminal in which a line has been run to its end."""
    ours = Ours(socket)
    await ours.write(f"{line}\nprintf 're''ady!'\n".encode())
    await until(ours, b"ready!", 60)
    return socket


class Client:
    """A browser that is a process, so that it can be killed."""

    def __init__(self, person: Person, paths: Sequence[str], line: str) -> None:
        order = {"url": person.product.url, "cookies": person.cookies(), "paths": list(paths), "line": line}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.crowd", json.dumps(order)], stdout=subprocess.PIPE, text=True
        )

    def wait(self) -> None:
        assert self.process.stdout
        assert self.process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


async def be_client(order: dict[str, Any]) -> None:
    from bench.wire import Wire

    wires = [Wire(order["url"].replace("http", "ws") + path, order["url"], order["cookies"])
             for path in order["paths"]]  # fmt: skip
    for wire in wires:
        await begun(await wire.__aenter__(), order["line"])
    print("ready", flush=True)
    await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(be_client(json.loads(sys.argv[1])))
