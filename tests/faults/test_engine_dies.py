"""An engine that is killed or ended under a running product: nothing is lost, nothing invented."""

from __future__ import annotations

import signal
import time
from typing import Any

import pytest

from tests.fakes.processes import wait_until

from . import private
from .house import House
from .site import Shell, act, breaches, is_away, query, ready, settled, statuses

pytestmark = pytest.mark.engine
READY = 30.0
"""Seconds after the engine's return until all is right again."""


PLAN = [(number, live) for live in (False, True) for number in (signal.SIGKILL, signal.SIGTERM)]


def test_an_engine_that_dies_loses_nothing(
    private_engine: private.PrivateEngine, house: House, scale: Any, told: Any
) -> None:
    plan = [one for one in PLAN if scale(one[0] == signal.SIGKILL, True)]
    waits = [die(private_engine, house, *one) for one in plan * scale(1, 10)]
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
    private_engine: private.PrivateEngine, house: House, scale: Any, told: Any
) -> None:
    for _ in range(scale(1, 10)):
        house.arrange()
        before = statuses(house.product)
        private_engine.kill_below()
        assert wait_until(lambda: works(house), READY), house.product.log()[-2000:]
        assert statuses(house.product) == before
        assert breaches(house.product) == ""
    told(deaths=scale(1, 10), rows_lost=0, breaches=0)


def works(house: House) -> bool:
    """Whether a sandbox can be paused, and go on."""
    for word, status in (("pause", "paused"), ("resume", "running")):
        act(house.alice, house.busy, word)
        if not wait_until(lambda status=status: statuses(house.product)[house.busy] == status, 2):  # type: ignore[misc]
            return False
    return True
