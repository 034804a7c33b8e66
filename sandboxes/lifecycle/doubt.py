"""Many at once are doubted: a wrong clock or a list without its containers would end a whole class.

What is said of more than a few is believed only of those of which it was said some seconds before too.
A class whose time is over at the same minute ends so much later.
"""

from __future__ import annotations

from collections.abc import Collection
from time import monotonic, sleep

from sandboxes.models import Sandbox

from . import audit

FEW = 5
SHARE = 20
"""Sandboxes, or percent of those there are: so many are believed at once."""
AGAIN = 10.0
"""Seconds between the two looks that have to agree."""


def pause() -> None:
    """Wait until a second look says something."""
    sleep(AGAIN)


class Doubt:
    """What one loop has seen so far. ``what`` completes "12 of 20 sandboxes ... at once"; ``held`` is that
    sentence while something is held back, else empty."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._seen: dict[str, float] = {}
        self.again = AGAIN
        self.held = ""

    def believed(self, ids: Collection[str]) -> set[str]:
        """Of all of which it is said now, those of which it may be taken for true."""
        now = monotonic()
        self._seen = {pk: self._seen.get(pk, now) for pk in ids}
        there = Sandbox.objects.present().count() if len(ids) > FEW else 0
        if len(ids) <= max(FEW, there * SHARE // 100):
            self.held = ""
            return set(ids)
        sure = {pk for pk, since in self._seen.items() if now - since >= self.again}
        self._hold(len(ids) - len(sure), there)
        return sure

    def _hold(self, count: int, there: int) -> None:
        """On record once, however long it lasts and however many it is of."""
        was, self.held = self.held, ""
        if not count:
            return
        self.held = f"{count} of {there} sandboxes {self._what} at once"
        if not was:
            facts = {"count": count, "sandboxes": there}
            audit.record("cleanup.doubt", audit.CLEANUP, reason=self.held, detail=facts)
