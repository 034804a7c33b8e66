"""Sandboxes whose people mean it: what they do inside, what others do from outside, and that it was done."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from websockets.exceptions import ConnectionClosed, InvalidStatus

from bench.person import Person
from bench.terminal import Ours
from tests.browser.product import Product
from tests.fakes.processes import wait_until

FILL = "i=0; while :; do i=$((i+1)); dd if=/dev/zero of=%s/f$i bs=1M count=32 2>/dev/null || sleep 0.1; done"
HOSTILE = {
    "fork": """awk 'BEGIN { while (1) system("f() { f | f & }; f") }' > /dev/null 2>&1""",
    "cpu": "for i in 1 2 3 4 5 6 7 8; do while :; do :; done & done",
    "oom": "while :; do tail /dev/zero; done",
    "disk": FILL % "/workspace",
    "inode": "i=0; while :; do i=$((i+1)); : > /workspace/$i || sleep 0.1; done 2>/dev/null",
    "shm": FILL % "/dev/shm",
    "log": "while :; do cat /dev/zero > /proc/1/fd/1 || sleep 0.1; done 2>/dev/null",
    "exec": "true",
    "resize": "while :; do stty size; done",
    "crowd": "yes",
}
"""What is typed into a terminal of each; three of them are made worse from outside.

A shell gives up when it cannot fork, so a bomb of shells is over in a moment; awk lights it anew.
"""
SHORT = ("fork", "oom", "disk", "log", "exec", "resize", "crowd")


def terminal(sandbox: str, name: str = "main") -> str:
    return f"/ws/sandboxes/{sandbox}/terminals/{name}/?cols=80&rows=24"


# -- from outside ---------------------------------------------------------------------------------

Flood = Callable[[Person, str, threading.Event, Counter[str]], None]


@contextmanager
def floods(person: Person, where: dict[str, str], onlookers: int) -> Iterator[Counter[str]]:
    """Commands without end, sizes two hundred times a second, so many who look on; counts what got through.

    Whatever goes wrong there but for a refusal comes out at the end.
    """
    over, tally = threading.Event(), Counter[str]()
    gather: Flood = lambda *given: asyncio.run(crowd(*given, onlookers))  # noqa: E731
    sizes: Flood = lambda *given: asyncio.run(flood_sizes(*given))  # noqa: E731
    work: dict[str, Flood] = {"exec": flood_commands, "resize": sizes, "crowd": gather}
    with ThreadPoolExecutor(len(work)) as pool:
        begun = [pool.submit(work[name], person, where[name], over, tally) for name in work if name in where]
        try:
            yield tally
        finally:
            over.set()
        for one in begun:
            one.result(90)


def flood_commands(person: Person, sandbox: str, over: threading.Event, tally: Counter[str]) -> None:
    mallory = Person(person.product)
    while not over.is_set():
        try:
            answer = mallory.post(f"/sandboxes/{sandbox}/commands/", command="yes", time_limit="5")
        except HTTPError as refused:  # too many at a time
            if refused.code not in (422, 429, 503):
                raise
            tally["commands refused"] += 1
        else:
            tally["commands"] += "/commands/cmd_" in answer.url


async def flood_sizes(person: Person, sandbox: str, over: threading.Event, tally: Counter[str]) -> None:
    """What counts is what the program in there has seen of it."""
    seen: set[bytes] = set()
    async with person.socket(terminal(sandbox)) as line:
        reading = asyncio.ensure_future(
            read(line, lambda data: seen.update(re.findall(rb"24 (\d+)\r", data)))
        )
        for number in range(1 << 30):
            if over.is_set() or reading.done():
                break
            await line.send(json.dumps({"type": "resize", "cols": 40 + number % 60, "rows": 24}))
            tally["sizes sent"] += 1
            await asyncio.sleep(0.005)
        reading.cancel()
    tally["sizes seen"] = len(seen - {b"80"})


async def read(line: Any, take: Callable[[bytes], object]) -> None:
    """As a page does, until it is shown the door."""
    ours = Ours(line)
    try:
        while True:
            take(await ours.read())
    except ConnectionClosed:
        return


async def crowd(person: Person, sandbox: str, over: threading.Event, tally: Counter[str], count: int) -> None:
    async def look() -> None:
        try:
            async with person.socket(terminal(sandbox)) as line:
                reading = asyncio.ensure_future(read(line, lambda data: tally.update(crowd_read=len(data))))
                while not over.is_set() and not reading.done():
                    await asyncio.sleep(0.1)
                tally["onlookers to the end"] += not reading.done()
                reading.cancel()
        except (InvalidStatus, ConnectionClosed):
            tally["onlookers refused"] += 1

    await asyncio.gather(*(look() for _ in range(count)))


# -- that it was done -----------------------------------------------------------------------------


def signs(product: Product, where: dict[str, str], since: float, tally: Counter[str]) -> dict[str, int]:
    """What shows of each kind that it went on, in its own measure; 0 where it did not."""
    api = product.engine.api
    look: dict[str, Callable[[str], int]] = {
        "fork": lambda name: refused_forks(api, name),
        "cpu": lambda name: int(numbers(api, name)["cpu_stats"]["cpu_usage"]["total_usage"]) // 10**9,
        "oom": lambda name: deaths(api, name, since),
        "disk": lambda name: used(product, name, "df -k /workspace") // 1024,
        "inode": lambda name: used(product, name, "df -i /workspace") // 100,
        "shm": lambda name: used(product, name, "df -k /dev/shm") // 1024,
        "log": lambda name: len(api.logs(name)),
        "exec": lambda name: tally["commands"],
        "resize": lambda name: tally["sizes seen"],
        "crowd": lambda name: min(tally["onlookers to the end"], tally["crowd_read"]),
    }
    return {kind: positive(lambda kind=kind, one=one: look[kind](f"sandbox-{one}"))  # type: ignore[misc]
            for kind, one in where.items()}  # fmt: skip


def positive(look: Callable[[], int]) -> int:
    """The figure, once it is one: a log is now and then begun anew."""
    found = [0]

    def seen() -> bool:
        found[0] = look()
        return found[0] > 0

    wait_until(seen, 20)
    return found[0]


def numbers(api: Any, name: str) -> dict[str, Any]:
    got: dict[str, Any] = api.stats(name, stream=False, one_shot=True)
    return got


def refused_forks(api: Any, name: str) -> int:
    """How often it was refused one more process, as the host's control groups (of either version) have it."""
    pid = api.inspect_container(name)["State"]["Pid"]
    rows = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    place = {kinds: path for _, kinds, path in rows}
    top = Path("/sys/fs/cgroup/pids") if "pids" in place else Path("/sys/fs/cgroup")
    events = Path(f"{top}{place.get('pids', place.get('', ''))}/pids.events")
    return int(events.read_text().split()[1])


def deaths(api: Any, name: str, since: float) -> int:
    """How often the kernel ended a program of it for its memory."""
    filters = {"container": name, "event": "oom"}
    return len(list(api.events(since=int(since), until=int(time.time()), filters=filters, decode=True)))


def used(product: Product, name: str, line: str) -> int:
    """The third word of the last line of df."""
    said = product.engine.containers.get(name).exec_run(["sh", "-c", line]).output.split()
    at = len(said) - 4
    return int(said[at]) if at > 0 and said[at].isdigit() else 0
