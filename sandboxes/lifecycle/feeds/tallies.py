"""Counters over the whole trail, kept up as it grows: nobody counts a million rows at a scrape."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

from django.db.models import F

from sandboxes.models import Event, Outcome, Tally

from . import cursor

NAME = "tallies"
BUCKETS = (0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600)
"""Upper ends in seconds; a last one without an end follows."""
LAUNCH, LAUNCH_SUM = "launch seconds", "launch milliseconds"

Key = tuple[str, str]


def run_round() -> bool:
    """Count the next piece of the trail, once; whether more is waiting."""
    if cursor.newest() <= cursor.of(NAME):
        return False
    with cursor.once(NAME) as piece:
        for (name, label), count in counted(piece.events).items():
            _add(name, label, count)
    return piece.is_full


def counted(events: Iterable[Event]) -> Counter[Key]:
    """What these events add: one to their action and outcome, and a launch's time to running."""
    found: Counter[Key] = Counter()
    for event in events:
        found[event.action, event.outcome] += 1
        if event.action == "sandbox.launch" and event.outcome == Outcome.OK and event.duration is not None:
            found[LAUNCH, str(bisect_left(BUCKETS, event.duration / 1000))] += 1
            found[LAUNCH_SUM, ""] += event.duration
    return found


def _add(name: str, label: str, count: int) -> None:
    rows = Tally.objects.filter(name=name, label=label)
    if not rows.update(count=F("count") + count):
        Tally.objects.create(name=name, label=label, count=count)


def read() -> dict[Key, int]:
    """All counters."""
    return {
        (name, label): count for name, label, count in Tally.objects.values_list("name", "label", "count")
    }
