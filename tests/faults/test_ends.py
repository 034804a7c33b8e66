"""Terminals end, however they are left: no process with our mark stays, and the engine lets go of them."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from bench.person import Person, web_process
from sandboxes.engine.connection import CONTROL_POOL
from tests.browser.product import Product

from . import private
from .conftest import FULL
from .crowd import Client, alive, begun, launch_many, settled
from .site import site

pytestmark = [pytest.mark.engine]
LEFT = 35.0
"""Seconds that may pass until all is gone, once a terminal's grace is over."""
GRACE = 60.0 if FULL else 5.0
LIMITS = {"tab": GRACE + LEFT, "client": GRACE + LEFT, "signed out": LEFT, "expired": LEFT, "paused": LEFT,
          "web": LEFT}  # fmt: skip
"""From the moment it is left in that way: only who was merely left has a grace. Paused: from its resuming."""
FILES = 20
"""How many files more or fewer the engine may have open, with no sandbox there before and after."""
CONNECTIONS = CONTROL_POOL
"""How many more connections it may have: the product keeps so many that it does not need just now."""
RUNS = "sleep 4731 & (trap '' HUP TERM; sleep 4732; true) & "
HIDES = "(env -i setsid sleep 4799 >/dev/null 2>&1 </dev/null &); "
"""What nobody can find until its sandbox ends, see docs/explanation/live.md."""


@pytest.fixture(scope="module")
def own() -> Iterator[private.PrivateEngine]:
    """An engine whose files are nobody else's."""
    with private.made() as engine:
        yield engine


@pytest.fixture
def product(own: private.PrivateEngine, tmp_path: Path) -> Iterator[Product]:
    """In the full form with the pace of every install."""
    usual = {"SANDBOX_TERMINAL_GRACE": "60", "SANDBOX_CLEANUP_INTERVAL": "10"}
    pace = usual if FULL else {"SANDBOX_LEASE": "2"}
    with site(tmp_path, own.host, own.host, SANDBOX_DISK_FLOOR="32m", **pace) as made:
        yield made


@pytest.fixture
def files(own: private.PrivateEngine, product: Product) -> tuple[int, int]:
    """How many the engine has open at rest, and connections, once everything was done once."""
    alice = Person(product)
    remove(alice, alice.launch("first"))
    settled(lambda: not product.names(), 60)
    counts = [(0, 0)]

    def rests() -> bool:
        counts.append(open_files(own))
        return counts[-5:] == [counts[-1]] * 5  # a second long

    settled(rests, 60)
    return counts[-1]


@pytest.fixture
def seats(product: Product, files: tuple[int, int], scale: Callable[[int, int], int]) -> dict[str, list[str]]:
    """For each way sandboxes of its own."""
    alice = Person(product)
    count = scale(1, 5)
    names = [f"{way.replace(' ', '-')}-{number}" for way in LIMITS for number in range(count)]
    made = launch_many(alice, names, memory="48m", pids="200")
    return {way: made[at * count : (at + 1) * count] for at, way in enumerate(LIMITS)}


def paths(sandboxes: list[str], each: int) -> list[str]:
    return [f"/ws/sandboxes/{one}/terminals/t{number}/?cols=80&rows=24"
            for one in sandboxes for number in range(each)]  # fmt: skip


async def opened(stack: AsyncExitStack, person: Person, where: list[str], line: str) -> list[Any]:
    return [await begun(await stack.enter_async_context(person.socket(path)), line) for path in where]


async def shut(sockets: list[Any]) -> None:
    """All at once: one after the other the first would be long past its grace before the last is left."""
    await asyncio.gather(*(one.close() for one in sockets))


def counted(product: Product, sandboxes: list[str]) -> int:
    """Processes that a terminal began, but for those that hide."""
    return sum("4799" not in one for one in alive(product, sandboxes))


async def test_however_a_terminal_is_left_nothing_of_it_stays(
    own: private.PrivateEngine, product: Product, files: tuple[int, int], seats: dict[str, list[str]],
    scale: Callable[[int, int], int], told: Callable[..., None],
) -> None:  # fmt: skip
    each, alice, other = scale(2, 7), Person(product), Person(product)
    everywhere = [one for some in seats.values() for one in some]
    where = {way: paths(some, each) for way, some in seats.items()}
    client, left = Client(alice, where["client"], RUNS), Left(product, seats)
    async with AsyncExitStack() as kept:
        tabs = await opened(kept, alice, where["tab"] + where["paused"], RUNS + HIDES)
        await opened(kept, alice, where["expired"] + where["web"], RUNS + HIDES)
        await opened(kept, other, where["signed out"], RUNS)
        await asyncio.to_thread(client.wait)
        terminals = sum(map(len, where.values()))
        assert counted(product, everywhere) >= 3 * terminals
        # each is left in its way, all at once; the web server goes last
        await asyncio.to_thread(pause, alice, seats["paused"])
        await shut(tabs)
        await left.by("tab", lambda: None)  # from when the last one is closed
        await left.by("client", client.kill)
        await left.by("signed out", other.post, "/sign-out/")
        await left.by("expired", product.tell, EXPIRE % seats["expired"])
        await asyncio.to_thread(left.watch)
        await left.by("paused", resume, alice, seats["paused"])
        await asyncio.to_thread(left.watch)
        await left.by("web", os.kill, web_process(product), signal.SIGKILL)
        await asyncio.to_thread(left.watch)
    await asyncio.to_thread(settled, lambda: answers(alice), 60)
    ways = {f"after_{way.replace(' ', '_')}": round(took, 1) for way, took in left.took.items()}
    hidden = [one for one in alive(product, everywhere) if "4799" in one]
    told(terminals=terminals, grace=GRACE, hid_until_the_end=len(hidden), **ways)
    for one in everywhere:
        await asyncio.to_thread(remove, alice, one)
    await asyncio.to_thread(settled, lambda: not product.names(), 60)
    await asyncio.to_thread(settled, lambda: let_go(more(own, files)), 60, lambda: str(more(own, files)))
    told(files=more(own, files)[0], connections=more(own, files)[1])


class Left:
    """When each way's terminals were left, and how long it took until nothing of them was there."""

    def __init__(self, product: Product, seats: dict[str, list[str]]) -> None:
        self.product, self.seats = product, seats
        self.since: dict[str, float] = {}
        self.took: dict[str, float] = {}

    async def by(self, way: str, act: Callable[..., Any], *given: Any) -> None:
        """Leave them so, from now on."""
        self.since[way] = time.monotonic()
        if inspect.iscoroutinefunction(act):
            await act(*given)
        else:
            await asyncio.to_thread(act, *given)

    def watch(self) -> None:
        """Until nothing is there of all that was left; each way has its own time for it."""
        while waiting := self.since.keys() - self.took.keys():
            for way in waiting:
                self.look(way)
            time.sleep(0.2)

    def look(self, way: str) -> None:
        count, passed = counted(self.product, self.seats[way]), time.monotonic() - self.since[way]
        assert count == 0 or passed < LIMITS[way], (way, passed, alive(self.product, self.seats[way])[:10])
        if count == 0:
            self.took[way] = passed


def open_files(engine: private.PrivateEngine) -> tuple[int, int]:
    """How many it has open: what is no connection, and connections."""
    assert engine.process is not None
    kinds = []
    for one in Path(f"/proc/{engine.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            kinds.append(os.readlink(one).startswith("socket:"))
    return len(kinds) - sum(kinds), sum(kinds)


def more(engine: private.PrivateEngine, before: tuple[int, int]) -> tuple[int, int]:
    now = open_files(engine)
    return now[0] - before[0], now[1] - before[1]


def let_go(grown: tuple[int, int]) -> bool:
    """Whether it has let go of all that it had open for terminals."""
    return abs(grown[0]) <= FILES and abs(grown[1]) <= CONNECTIONS


EXPIRE = """
from django.utils import timezone
from sandboxes.models import Sandbox
Sandbox.objects.filter(pk__in=%r).update(expires_at=timezone.now())
"""


def pause(person: Person, sandboxes: list[str]) -> None:
    for one in sandboxes:
        person.post(f"/sandboxes/{one}/pause/")
    settled(lambda: all(person.product.container(one).status == "paused" for one in sandboxes), 30)


def resume(person: Person, sandboxes: list[str]) -> None:
    for one in sandboxes:
        person.post(f"/sandboxes/{one}/resume/")


def answers(person: Person) -> bool:
    try:
        return bool(person.page("/healthz"))
    except OSError:
        return False


def remove(person: Person, sandbox: str) -> Any:
    return person.post(f"/sandboxes/{sandbox}/remove/")
