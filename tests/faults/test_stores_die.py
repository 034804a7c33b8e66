"""Database and Redis die or freeze in mid-run: what was taken is kept, and what cannot be done is said."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from bench.person import Person
from scripts import services
from tests.browser.product import Product, running

from . import stores

SAY, RETURN = 10.0, 30.0
"""Seconds in which a terminal that cannot go on says so, and in which all is well again."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Product, stores.Store, stores.Store]]:
    """Web and loop on a PostgreSQL and a Redis of their own."""
    services.install()
    with (
        stores.postgres() as database,
        stores.redis() as redis,
        running(tmp_path, DATABASE_URL=database.url, REDIS_URL=redis.url, SANDBOX_COMMANDS="50",
                SANDBOX_USER_COMMANDS="50") as product,
    ):  # fmt: skip
        yield product, database, redis


class Busy(threading.Thread):
    """Somebody who runs one command after the other, and keeps the answers."""

    def __init__(self, person: Person, sandbox: str) -> None:
        super().__init__(daemon=True)
        self.person, self.path = person, f"/sandboxes/{sandbox}/commands/"
        self.over = threading.Event()
        self.taken: list[str] = []
        self.tally: Counter[str] = Counter()
        self.odd: list[str] = []

    def run(self) -> None:
        number = 0
        while not self.over.wait(0.05):
            number += 1
            try:
                answer = self.person.post(self.path, command=f"echo {number}", shell="on")
            except HTTPError as error:
                self.refused(error.code, error.read().decode())
            except OSError as error:  # nobody answered at all
                self.odd.append(repr(error))
            else:
                self.took(number, answer)

    def took(self, number: int, answer: Any) -> None:
        found = re.search(r"/commands/(cmd_\w+)/", answer.url)
        self.tally["taken" if found else "refused with words"] += 1
        self.taken += [found[1]] if found else []

    def refused(self, code: int, text: str) -> None:
        self.tally[f"answered {code}"] += 1
        calm = code == 503 and "The database cannot be used at present" in text and "Traceback" not in text
        if not calm:
            self.odd.append(f"{code}: {text[:300]}")


async def says(person: Person, sandbox: str, name: str, mark: str) -> str:
    """Type a line into a new socket of a terminal: "echoed", or the code with which it was sent away."""
    seen = b""
    async with person.terminal(sandbox, name) as ws:
        await ws.send(f"echo {mark[:2]}''{mark[2:]}\r".encode())
        while mark.encode() not in seen:
            got = await ws.recv()
            if isinstance(got, bytes):
                seen += got
            elif json.loads(got)["type"] == "goodbye":
                return str(json.loads(got)["code"])
    return "echoed"


async def within(seconds: float, step: Callable[[], Any]) -> float:
    """Try until it echoes; how long that took."""
    began = time.monotonic()
    while True:
        with contextlib.suppress(Exception):
            if await asyncio.wait_for(step(), 10) == "echoed":
                return time.monotonic() - began
        assert time.monotonic() - began < seconds, "it did not come back"
        await asyncio.sleep(0.3)


async def one_fault(
    person: Person, sandbox: str, number: int, break_it: Callable[[], None], mend: Callable[[], None]
) -> tuple[str, float]:
    """What an open terminal says while it is broken, and how long all takes to come back."""
    async with person.terminal(sandbox) as ws:
        await asyncio.wait_for(ws.recv(), 20)
        await asyncio.to_thread(break_it)
        try:
            await ws.send(f"echo on''ward{number}\r".encode())
            told = await asyncio.wait_for(word(ws, f"onward{number}".encode()), SAY)
            await asyncio.sleep(2)
        finally:
            mend()  # in this thread: what a thread has started ends with it (die_with)
    back = await within(RETURN, lambda: says(person, sandbox, "main", f"back{number}"))
    began = time.monotonic()
    while "quiet-otter" not in await asyncio.to_thread(page, person):
        assert time.monotonic() - began < RETURN
        await asyncio.sleep(0.2)
    return told, max(back, time.monotonic() - began)


async def word(ws: Any, mark: bytes) -> str:
    """The terminal's echo, or what it says instead. A socket that closes says so by its code."""
    seen = b""
    while mark not in seen:
        try:
            got = await ws.recv()
        except Exception as closed:
            return type(closed).__name__
        if isinstance(got, bytes):
            seen += got
        elif json.loads(got)["type"] in ("goodbye", "error"):
            return "said so"
    return "went on"


def page(person: Person) -> str:
    with contextlib.suppress(OSError):
        return person.page("/sandboxes/")
    return ""


@pytest.mark.engine
def test_what_was_taken_is_kept_when_a_store_dies(
    served: tuple[Product, stores.Store, stores.Store], scale: Any, told: Any
) -> None:
    product, database, redis = served
    alice = Person(product)
    sandbox = alice.launch("quiet-otter")
    busy = Busy(Person(product), sandbox)
    busy.start()
    faults = [(database.kill, database.start), (redis.kill, redis.start),
              (lambda: redis.send(signal.SIGSTOP), lambda: redis.send(signal.SIGCONT))]  # fmt: skip
    heard: Counter[str] = Counter()
    longest = 0.0
    for number, (break_it, mend) in enumerate(faults * scale(1, 5)):
        try:
            word, seconds = asyncio.run(one_fault(alice, sandbox, number, break_it, mend))
        except Exception as error:
            raise AssertionError(f"fault {number}: {product.log()[-8000:]}") from error
        heard[word] += 1
        longest = max(longest, seconds)
    busy.over.set()
    busy.join(60)
    assert busy.odd == []
    assert busy.tally["taken"] > len(faults)
    assert set(heard) <= {"went on", "said so"}, heard
    assert settled(product, busy.taken) == {"lost": 0, "without an outcome": 0}
    invariants = product.manage("check_invariants")
    assert "all is as it must be" in invariants
    told(kills_and_freezes=len(faults) * scale(1, 5), **busy.tally, terminals=dict(heard),
         back_after_seconds=round(longest, 1), lost=0, breaches=0)  # fmt: skip


def settled(product: Product, taken: list[str]) -> dict[str, int]:
    """Of the commands that were taken: how many have no record, or no end on it, a few rounds later."""
    code = f"""
import json, time
from sandboxes.models import Command, Event
taken = {taken!r}
rows = Command.objects.filter(pk__in=taken)
for _ in range(200):
    if not rows.filter(status="running").exists():
        break
    time.sleep(0.2)
ends = Event.objects.exclude(outcome="requested").filter(operation__in=taken)
print(json.dumps({{"lost": len(taken) - rows.count(), "without an outcome": len(taken) - ends.count()}}))
"""
    answer: dict[str, int] = json.loads(product.tell(code))
    return answer
