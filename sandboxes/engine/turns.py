"""Who sweeps, when many want to: two at a time in each container, and not too many in all.

A sweep looks at every process there is with its container's own share of the CPU. A class whose
terminals end together would otherwise have all of them look at once, each too slow to answer in time.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from .base import TimedOut

EACH, AT_ONCE = 2, 16
"""In one container, and in all of this process."""
PATIENCE = 30.0
"""Seconds after which one who waits gives up; whoever asked asks again."""


class Turns:
    """Safe to use from any thread of this process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._swept: Counter[str] = Counter()

    @contextmanager
    def of(self, native_id: str, patience: float = PATIENCE) -> Iterator[None]:
        """Around a sweep of a container. Raises TimedOut."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._is_free(native_id), patience):
                raise TimedOut("Too much is being ended just now.")
            self._swept[native_id] += 1
        try:
            yield
        finally:
            with self._changed:
                self._swept[native_id] -= 1
                self._swept += Counter()  # without those that are 0
                self._changed.notify_all()

    def _is_free(self, native_id: str) -> bool:
        return self._swept[native_id] < EACH and self._swept.total() < AT_ONCE
