"""An engine that is killed or ended under a running product: nothing is lost, nothing invented."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bench.person import Person
from tests.browser.product import Product
from tests.fakes.processes import wait_until

from . import private
from .site import Shell, act, breaches, is_away, query, ready, settled, site, statuses

pytestmark = pytest.mark.engine
READY = 30.0
"""Seconds after the engine's return until all is right again."""
LEFT = "54321"
"""Marks what a shell has begun."""


@pytest.fixture(scope="module")
def engine_of_ours() -> Iterator[private.PrivateEngine]:
    with private.made() as one:
        yield one


@pytest.fixture(scope="module")
def product(
    engine_of_ours: private.PrivateEngine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Product]:
    host = engine_of_ours.host
    with site(tmp_path_factory.mktemp("site"), host, host) as made:
        yield made


class House:
    """Three sandboxes, one of each kind of rest, and a shell and a command at work in the first."""

    def __init__(self, product: Product) -> None:
        self.product, self.alice = product, Person(product)
        self.busy, self.paused, self.stopped = map(self.alice.launch, ("busy", "paused", "stopped"))
        self.arrange()
        act(self.alice, self.stopped, "stop")
        settled(product, {self.stopped: "stopped"}, 20)

    def arrange(self) -> None:
        """As it was before the last fault."""
        for pk in (self.busy, self.paused):
            if statuses(self.product)[pk] == "stopped":
                act(self.alice, pk, "start")
        settled(self.product, {self.busy: "running"}, 20)
        if statuses(self.product)[self.paused] == "running":
            act(self.alice, self.paused, "pause")
        settled(self.product, {self.paused: "paused"}, 20)

    def work(self) -> Shell:
        """A shell with something behind it, and a command."""
        self.alice.post(f"/sandboxes/{self.busy}/commands/", command=f"sleep {LEFT}1")
        shell = Shell(self.alice, self.busy)
        shell.type(f"sleep {LEFT} &\n")
        assert wait_until(lambda: self.left() == 2, 20), self.product.processes(self.busy)
        return shell

    def left(self) -> int:
        """How much of what shells and commands have begun is there."""
        return self.product.processes(self.busy).count(f"sleep {LEFT}")


@pytest.fixture(scope="module")
def house(product: Product) -> House:
    return House(product)


PLAN = [(number, live) for live in (False, True) for number in (signal.SIGKILL, signal.SIGTERM)]


def test_an_engine_that_dies_loses_nothing(
    engine_of_ours: private.PrivateEngine, house: House, scale: Any, told: Any
) -> None:
    plan = [one for one in PLAN if scale(one[0] == signal.SIGKILL, True)]
    waits = [die(engine_of_ours, house, *one) for one in plan * scale(1, 10)]
    told(deaths=len(waits), ready_after=round(max(waits), 1), rows_lost=0, breaches=0)


def die(engine: private.PrivateEngine, house: House, number: int, live: bool) -> float:
    """One death and return; the seconds from its return until all is right."""
    engine.live_restore(live)
    house.arrange()
    shell, before = house.work(), statuses(house.product)
    engine.signal(number)
    new = meanwhile(house, before, told_it=number == signal.SIGTERM and not live)
    engine.start()
    back = time.monotonic()
    rests = {house.busy: "running", house.paused: "paused"} if live else {
        house.busy: "stopped", house.paused: "stopped"}  # fmt: skip
    settled(house.product, {**rests, house.stopped: "stopped", new: "running"}, READY)
    assert wait_until(lambda: ready(house.product) and not is_away(house.alice), READY)
    assert wait_until(lambda: not live or not house.left(), READY), house.product.processes(house.busy)
    took = time.monotonic() - back
    afterwards(house, shell, new, live)
    return took


def meanwhile(house: House, before: dict[str, str], told_it: bool) -> str:
    """While it is away: said on every page, nothing concluded; what is launched waits. Gives its id."""
    pages = ("/sandboxes/", f"/sandboxes/{house.busy}/", "/images/")
    assert wait_until(lambda: all(is_away(house.alice, page) for page in pages), 20)
    if not told_it:  # an engine that ends its containers says so before it goes
        assert statuses(house.product) == before
    page = house.alice.page("/sandboxes/new/")
    image = page.split('name="image" value="')[1].split('"')[0]
    answer = house.alice.post("/sandboxes/new/", name="waiting", image=image, memory="128m", pids="64")
    new = str(answer.url).rstrip("/").rpartition("/")[2]
    assert statuses(house.product)[new].startswith("queued")
    return new


def afterwards(house: House, shell: Shell, new: str, live: bool) -> None:
    """The shell's page knows what to do; records and engine agree; the new one can go."""
    assert shell.sees(lambda one: bool(one.last("ended"))), shell.said
    ending = shell.last("ended")
    assert ending["again"] or (not live and ending["reason"] == "stopped"), ending
    shell.close()
    if live:
        again = Shell(house.alice, house.busy, "again")
        again.type("echo back-$((1+1))\n")
        assert again.sees(lambda one: b"back-2" in one.shown), (again.said, again.shown)
        again.close()
    else:
        reasons = query(house.product, "SELECT status_reason FROM sandboxes_sandbox WHERE status = 'stopped'")
        assert all(reason for (reason,) in reasons), reasons
    act(house.alice, new, "remove")
    settled(house.product, {new: "removed"}, 20)
    assert breaches(house.product) == ""


def test_what_is_below_the_engine_may_die_unnoticed(
    engine_of_ours: private.PrivateEngine, house: House, scale: Any, told: Any
) -> None:
    """The engine needs ten seconds to have it again, so the short form only looks that all still goes."""
    for _ in range(scale(0, 10)):
        house.arrange()
        before = statuses(house.product)
        engine_of_ours.kill_containerd()
        assert statuses(house.product) == before
    house.arrange()
    act(house.alice, house.busy, "pause")
    settled(house.product, {house.busy: "paused"}, 20)
    act(house.alice, house.busy, "resume")
    settled(house.product, {house.busy: "running"}, 20)
    assert breaches(house.product) == ""
    told(deaths=scale(0, 10), rows_lost=0, breaches=0)
