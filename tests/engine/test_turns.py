"""Sweeps take turns."""

from __future__ import annotations

import threading
import time

import pytest

from sandboxes.engine.base import TimedOut
from sandboxes.engine.turns import AT_ONCE, EACH, Turns
from tests.engine.helpers import together


def test_few_at_a_time_in_a_container_and_in_all() -> None:
    turns, lock, most = Turns(), threading.Lock(), [0]
    now: list[str] = []
    names = iter([f"c{number % 12}" for number in range(60)])

    def sweep() -> None:
        with lock:
            name = next(names)
        with turns.of(name):
            with lock:
                assert now.count(name) < EACH
                now.append(name)
                most[0] = max(most[0], len(now))
            time.sleep(0.01)
            with lock:
                now.remove(name)

    assert together(60, sweep) == [None] * 60
    assert most[0] <= AT_ONCE


def test_who_waits_too_long_is_told_and_the_next_one_has_a_turn() -> None:
    turns = Turns()
    with turns.of("a"), turns.of("a"), pytest.raises(TimedOut), turns.of("a", patience=0.01):
        pass
    with turns.of("a"):
        pass
