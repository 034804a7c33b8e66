"""What live numbers cost the server: nobody watching, then 100 watched sandboxes, with 1 and with 5 viewers.

    python -m bench.stats [--sandboxes 100] [--seconds 20]

The product is started as people run it; CPU is read from /proc for the web process. A viewer is a
list page's socket that watches all of them and must get at most one frame a second. The floor is a
process of its own that reads the same streams on one event loop and does nothing but parse them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.person import Person, web_process
from tests.browser.product import Product, running

LAUNCHES = 4
"""Sandboxes launched at a time."""


@dataclass
class Viewer:
    """One list page: the frames it got, and whose numbers were in them."""

    ws: Any
    frames: int = 0
    rows: int = 0

    async def watch(self, ids: list[str]) -> None:
        await self.ws.send(json.dumps({"type": "watch", "ids": ids}))
        async for text in self.ws:
            message = json.loads(text)
            if message["type"] == "stats":
                self.frames += 1
                self.rows += sum(1 for row in message["rows"].values() if row and row["cpu"] is not None)


def cpu_seconds(process: int) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def load(process: int, seconds: float) -> float:
    """Share of a core that a process uses, in percent, over so many seconds."""
    before, began = cpu_seconds(process), time.monotonic()
    await asyncio.sleep(seconds)
    return 100 * (cpu_seconds(process) - before) / (time.monotonic() - began)


async def read_raw(path: str, container: str) -> None:
    """Parse one container's stream for as long as it comes, on the engine's own socket."""
    reader, writer = await asyncio.open_unix_connection(path, limit=1 << 20)
    writer.write(f"GET /containers/{container}/stats HTTP/1.1\r\nHost: docker\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    rest = b""
    while size := int(await reader.readline(), 16):
        *lines, rest = (rest + (await reader.readexactly(size + 2))[:-2]).split(b"\n")
        for line in lines:
            json.loads(line)


async def read_all_raw(path: str, containers: list[str]) -> None:
    await asyncio.gather(*(read_raw(path, one) for one in containers))


async def measure_floor(ids: list[str], seconds: float) -> float:
    """Print the load of a bare reader of the same streams, and return it."""
    path = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
    reader = multiprocessing.get_context("spawn").Process(target=floor, args=(path, ids), daemon=True)
    reader.start()
    await asyncio.sleep(8)  # it has started and every stream has begun
    used = await load(reader.pid or 0, seconds)
    reader.terminate()
    reader.join()
    print(f"{'bare':>7}{used:>14.1f}", flush=True)
    return used


def floor(path: str, ids: list[str]) -> None:
    asyncio.run(read_all_raw(path, [f"sandbox-{one}" for one in ids]))


async def measure(person: Person, ids: list[str], viewers: int, seconds: float) -> float:
    """Print one line: the load, and what each viewer got. Returns the load."""
    async with AsyncExitStack() as stack:
        shown = [Viewer(await stack.enter_async_context(person.list())) for _ in range(viewers)]
        tasks = [asyncio.create_task(one.watch(ids)) for one in shown]
        await asyncio.sleep(6)  # every stream has begun
        for one in shown:
            one.frames = one.rows = 0
        used = await load(web_process(person.product), seconds)
        for task in tasks:
            task.cancel()
    frames = max((one.frames for one in shown), default=0) / seconds
    rows = min((one.rows for one in shown), default=0) / seconds
    print(f"{viewers:>7}{used:>14.1f}{frames:>22.2f}{rows:>20.1f}", flush=True)
    return used


def launch_all(person: Person, count: int) -> list[str]:
    with ThreadPoolExecutor(LAUNCHES) as pool:
        return list(pool.map(lambda number: person.launch(f"watched-{number}"), range(count)))


async def bench(product: Product, arguments: argparse.Namespace) -> None:
    person = Person(product)
    ids = await asyncio.to_thread(launch_all, person, arguments.sandboxes)
    print(f"{len(ids)} sandboxes; target: 100 watched ones cost <= 10 % of a core")
    print(f"{'viewers':>7}{'% of a core':>14}{'frames/s a viewer':>22}{'samples/s':>20}")
    idle = await measure(person, ids, 0, arguments.seconds)
    watched = await measure(person, ids, 1, arguments.seconds)
    await measure(person, ids, 5, arguments.seconds)
    await measure(person, ids, 0, arguments.seconds)
    bare = await measure_floor(ids, arguments.seconds)
    costs = watched - idle
    times = f"{costs / bare:.1f}" if bare else "many"
    print(f"watching costs {costs:.1f} % of a core, {times} times the bare reader")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sandboxes", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20)
    arguments = parser.parse_args()
    room = {"SANDBOX_QUOTA_SANDBOXES": "1000", "SANDBOX_QUOTA_MEMORY": "1t", "SANDBOX_CLEANUP_INTERVAL": "10"}
    with tempfile.TemporaryDirectory() as data, running(Path(data), **room) as product:
        asyncio.run(bench(product, arguments))


if __name__ == "__main__":
    main()
