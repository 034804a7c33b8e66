"""How a lab went: who came, who is stuck, how long each step took, and one seat's story."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median

from django.db.models import Q
from django.utils import timezone

from sandboxes.models import Event

from . import pictures
from .models import Lab, Seat

STUCK = timedelta(minutes=10)
"""On one step for longer than this."""
EVENTS = 200


@dataclass
class Person:
    """One seat's line. ``times`` are how long each step took that is done, by its number."""

    seat: Seat
    steps: int
    hands: int
    waited: timedelta | None
    times: dict[int, timedelta] = field(default_factory=dict)

    @property
    def is_through(self) -> bool:
        return bool(self.steps) and len(self.seat.steps) >= self.steps

    @property
    def on_step(self) -> timedelta | None:
        """For how long they have been on their step; None for who never came or is through."""
        if self.seat.joined_at is None or self.is_through or self.seat.status == "closed":
            return None
        return timezone.now() - max(self.seat.step_since, self.seat.joined_at)

    @property
    def is_stuck(self) -> bool:
        return self.on_step is not None and self.on_step > STUCK

    def row_times(self) -> list[timedelta | None]:
        """One for each step of the sheet."""
        return [self.times.get(step) for step in range(1, self.steps + 1)]


def people(lab: Lab) -> list[Person]:
    """Everybody with a seat. Three queries."""
    steps = len(pictures.sheet_of(lab.version).steps)
    rows = lab.seats.select_related("enrollment").prefetch_related("hands")
    ticks = _ticks(lab)
    return [_person(seat, steps, ticks[seat.pk]) for seat in rows]


def _person(seat: Seat, steps: int, ticks: list[tuple[datetime, int]]) -> Person:
    hands = list(seat.hands.all())
    waits = [one.resolved_at - one.raised_at for one in hands if one.resolved_at]
    found = Person(seat, steps, len(hands), max(waits, default=None))
    before = seat.joined_at
    for at, step in ticks:
        if before is not None and step not in found.times:
            found.times[step] = at - before
        before = at
    return found


def _ticks(lab: Lab) -> dict[str, list[tuple[datetime, int]]]:
    """When each seat ticked which step, from the trail."""
    found: dict[str, list[tuple[datetime, int]]] = defaultdict(list)
    rows = Event.objects.filter(action="seat.step", detail__lab=lab.pk, detail__done=True)
    for at, detail in rows.order_by("id").values_list("at", "detail"):
        found[detail["seat"]].append((at, int(detail["step"])))
    return found


def medians(found: list[Person]) -> list[timedelta | None]:
    """The middle time of each step; None where nobody is through."""
    steps = found[0].steps if found else 0
    by_step = [
        [one.times[step].total_seconds() for one in found if step in one.times]
        for step in range(1, steps + 1)
    ]
    return [timedelta(seconds=median(times)) if times else None for times in by_step]


def story(seat: Seat) -> list[Event]:
    """What happened at a seat and in all its sandboxes, the latest first."""
    held = {seat.sandbox_id or "", *seat.sandboxes.values_list("pk", flat=True)} - {""}
    mine = Q(detail__seat=seat.pk) | Q(sandbox_id__in=held)
    since = seat.lab.created_at
    rows = Event.objects.filter(mine, at__gte=since).exclude(action="terminal.leave")
    return list(rows.order_by("-id")[:EVENTS])
