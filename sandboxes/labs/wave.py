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

from sandboxes.lifecycle import work
from sandboxes.lifecycle.in_hand import InHand
from sandboxes.models import Sandbox, Status

from . import bell, seats
from .models import Lab, LabStatus, Seat, SeatStatus
from .models.seat import SeatQuerySet

BEING_MADE = {Status.QUEUED.value}
SPARE = 2
"""Threads that a wave leaves to what people do by hand, however large it may be."""

AHEAD = 8
"""Seats of the queue that are read at a time."""

_in_hand = InHand("actions")
"""Seats that are being made ready, by generation."""


class Turn:
    """What a turn of the loop reads once: the labs of the seats in hand, and who is next in the queue.

    A seat read ahead may have gone elsewhere since: its status is changed only if it is what it was.
    """

    def __init__(self) -> None:
        self.next = deque[Seat]()
        self._labs: dict[str, Lab] = {}

    def read(self, room: int) -> None:
        """Read on where fewer are next than there is room for, and all anew once somebody rang."""
        if room > len(self.next) or bell.rung.is_set():
            rows = _queue().select_related("enrollment__user")[: max(room, AHEAD)]
            self.next = deque(self.with_lab(rows))

    def with_lab(self, rows: Iterable[Seat]) -> Iterator[Seat]:
        """These seats, each with its lab."""
        for seat in rows:
            seat.lab = self._lab(seat.lab_id)
            yield seat

    def _lab(self, pk: str) -> Lab:
        if pk not in self._labs:
            rows = Lab.objects.select_related("course", "version__image").defer("version__files")
            self._labs[pk] = rows.get(pk=pk)
        return self._labs[pk]


def go_on(turn: Turn) -> bool:
    """Settle what is over and start what has room; whether something is being started."""
    busy = _in_hand.keys()
    begun = list(Seat.objects.starting().order_by().values_list("pk", "generation", "sandbox__status"))
    changed = [pk for pk, number, now in begun if now not in BEING_MADE and key(pk, number) not in busy]
    left = len(begun) - sum(_settle(seat) for seat in turn.with_lab(_chosen(changed)))
    return left + _fill(turn, most() - left) > 0  # after settling: a free place is filled at once


def _fill(turn: Turn, room: int) -> int:
    """Start who is next; how many are being started then."""
    begun = 0
    turn.read(room)
    while turn.next and begun < room:
        begun += _start(turn.next.popleft())
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


def _chosen(keys: list[str]) -> Iterable[Seat]:
    related = ("enrollment", "sandbox__owner", "sandbox__image")
    return Seat.objects.filter(pk__in=keys).order_by().select_related(*related) if keys else ()


def _settle(seat: Seat) -> bool:
    """See to one, and whether that was its end; files take a while, so many get theirs at a time."""
    if seat.sandbox is None or seat.sandbox.status != Status.RUNNING:
        seats.settle(seat)
    else:
        _in_hand.begin(key(seat.pk, seat.generation), seats.settle, seat)
    return seat.status != SeatStatus.STARTING


def _queue() -> SeatQuerySet:
    """Who waits, the longest first."""
    return Seat.objects.waiting().filter(lab__status=LabStatus.OPEN)


def _start(seat: Seat) -> bool:
    """Whether it was ours to start, and still is being started then: a launch may be refused."""
    if not seats.change(seat, SeatStatus.WAITING, SeatStatus.STARTING):
        return False
    seats.start(seat, after=Maker(copy.copy(seat)) if work.size("actions") else None)
    return seat.status == SeatStatus.STARTING


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
