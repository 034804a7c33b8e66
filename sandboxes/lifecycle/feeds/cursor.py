"""Reading the trail from where one stopped, in the order of its seals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.db import transaction

from sandboxes.models import Cursor, Event, Seal

PIECE = 500
"""Events that a feed takes at a time."""


@dataclass
class Piece:
    """The next events after a cursor. ``start`` and ``end`` are seal numbers; pruned events are left out."""

    start: int
    end: int
    numbered: list[tuple[int, Event]] = field(default_factory=list)

    @property
    def events(self) -> list[Event]:
        return [event for _, event in self.numbered]

    @property
    def is_full(self) -> bool:
        """Whether more may be waiting behind it."""
        return self.end - self.start >= PIECE


def after(number: int) -> Piece:
    """The events behind this seal number, the first PIECE of them."""
    seals = dict(
        Seal.objects.filter(number__gt=number).order_by("number").values_list("number", "event_id")[:PIECE]
    )
    found = Event.objects.in_bulk(seals.values()) if seals else {}
    numbered = [(seal, found[pk]) for seal, pk in seals.items() if pk in found]
    return Piece(number, max(seals, default=number), numbered)


def of(name: str) -> int:
    """How far this feed has come; 0 for one that has not begun."""
    return Cursor.objects.filter(name=name).values_list("number", flat=True).first() or 0


def move(name: str, piece: Piece) -> bool:
    """Note that a piece is dealt with; False when somebody else dealt with it meanwhile."""
    Cursor.objects.get_or_create(name=name)
    return bool(Cursor.objects.filter(name=name, number=piece.start).update(number=piece.end))


@contextmanager
def once(name: str) -> Iterator[Piece]:
    """The next piece, dealt with exactly once: what is written in the block and the cursor are one."""
    Cursor.objects.get_or_create(name=name)
    with transaction.atomic():
        start = Cursor.objects.select_for_update().get(name=name).number
        piece = after(start)
        yield piece
        if piece.end > start:
            Cursor.objects.filter(name=name).update(number=piece.end)


def newest() -> int:
    """The number of the last seal; 0 without one."""
    return Seal.objects.order_by("-number").values_list("number", flat=True).first() or 0
