"""Terminals end, however they are left: no process with our mark stays, and the engine lets go of them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from bench.person import Person, web_process
from tests.browser.product import Product

from .conftest import FULL
from .crowd import Client, alive, begun, engine_files, launch_many, settled

pytestmark = [pytest.mark.engine]
LEFT = 35.0
"""Seconds that may pass until all is gone, once a terminal's grace is over."""
GRACE = 60.0 if FULL else 5.0
RUNS = "sleep 4731 & (trap '' HUP TERM; sleep 4732; true) & "
HIDES = "(env -i setsid sleep 4799 >/dev/null 2>&1 </dev/null &); "
"""What nobody can find until its sandbox ends, see docs/explanation/live.md."""
WAYS = ("tab", "client", "signed out", "paused", "expired", "web")


@pytest.fixture
def product(plain_product: Product) -> Product:
    """On the machine's own engine."""
    return plain_product


@pytest.fixture
def seats(product: Product, scale: Callable[[int, int], int]) -> dict[str, list[str]]:
    """For each way sandboxes of its own."""
    alice = Person(product)
    count = scale(1, 5)
    names = [f"{way.replace(' ', '-')}-{number}" for way in WAYS for number in range(count)]
    made = launch_many(alice, names, memory="48m", pids="200")
    return {way: made[at * count : (at + 1) * count] for at, way in enumerate(WAYS)}


def paths(sandboxes: list[str], each: int) -> list[str]:
    return [f"/ws/sandboxes/{one}/terminals/t{number}/?cols=80&rows=24"
            for one in sandboxes for number in range(each)]  # fmt: skip


async def opened(stack: AsyncExitStack, person: Person, where: list[str], line: str) -> None:
    for path in where:
        await begun(await stack.enter_async_context(person.socket(path)), line)


def counted(product: Product, sandboxes: list[str]) -> int:
    """Processes that a terminal began, but for those that hide."""
    return sum("4799" not in one for one in alive(product, sandboxes))


async def test_however_a_terminal_is_left_nothing_of_it_stays(
    product: Product, seats: dict[str, list[str]], scale: Callable[[int, int], int], told: Callable[..., None]
) -> None:
    each, alice, other, files = scale(2, 7), Person(product), Person(product), engine_files()
    everywhere = [one for some in seats.values() for one in some]
    where = {way: paths(some, each) for way, some in seats.items()}
    client = Client(alice, where["client"], RUNS)
    async with AsyncExitStack() as kept, AsyncExitStack() as tabs:
        await opened(tabs, alice, where["tab"] + where["paused"], RUNS + HIDES)
        await opened(kept, alice, where["expired"] + where["web"], RUNS + HIDES)
        await opened(kept, other, where["signed out"], RUNS)
        await asyncio.to_thread(client.wait)
        terminals = sum(map(len, where.values()))
        assert counted(product, everywhere) >= 3 * terminals
        # each is left in its way, all at once; the web server goes last
        await asyncio.to_thread(pause, alice, seats["paused"])
        await tabs.aclose()
        client.kill()
        await asyncio.to_thread(other.post, "/sign-out/")
        product.manage("shell", "-v", "0", "-c", EXPIRE % seats["expired"])
        left = [one for way in ("tab", "client", "signed out", "expired") for one in seats[way]]
        slowest = await gone(product, left, GRACE + LEFT)
        await asyncio.to_thread(resume, alice, seats["paused"])
        after_pause = await gone(product, seats["paused"], GRACE + LEFT)
        os.kill(web_process(product), signal.SIGKILL)
        after_kill = await gone(product, seats["web"], LEFT)
    await asyncio.to_thread(settled, lambda: answers(alice), 60)
    hidden = [one for one in alive(product, everywhere) if "4799" in one]
    for one in everywhere:
        await asyncio.to_thread(remove, alice, one)
    await asyncio.to_thread(settled, lambda: not product.names(), 60)
    assert files is None or engine_files() - files <= 20
    product.manage("check_invariants")
    told(
        terminals=terminals, slowest=round(slowest, 1), grace=GRACE, after_pause=round(after_pause, 1),
        after_kill=round(after_kill, 1), hid_until_the_end=len(hidden),
        files=None if files is None else (engine_files() or 0) - files,
    )  # fmt: skip


EXPIRE = """
from django.utils import timezone
from sandboxes.models import Sandbox
Sandbox.objects.filter(pk__in=%r).update(expires_at=timezone.now())
"""


async def gone(product: Product, sandboxes: list[str], seconds: float) -> float:
    what = lambda: str([one for one in alive(product, sandboxes) if "4799" not in one][:10])  # noqa: E731
    return await asyncio.to_thread(settled, lambda: counted(product, sandboxes) == 0, seconds, what)


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
