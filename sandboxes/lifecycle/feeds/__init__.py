"""What leaves the audit trail: counters for /metrics, lines for a file, posts to webhooks.

Each feed follows the seals, the trail's one order without gaps, by a cursor of its own in the
database; so none loses an event, whatever is killed when. Nothing here changes a sandbox.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from . import delivering, file, queueing, tallies

log = logging.getLogger(__name__)

FEEDS: dict[str, Callable[[], bool]] = {
    "tallies": tallies.run_round,
    "file": file.run_round,
    "webhooks": queueing.run_round,
    "deliveries": delivering.run_round,
}
"""Each does one bounded piece of its work and says whether more is waiting."""


def run_round() -> bool:
    """Let every feed go on by one piece; whether there is more to do at once. What breaks stops no other."""
    busy = [_guarded(name, go_on) for name, go_on in FEEDS.items()]
    return any(busy)


def _guarded(name: str, go_on: Callable[[], bool]) -> bool:
    try:
        busy = go_on()
    except Exception as error:
        _tell(name, f"{type(error).__name__}: {error}", error)
        return False
    _tell(name, "")
    return busy


_told: dict[str, str] = {}


def _tell(name: str, why: str, error: Exception | None = None) -> None:
    """Say in the log that a feed cannot go on, once for each reason, and once that it goes on again."""
    before, _told[name] = _told.get(name, ""), why
    if why and why != before:
        log.error("The feed %r cannot go on and is tried again each round", name, exc_info=error)
    elif before and not why:
        log.warning("The feed %r goes on again", name)
