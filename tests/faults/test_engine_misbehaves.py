"""An engine that stalls, is slow, cuts, fails, talks nonsense or refuses, under a site full of people."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.browser.product import Product
from tests.fakes.processes import wait_until

from .classroom import ROUTES, Classroom, Crowd
from .house import House
from .proxy import FINE, MODES, Proxy
from .site import breaches, is_away, query, statuses, why_not

pytestmark = pytest.mark.engine
LIMITS = 6.0, 0.3, 10.0
"""Seconds that a page, a file (95 of 100) and the way back may take."""
UNDER_WAY = "SELECT status, text, created_at FROM sandboxes_command WHERE status IN ('queued', 'running')"
TALE = "SELECT at, action, outcome, reason, actor_name, detail FROM sandboxes_event WHERE sandbox_id = ?"
STARVED = 15.0, 3.0, 45.0
"""The same for the short form, which may have the machine to itself or not at all."""


def test_pages_stay_usable_and_nothing_is_concluded(
    way: Proxy, room: Classroom, dice: random.Random, scale: Any, told: Any
) -> None:
    began, pauses, slowest = time.monotonic(), dict.fromkeys(MODES, 0.0), Back()
    with Crowd(room, dice) as crowd:
        while time.monotonic() - began < scale(1, 600):
            for mode in dice.sample(MODES, len(MODES)):
                back = spell(way, room, mode, dice.uniform(*scale((0.8, 1.5), (4, 20))))
                pauses[mode] = max(pauses[mode], round(back.seconds, 1))
                slowest = max(slowest, back, key=lambda one: one.seconds)
    told(requests=len(crowd.answers), slowest_page=round(max(one.seconds for one in crowd.answers), 1),
         files_p95=round(crowd.p95(), 3), recovery=pauses, slowest=str(slowest), spoiled_calls=way.spoiled,
         answers=dict(Counter(one.status for one in crowd.answers)),
         missing=dict(Counter(one.route for one in crowd.answers if one.status == 404)))  # fmt: skip
    page, file, recovery = scale(STARVED, LIMITS)
    wrong = [one for one in crowd.answers if one.seconds > page or one.status in (0, 500)]
    assert wrong == []
    assert {one.route for one in crowd.answers} == {path for _, path, _ in ROUTES}
    assert crowd.p95() <= file
    assert max(pauses.values()) <= recovery, pauses
    assert "Internal Server Error" not in room.product.log()
    assert wait_until(lambda: breaches(room.product) == "", 60), breaches(room.product)


@dataclass
class Back:
    """The way back from a mode, in seconds since the engine is well: what was right when."""

    mode: str = ""
    seen: float = 0.0
    """Pages say so; ``because``: what they said last that was not so."""
    because: str = ""
    taken: float = 0.0
    """A command is taken, after so many that were refused, as these were under way."""
    seconds: float = 0.0
    """It has ended."""
    refused: int = 0
    under_way: str = ""


def spell(way: Proxy, room: Classroom, mode: str, seconds: float) -> Back:
    """A while of one mode; nothing is concluded. Gives the way back until all is right again."""
    still, before = {pk: statuses(room.product)[pk] for pk in quiet(room)}, vanished(room.product)
    way.switch(mode)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.2)
        seen = statuses(room.product)
        assert {pk: seen[pk] for pk in still} == still, mode
    way.switch(FINE)
    back, began = Back(mode), time.monotonic()
    fine = wait_until(lambda: is_seen(room, back), 60)
    assert fine, (mode, loop(room.product), room.product.log()[-2000:])
    back.seen = time.monotonic() - began
    runs(room.product, room.house, f"echo {time.monotonic()}", back, began)
    wrong = [row for row in vanished(room.product) if row not in before]
    assert wrong == [], (mode, [query(room.product, TALE, row[0]) for row in wrong])
    return back


def is_seen(room: Classroom, back: Back) -> bool:
    """Whether pages and /readyz say that all is well."""
    reasons = why_not(room.product)
    away = is_away(room.house.alice)
    if reasons or away:
        back.because = f"{reasons} {'away' if away else ''} {loop(room.product)}"
    return not reasons and not away


def loop(product: Product) -> list[Any]:
    """What the loop says of its last round."""
    return query(product, "SELECT report FROM sandboxes_lease WHERE name = 'cleanup'")


def quiet(room: Classroom) -> list[str]:
    """Those that nobody does anything to."""
    return [room.house.busy, room.house.paused, room.house.stopped, room.bystander]


def vanished(product: Product) -> list[Any]:
    """Whatever was called lost, or removed by another hand: here nothing ever is."""
    wrong = "status_reason LIKE 'lost%' OR status_reason LIKE 'removed outside%'"
    return query(product, f"SELECT id, status, status_reason FROM sandboxes_sandbox WHERE {wrong}")


def runs(product: Product, house: House, command: str, back: Back, began: float) -> None:
    """Have a command run to its end; it is refused while those of the bad time still count as running."""
    assert wait_until(lambda: takes(product, house, command, back), 60)
    back.taken = time.monotonic() - began
    sql = "SELECT status FROM sandboxes_command WHERE text = ? AND status = 'exited'"
    assert wait_until(lambda: bool(query(product, sql, command)), 60), query(
        product, "SELECT id, status, reason FROM sandboxes_command ORDER BY created_at DESC LIMIT 5"
    )
    back.seconds = time.monotonic() - began


def takes(product: Product, house: House, command: str, back: Back) -> bool:
    try:
        house.alice.post(f"/sandboxes/{house.busy}/commands/", command=command)
    except HTTPError as error:
        if error.code != 422:
            raise
        back.refused += 1
        back.under_way = str(query(product, UNDER_WAY))
        return False
    return True
