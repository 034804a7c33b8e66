"""What a wall shows of each seat, as the database has it: one tile a seat, in three queries a lab."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from sandboxes.access import name_of
from sandboxes.live.series import Facts
from sandboxes.live.stats import facts_of
from sandboxes.models import Status
from sandboxes.units import format_duration

from . import pictures
from .models import Hand, Lab, LabStatus, Seat, SeatStatus

WORDS = {SeatStatus.WAITING: "waiting", SeatStatus.STARTING: "starting", SeatStatus.FAILED: "failed",
         SeatStatus.SAVING: "saving", SeatStatus.CLOSED: "closed"}  # fmt: skip
GONE = timedelta(seconds=60)
"""Without its page for so long somebody has left; an open page is noted three times as often."""
OVER = (LabStatus.CLOSING, LabStatus.CLOSED)


@dataclass(frozen=True)
class Tile:
    """One seat at a glance. Times are seconds since the epoch; ``mark`` is the shape beside ``word``."""

    seat: str
    sandbox: str
    name: str
    section: str
    is_guest: bool
    is_out: bool
    status: str
    word: str
    mark: str
    step: int
    done: tuple[int, ...]
    steps: int
    since: float
    came: bool
    here: bool
    seen_at: float | None
    is_over: bool
    active_at: float | None
    hand_at: float | None
    hand_text: str
    hand_by: str
    typist: str

    @property
    def pills(self) -> list[str]:
        """Each step as done, now or still to come."""
        state = lambda one: "done" if one in self.done else "now" if one == self.step else ""  # noqa: E731
        return [state(one) for one in range(1, self.steps + 1)]

    @property
    def idle(self) -> float | None:
        """Seconds since somebody worked in its terminal, as the record has it."""
        return time.time() - self.active_at if self.active_at else None

    @property
    def presence(self) -> str:
        """Whether they never came, have left, or for how long nobody worked there; the browser counts on."""
        if not self.came:
            return "did not come" if self.is_over else "not here yet"
        if self.is_over:
            return ""
        if not self.here:
            return f"left {format_duration(time.time() - (self.seen_at or time.time()))} ago"
        if self.idle is None:
            return ""
        return "active" if self.idle < 60 else f"{format_duration(self.idle)} idle"

    @property
    def waits(self) -> float:
        """Seconds for which the hand has been up."""
        return time.time() - (self.hand_at or time.time())

    @property
    def is_through(self) -> bool:
        """Whether every step is done."""
        return bool(self.steps) and len(self.done) >= self.steps

    def as_json(self) -> dict[str, Any]:
        """What the page is told of it; its name and section it knows."""
        return {"status": self.status, "word": self.word, "mark": self.mark, "pills": self.pills,
                "step": self.step, "since": self.since, "through": self.is_through, "came": self.came,
                "here": self.here, "seen": None if self.here else self.seen_at,
                "hand": self.hand_at, "hand_by": self.hand_by}  # fmt: skip


def of(lab: Lab) -> list[Tile]:
    """The tiles of a lab. Blocking: two queries."""
    return list(with_facts(lab)[0].values())


def with_facts(lab: Lab) -> tuple[dict[str, Tile], dict[str, Facts]]:
    """Tiles by seat, and what numbers need to know by sandbox. Blocking: two queries."""
    steps = len(pictures.sheet_of(lab.version).steps)
    hands = {hand.seat_id: hand for hand in _open_hands(lab)}
    rows = Seat.objects.filter(lab=lab).select_related("enrollment", "sandbox", "typist")
    found = [(seat, _tile(seat, hands.get(seat.pk), steps, lab)) for seat in rows]
    facts = {seat.sandbox_id: facts_of(seat.sandbox) for seat, _ in found if seat.sandbox is not None}
    return {seat.pk: tile for seat, tile in found}, {pk: one for pk, one in facts.items() if pk}


def _open_hands(lab: Lab) -> list[Hand]:
    return list(Hand.objects.filter(seat__lab=lab, resolved_at=None).select_related("claimed_by"))


def _tile(seat: Seat, hand: Hand | None, steps: int, lab: Lab) -> Tile:
    status, word, mark = _status(seat)
    box = seat.sandbox
    return Tile(
        seat=seat.pk, sandbox=seat.sandbox_id or "", name=seat.enrollment.name,
        section=seat.enrollment.section, is_guest=seat.enrollment.is_guest,
        is_out=seat.enrollment.removed_at is not None,
        status=status, word=word, mark=mark, step=seat.step,
        done=tuple(seat.steps), steps=steps, since=seat.step_since.timestamp(),
        came=seat.joined_at is not None, here=_is_here(seat), seen_at=_stamp(seat.seen_at),
        is_over=lab.status in OVER, active_at=_stamp(box.last_activity_at if box else None),
        hand_at=_stamp(hand.raised_at if hand else None), hand_text=hand.text if hand else "",
        hand_by=name_of(hand.claimed_by) if hand and hand.claimed_by else "",
        typist=name_of(seat.typist) if seat.typist else "",
    )  # fmt: skip


def _is_here(seat: Seat) -> bool:
    """Whether their page was open a moment ago."""
    return bool(seat.joined_at and seat.seen_at and timezone.now() - seat.seen_at < GONE)


def _stamp(at: datetime | None) -> float | None:
    return at.timestamp() if at else None


def _status(seat: Seat) -> tuple[str, str, str]:
    """Colour, word and shape: the sandbox's where the seat is ready, else the seat's own."""
    if seat.status != SeatStatus.READY or seat.sandbox is None:
        colour = {"failed": "failed", "closed": "stopped"}.get(seat.status, "queued")
        return colour, WORDS.get(SeatStatus(seat.status), "no sandbox"), colour
    status = str(seat.sandbox.status)
    return status, f"{seat.sandbox.pending} …" if seat.sandbox.pending else status, _mark(status)


def _mark(status: str) -> str:
    return status if status in Status.values else "stopped"
