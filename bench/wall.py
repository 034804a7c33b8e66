"""What the wall costs the server: 100 seats whose shells print every second, with 1 and with 5 viewers.

    python -m bench.wall [--seats 100] [--seconds 20]

The product is started as people run it; every seat has an open terminal in which a line is printed each
second. CPU is read from /proc for the web process. "terminals" is what it uses with the shells alone;
the wall costs what is used beyond that. Then a message is sent to all open seats.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.person import Person, web_process
from bench.stats import load
from tests.browser.product import PASSWORD, Product, running

SEED = f"""
from datetime import timedelta
from django.contrib.auth.hashers import make_password
from django.utils import timezone
from sandboxes.labs import opening
from sandboxes.labs.models import *
from sandboxes.lifecycle import audit
from sandboxes.models import Image, User
course = Course.objects.create(title="Bench")
word = make_password({PASSWORD!r})
ines = User.objects.create(username="ines", password=word)
Enrollment.objects.create(course=course, user=ines, role="instructor", name="Ines")
for number in range(%(seats)d):
    user = User.objects.create(username=f"student{{number}}", password=word)
    Enrollment.objects.create(course=course, user=user, role="student", name=f"Student {{number}}")
template = LabTemplate.objects.create(course=course, title="Bench")
version = TemplateVersion.objects.create(
    template=template, number=1, image=Image.objects.get(title="Starter"), memory=64 << 20, pids=128)
by = audit.Origin("user", name="ines")
lab = opening.make(version, "Bench", closes_at=timezone.now() + timedelta(hours=1), by=by)
print(lab.pk)
"""
SEATS = """
from sandboxes.labs.models import Seat
from sandboxes.models import User
Seat.objects.update(typist=User.objects.get(username="prof"))
for seat in Seat.objects.exclude(sandbox=None).filter(status="ready"):
    print(seat.pk, seat.sandbox_id)
"""
LOUD = b"while :; do echo line $((n=n+1)); sleep 1; done\r"


@dataclass
class Viewer:
    """One wall: all frames it got, whatever they are, and how many tiles were in them."""

    ws: Any
    frames: int = 0
    tiles: int = 0

    async def watch(self) -> None:
        async for text in self.ws:
            message = json.loads(text)
            self.frames += 1
            self.tiles += len(message.get("rows", ()))


async def drain(ws: Any) -> None:
    """Take what a shell says, and acknowledge it."""
    size = 0
    async for data in ws:
        if isinstance(data, bytes):
            size += len(data)
            if size % 16 == 0:
                await ws.send(json.dumps({"type": "ack", "offset": size}))


async def measure(person: Person, lab: str, viewers: int, seconds: float) -> float:
    """Print one line, and return the load."""
    async with AsyncExitStack() as stack:
        path = f"/ws/labs/{lab}/wall/"
        shown = [Viewer(await stack.enter_async_context(person.socket(path))) for _ in range(viewers)]
        tasks = [asyncio.create_task(one.watch()) for one in shown]
        await asyncio.sleep(6)  # every stream of numbers has begun
        for one in shown:
            one.frames = one.tiles = 0
        used = await load(web_process(person.product), seconds)
        for task in tasks:
            task.cancel()
    frames = max((one.frames for one in shown), default=0) / seconds
    tiles = min((one.tiles for one in shown), default=0) / seconds
    print(f"{viewers:>7}{used:>14.1f}{frames:>22.2f}{tiles:>20.1f}", flush=True)
    return used


async def tell(person: Person, lab: str, seats: list[str]) -> None:
    """Print how long a message takes to the last of all open seats.

    That is from the press of Send until its frame, with the text, is on the socket of each seat. A page
    shows it from the frame and asks the server for nothing (tests/browser/test_seat.py).
    """
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(person.socket(f"/ws/seats/{one}/")) for one in seats]
        await asyncio.sleep(2)
        heard = [asyncio.create_task(until_message(ws)) for ws in sockets]
        began = time.monotonic()
        fields = {"do": "message", "all": "1", "text": "Eyes up"}
        sending = asyncio.to_thread(person.post, f"/labs/{lab}/all/", **fields)
        await asyncio.gather(sending, asyncio.wait_for(asyncio.gather(*heard), 20))
        print(
            f"a message to {len(seats)} open seats: {time.monotonic() - began:.2f} s (target 1 s)", flush=True
        )


async def until_message(ws: Any) -> None:
    async for text in ws:
        if json.loads(text)["type"] == "message":
            return


def planned(product: Product, seats: int, mark: str = "") -> tuple[str, Person]:
    """A new course of so many students: its lab, which is not open yet, and its instructor."""
    seed = SEED.replace("ines", f"ines{mark}").replace("student{number}", f"student{mark}-{{number}}")
    lab = re.findall(r"lab_\w+", product.tell(seed % {"seats": seats}))[0]
    return lab, Person(product, f"ines{mark}")


def ready(product: Product, count: int) -> dict[str, str]:
    """Sandboxes by seat, once all are there."""
    for _ in range(600):
        found = dict(line.split() for line in product.tell(SEATS).splitlines())
        if len(found) >= count:
            return found
        time.sleep(1)
    raise TimeoutError("the seats did not become ready")


async def bench(product: Product, arguments: argparse.Namespace) -> None:
    lab, ines = await asyncio.to_thread(planned, product, arguments.seats)
    await asyncio.to_thread(ines.post, f"/labs/{lab}/do/open/")
    seats = await asyncio.to_thread(ready, product, arguments.seats)
    root = await asyncio.to_thread(Person, product, "prof")
    print(f"{len(seats)} seats; target: their wall costs <= 10 % of a core, <= 1 frame a second a viewer")
    print(f"{'viewers':>7}{'% of a core':>14}{'frames/s a viewer':>22}{'tiles/s':>20}")
    async with AsyncExitStack() as stack:
        for sandbox in seats.values():
            shell = await stack.enter_async_context(root.terminal(sandbox))
            task = asyncio.create_task(drain(shell))
            stack.callback(task.cancel)
            if not arguments.quiet:
                await shell.send(LOUD)
        await asyncio.sleep(5)
        alone = await measure(ines, lab, 0, arguments.seconds)
        one = await measure(ines, lab, 1, arguments.seconds)
        five = await measure(ines, lab, 5, arguments.seconds)
        print(f"the wall costs {one - alone:.1f} % of a core with one viewer, {five - alone:.1f} % with five")
        await tell(ines, lab, list(seats))


@contextmanager
def product() -> Iterator[Product]:
    room = {"SANDBOX_QUOTA_SANDBOXES": "1000", "SANDBOX_QUOTA_MEMORY": "1t", "SANDBOX_CLEANUP_INTERVAL": "10"}
    with tempfile.TemporaryDirectory() as data, running(Path(data), **room) as made:
        yield made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seats", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--quiet", action="store_true", help="the shells say nothing")
    arguments = parser.parse_args()
    with product() as made:
        asyncio.run(bench(made, arguments))


if __name__ == "__main__":
    main()
