"""The served product's own processes are killed under a crowd, one by one and all at once: it comes back."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.browser.product import Product
from tests.fakes.processes import wait_until

from .classroom import Classroom, Crowd
from .site import breaches, ready
from .stores import children

pytestmark = pytest.mark.engine
KINDS = ("web_server", "cleanup", "provision", "all")
"""What is killed in each turn, the last one with the one that starts them."""
BACK = 60.0
"""Seconds in which it has to answer again, its pauses before a start included."""


def process_of(product: Product, word: str) -> int | None:
    """The process that serves pages, or does that loop; None while there is none."""
    assert product.process is not None
    for pid in children(product.process.pid):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:  # it has just ended
            continue
        if any(one.decode().endswith(word) for one in words):
            return pid
    return None


def kill(product: Product, kind: str) -> None:
    """As by kill -9. Who starts them is started anew by hand, and its children die with it."""
    if kind == "all":
        assert product.process is not None
        os.killpg(product.process.pid, signal.SIGKILL)
        product.process.wait()
        product.start()
        return
    assert wait_until(lambda: process_of(product, kind) is not None, BACK), product.log()[-2000:]
    pid = process_of(product, kind)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def test_a_served_product_comes_back_from_any_death(
    room: Classroom, dice: random.Random, scale: Any, told: Any
) -> None:
    product, killed = room.product, Counter[str]()
    room.house.arrange()
    shell = room.house.work()
    with Crowd(room, dice) as crowd:
        for number in range(scale(4, 40)):
            kind = KINDS[number % len(KINDS)]
            time.sleep(dice.uniform(0.3, 3))
            kill(product, kind)
            killed[kind] += 1
            assert wait_until(lambda: ready(product), BACK), product.log()[-2000:]
    shell.close()
    assert wait_until(lambda: not room.house.left(), BACK), product.processes(room.house.busy)
    assert wait_until(lambda: breaches(product) == "", BACK), breaches(product)
    answers = Counter(one.status for one in crowd.answers)
    told(killed=dict(killed), requests=len(crowd.answers), unanswered=answers[0], breaches=0)
    assert answers[500] == 0
    assert "Internal Server Error" not in product.log()
    assert len(crowd.answers) - answers[0] > 20
