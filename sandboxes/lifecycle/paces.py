"""How often the loop does what it does: once in so many seconds, and what failed less and less often."""

from __future__ import annotations

import time


class Every:
    """Due at first, and then once in so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0

    def is_due(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True

    def again(self) -> None:
        """What was due came to nothing: it is due at once."""
        self._next = 0.0


class Tries:
    """What failed is tried again after 10 s, 20 s ... at most 5 min, so that the trail stays readable."""

    def __init__(self) -> None:
        self._failed: dict[str, tuple[float, float]] = {}

    def is_too_soon(self, pk: str) -> bool:
        return pk in self._failed and time.monotonic() < self._failed[pk][0]

    def note(self, pk: str, went_well: bool) -> None:
        delay = min(2 * self._failed.pop(pk, (0, 5.0))[1], 300.0)
        if not went_well:
            self._failed[pk] = (time.monotonic() + delay, delay)
