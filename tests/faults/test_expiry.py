"""Each sandbox ends in its time, whatever dies meanwhile: never before, and soon after."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.browser.product import Product, running

pytestmark = pytest.mark.engine
LATE = 45.0
"""Seconds after its end in which a sandbox has to go, deaths of web and loop included."""
ENDS = "SELECT id, expires_at FROM sandboxes_sandbox WHERE started_at IS NOT NULL"
OVER = "SELECT count(*) FROM sandboxes_sandbox WHERE status = 'removed' AND status_reason = 'expired'"


@pytest.fixture
def served(tmp_path: Path, scale: Any) -> Iterator[Product]:
    """Web and loop; in the full form with the pace that people have."""
    room = {"SANDBOX_QUOTA_SANDBOXES": "1000", "SANDBOX_QUOTA_MEMORY": "1t"}
    with running(tmp_path, SANDBOX_CLEANUP_INTERVAL=str(scale(2, 10)), **room) as product:
        yield product


def read(product: Product, question: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(product.data / "db.sqlite3", timeout=20)) as database:
        return database.execute(question).fetchall()


def ends(product: Product) -> dict[str, float]:
    """By the container's name: its end on record, as epoch seconds. Some are over before they begin."""
    rows = read(product, ENDS)
    return {f"sandbox-{pk}": datetime.fromisoformat(f"{end}+00:00").timestamp() for pk, end in rows}


def launch(product: Product, lifetimes: list[int]) -> None:
    """One for each."""
    product.tell(
        "from sandboxes.lifecycle import actions, audit\n"
        "from sandboxes.models import Image, User\n"
        "owner, image = User.objects.get(username='alice'), Image.objects.get(title='Starter')\n"
        f"for lifetime in {lifetimes}:\n"
        "    actions.launch(owner, image, origin=audit.SYSTEM, lifetime=lifetime, memory='6m', pids=16)\n",
    )  # fmt: skip


def die(product: Product) -> None:
    """Web and loops are killed at one blow, and started again."""
    assert product.process is not None
    os.killpg(product.process.pid, signal.SIGKILL)
    product.process.wait()
    product.start()


def test_each_is_gone_after_its_end_and_none_before(
    served: Product, dice: random.Random, scale: Any, told: Any
) -> None:
    count, longest = scale(8, 200), scale(12, 120)
    lifetimes = [dice.randint(5, longest) for _ in range(count)]
    launching = threading.Thread(target=launch, args=(served, lifetimes))
    launching.start()  # the first may be over before the last is there
    began, deaths = time.time(), [longest / 3, longest * 2 / 3][: scale(1, 2)]
    last: dict[str, float] = {}
    gone: dict[str, float] = {}
    while time.time() - began < 3 * longest + 2 * LATE:
        if deaths and time.time() - began > deaths[0]:
            deaths.pop(0)
            die(served)
        now, there = time.time(), set(served.names())
        last |= dict.fromkeys(there, now)
        gone |= dict.fromkeys(last.keys() - there - gone.keys(), now)
        if not there and read(served, OVER) == [(count,)]:
            break
        time.sleep(0.5)
    launching.join()
    due = ends(served)
    assert due.keys() <= gone.keys(), "some are still there"
    early = {name: due[name] - last[name] for name in due if gone[name] < due[name]}
    late = max(gone[name] - due[name] for name in due)
    assert early == {}
    assert late <= LATE
    assert "all is as it must be" in served.manage("check_invariants")
    told(
        sandboxes=count,
        began=len(due),
        lifetimes=f"5-{longest} s",
        deaths=scale(1, 2),
        early=0,
        latest=round(late, 1),
    )
