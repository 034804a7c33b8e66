"""Staff at a student's terminal: look, ask to type, stop; each on record under their own name."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from sandboxes.lifecycle import audit
from sandboxes.models import User

from . import progress, trail
from .models import Seat, SeatStatus


def look(seat: Seat, by: audit.Origin) -> None:
    """Put a look on record."""
    trail.record("seat.look", by, seat)


def begin(seat: Seat, user: User, by: audit.Origin) -> bool:
    """Type without a question, where the course says so; False when a colleague types, or it does not.

    From here on it is as after a yes: the student sees the name, and either side ends it.
    """
    if not seat.lab.course.types_freely:
        return False
    with transaction.atomic():
        rows = Seat.objects.filter(pk=seat.pk, status=SeatStatus.READY, typist=None)
        if not rows.update(typist=user, typing_asked_by=None, changed_at=timezone.now()):
            return False
        trail.record("seat.typing", by, seat, answer="free", staff=by.name)
        trail.nudge(seat)
    return True


def ask(seat: Seat, user: User, by: audit.Origin) -> bool:
    """Ask the student; False when a colleague asked or types already, or there is nothing to type in."""
    with transaction.atomic():
        rows = Seat.objects.filter(pk=seat.pk, status=SeatStatus.READY, typist=None, typing_asked_by=None)
        if not rows.update(typing_asked_by=user, changed_at=timezone.now()):
            return False
        trail.record("seat.ask", by, seat)
        trail.nudge(seat)
    return True


def withdraw(seat: Seat, user: User, by: audit.Origin) -> bool:
    """Take the question back."""
    with transaction.atomic():
        rows = Seat.objects.filter(pk=seat.pk, typing_asked_by=user)
        if not rows.update(typing_asked_by=None, changed_at=timezone.now()):
            return False
        trail.record("seat.ask", by, seat, withdrawn=True)
        trail.nudge(seat)
    return True


def stop(seat: Seat, by: audit.Origin) -> bool:
    """Nobody but the student types any more; False when that was so."""
    return progress.end_typing(seat, by)


def leave(pk: str, user: User, by: audit.Origin) -> None:
    """Whoever has gone from the page types no more, and asks no more: a yes was for now."""
    seat = Seat.objects.select_related("typist", "enrollment", "sandbox", "lab__course").filter(pk=pk).first()
    if seat is None:
        return
    if seat.typist_id == user.pk:
        stop(seat, by)
    withdraw(seat, user, by)
