"""The wave: waiting seats are started, a few at a time, and those whose sandbox is there made ready.

It is gone through whenever something is over, so it asks as little as it can: one narrow query for
what is being started, and whole rows only of what has changed.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Q

from sandboxes.lifecycle import work
from sandboxes.lifecycle.in_hand import InHand
from sandboxes.models import Sandbox, Status

from . import seats
from .models import Course, Lab, LabStatus, Seat, SeatStatus, TemplateVersion
from .models.seat import SeatQuerySet

BEING_MADE = {Status.QUEUED.value}
SANDBOX, PULLING = ("sandbox__status", "sandbox__launch_step"), "pulling"
SPARE = 2
"""Threads that a wave leaves to what people do by hand, however large it may be."""

AHEAD = 8
"""Of so many seats of the queue it is read at a time who is next."""
OPEN = Q(lab__in=Lab.objects.filter(status=LabStatus.OPEN))
"""No join: PostgreSQL looks at a row's own columns again once whoever was changing it is through;
not so in an UPDATE over a join, and of two who change a seat at once both would win."""

_in_hand = InHand("actions")
"""Seats that are being made ready, by generation."""


class Turn:
    """What one turn of the loop reads once: who is next in the queue, and what its labs were made of.

    Who is next may have gone elsewhere since: all else of a seat is read once it is ours to start.
    """

    def __init__(self) -> None:
        self._next = deque[Seat]()
        self._versions: dict[int, TemplateVersion] = {}
        self._courses: dict[str, Course] = {}
        self.pulling: set[str] = set()
        """Labs with seats that wait for an image: their others would only wait with them."""

    def next(self) -> Seat | None:
        """Who has waited longest: what is needed to take them on, and no more. None: nobody waits."""
        self._next = deque(one for one in self._next if one.lab_id not in self.pulling)
        if not self._next:
            self._next.extend(_queue().exclude(lab__in=self.pulling).only("generation", "lab")[:AHEAD])
        return self._next.popleft() if self._next else None

    def whole(self, rows: SeatQuerySet) -> Iterator[Seat]:
        """These seats with all that starting or settling them takes; each has its lab as it is now."""
        for seat in rows.select_related("enrollment__user", "lab"):
            seat.lab.version = self._version(seat.lab.version_id)
            seat.lab.course = self._course(seat.lab.course_id)
            yield seat

    def _version(self, pk: int) -> TemplateVersion:
        """It never changes."""
        if pk not in self._versions:
            self._versions[pk] = TemplateVersion.objects.select_related("image").defer("files").get(pk=pk)
        return self._versions[pk]

    def _course(self, pk: str) -> Course:
        if pk not in self._courses:
            self._courses[pk] = Course.objects.get(pk=pk)
        return self._courses[pk]


def go_on(turn: Turn) -> bool:
    """Settle what is over and start what has room; whether something is being started."""
    busy = _in_hand.keys()
    begun = list(Seat.objects.starting().order_by().values_list("pk", "generation", *SANDBOX, "lab"))
    changed = [pk for pk, number, now, *_ in begun if now not in BEING_MADE and key(pk, number) not in busy]
    pulling = [lab for *_, step, lab in begun if step == PULLING]
    turn.pulling = set(pulling)
    left = len(begun) - sum(_settle(seat) for seat in _chosen(turn, changed))
    room = most() - left + len(pulling)  # who waits for an image keeps no thread, and no place
    return left + _fill(turn, room) > 0  # after settling: a free place is filled at once


def _fill(turn: Turn, room: int) -> int:
    """Start who is next until there is no room, or nobody waits; how many are being started then."""
    begun = 0
    while begun < room and (seat := turn.next()):
        begun += _start(turn, seat)
    return begun


def key(pk: str, generation: int) -> str:
    """What is in hand is a generation of a seat: one that is started over is another."""
    return f"{pk}-{generation}"


def is_busy() -> bool:
    """Whether threads of this process are making seats ready."""
    return bool(_in_hand)


def most() -> int:
    """Seats that are being started at a time; launches and files together leave SPARE threads free."""
    threads = work.size("actions")
    return min(settings.SANDBOX_WAVE, max(threads - SPARE, 1)) if threads else int(settings.SANDBOX_WAVE)


def _chosen(turn: Turn, keys: list[str]) -> Iterable[Seat]:
    rows = Seat.objects.filter(pk__in=keys).order_by().select_related("sandbox__owner", "sandbox__image")
    return turn.whole(rows) if keys else ()


def _settle(seat: Seat) -> bool:
    """See to one, and whether that was its end; files take a while, so many get theirs at a time."""
    if seat.sandbox is None or seat.sandbox.status != Status.RUNNING:
        seats.settle(seat)
    else:
        _in_hand.begin(key(seat.pk, seat.generation), seats.settle, seat)
    return seat.status != SeatStatus.STARTING


def _queue() -> SeatQuerySet:
    """Who waits, the longest first."""
    return Seat.objects.waiting().filter(OPEN)


def _start(turn: Turn, seat: Seat) -> bool:
    """Whether it was ours to start, and still is being started then: a launch may be refused."""
    if not seats.change(seat, SeatStatus.WAITING, SeatStatus.STARTING, where=OPEN):
        return False
    for mine in turn.whole(Seat.objects.filter(pk=seat.pk, generation=seat.generation).order_by()):
        seats.start(mine, after=Maker(copy.copy(mine)) if work.size("actions") else None)
        return mine.status == SeatStatus.STARTING
    return False


@dataclass
class Maker:
    """The thread that made a sandbox knows all of it and makes its seat ready; ``go_on`` sees to the rest."""

    seat: Seat

    def begin(self) -> None:
        _in_hand.add(key(self.seat.pk, self.seat.generation))

    def end(self, sandbox: Sandbox) -> None:
        try:
            self.seat.sandbox = sandbox
            seats.settle(self.seat)
        finally:
            self.drop()

    def drop(self) -> None:
        _in_hand.discard(key(self.seat.pk, self.seat.generation))
