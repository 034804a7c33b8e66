"""One sandbox's numbers: what was asked of the engine, as rates, for the last ten minutes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from sandboxes.engine.base import Engine, EngineError, NotFound, StatsSample

HISTORY = 600
"""Samples kept: ten minutes at one a second."""
FIRST, LONGEST = 0.5, 10.0
"""Seconds until a stream that broke is tried again: the first time, and the most."""


@dataclass(frozen=True)
class Facts:
    """What the database says of a sandbox. ``is_up``: it runs and is not paused."""

    native_id: str
    is_up: bool
    cpus: float
    memory: int
    pids: int


class Sample(NamedTuple):
    """One reading; ``*_rate`` in bytes a second, None where unknown (the first, or a counter restarted)."""

    at: float
    cpu: float | None
    memory: int | None
    memory_limit: int | None
    rx_rate: float | None
    tx_rate: float | None
    read_rate: float | None
    write_rate: float | None
    pids: int | None


NOTHING = (None,) * 8


def between(last: StatsSample | None, now: StatsSample) -> Sample:
    """The reading ``now``, with rates since the one before."""
    elapsed = now.at - last.at if last else 0.0

    def rate(name: str) -> float | None:
        then, count = getattr(last, name, None), getattr(now, name)
        if then is None or count is None or count < then or elapsed <= 0:
            return None
        return round((count - then) / elapsed, 1)

    cpu = None if now.cpu is None else round(now.cpu, 4)
    rates = (rate("rx"), rate("tx"), rate("block_read"), rate("block_write"))
    return Sample(now.at, cpu, now.memory, now.memory_limit, *rates, now.pids)


class Series:
    """The samples of one sandbox, and the reader that brings them. For the loop's thread."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.samples: deque[Sample] = deque(maxlen=HISTORY)
        self.reader: Reader | None = None
        self.idle_since: float | None = None
        self.pause, self.next_try = FIRST, 0.0

    @property
    def latest(self) -> Sample | None:
        """The last sample, while there is something to read."""
        return self.samples[-1] if self.samples and self.reader is not None else None

    def rest(self) -> bool:
        """Note that from now on there is nothing to read: it does not run. False: that is known."""
        if self.samples and self.samples[-1][1:] == NOTHING:
            return False
        self.samples.append(Sample(time.time(), *NOTHING))
        return True

    def as_sample(self, one: Sample) -> dict[str, Any]:
        """As the sandbox's own page gets it."""
        limits = {"cpus": self.facts.cpus, "pids_limit": self.facts.pids}
        return one._asdict() | limits | {"memory_limit": one.memory_limit or self.facts.memory}

    def as_row(self, one: Sample) -> dict[str, Any]:
        """As lists get it."""
        limit = one.memory_limit or self.facts.memory
        return {"cpu": one.cpu, "cpus": self.facts.cpus, "memory": one.memory, "memory_limit": limit}


class Reader(threading.Thread):
    """Reads one container's stream until it ends or ``stop``; samples wait in it until they are taken."""

    def __init__(self, engine: Callable[[], Engine], native_id: str) -> None:
        super().__init__(name=f"stats-{native_id[:12]}", daemon=True)
        self.container = native_id
        self.is_gone = False
        self._engine = engine
        self._over = threading.Event()
        self._fresh: deque[Sample] = deque(maxlen=10)

    def take(self) -> list[Sample]:
        """What came since the last time."""
        taken = []
        while self._fresh:
            taken.append(self._fresh.popleft())
        return taken

    def stop(self) -> None:
        self._over.set()

    def run(self) -> None:
        last: StatsSample | None = None
        try:
            for one in self._engine().stats(self.container, self._over.is_set):
                self._fresh.append(between(last, one))
                last = one
        except NotFound:
            self.is_gone = True
        except EngineError:
            return  # the engine's health has it; the series tries again
