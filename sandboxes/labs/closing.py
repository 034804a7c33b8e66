"""The end of a lab: warn, save every workspace, remove the sandboxes, a wave at a time."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from sandboxes.lifecycle import actions, audit, transitions
from sandboxes.models import Sandbox, Status

from . import files, opening, seats, trail
from .models import Lab, LabStatus, Message, Seat, SeatStatus

WAVE = 4
KEPT = timedelta(days=1)
"""How long a sandbox whose work could not be saved stays, stopped, after its lab."""
"""Seats that are saved and removed in one round."""
EVERY = ("lab__course", "lab__version", "enrollment__user", "sandbox__owner", "sandbox__image")


def warn() -> None:
    """Tell everybody of a lab that ends soon, once."""
    soon = timezone.now() + opening.WARNING
    for lab in Lab.objects.filter(status=LabStatus.OPEN, closes_at__lte=soon, warned_at=None):
        with transaction.atomic():
            if Lab.objects.filter(pk=lab.pk, warned_at=None).update(warned_at=timezone.now()):
                minutes = max(round((lab.closes_at - timezone.now()).total_seconds() / 60), 1)
                text = f"This lab closes in {minutes} min. Your files are saved then."
                Message.objects.create(lab=lab, by_name="", text=text)
                trail.nudge(lab, "message", text=text, by="")


def close_due() -> None:
    """Close labs whose time, and everybody's extra time, is over; until then seats whose own time is."""
    for lab in Lab.objects.filter(status=LabStatus.OPEN, closes_at__lte=timezone.now()).select_related(
        "course"
    ):
        latest = max((seat.extra for seat in lab.seats.all()), default=0)
        if lab.closes_at + seats.timedelta(seconds=latest) <= timezone.now():
            opening.close_lab(lab, audit.SYSTEM, reason="its time was over")
        else:
            _close_over(lab)


def _close_over(lab: Lab) -> None:
    """Seats without more time, while others have some: their sandboxes would expire, and nothing be saved."""
    late = (timezone.now() - lab.closes_at).total_seconds()
    over = lab.seats.filter(status__in=(SeatStatus.READY, SeatStatus.SAVING), extra__lte=late)
    for seat in over.select_related(*EVERY)[:WAVE]:
        close_seat(seat)


def go_on() -> bool:
    """Go on with labs that are being closed; whether something was done."""
    done = False
    for lab in Lab.objects.filter(status=LabStatus.CLOSING).select_related("course", "version"):
        wave = list(lab.seats.exclude(status=SeatStatus.CLOSED).select_related(*EVERY)[:WAVE])
        closed = [seat for seat in wave if close_seat(seat)]
        done = done or bool(closed)
        if not wave:
            _finish(lab)
    return done


def close_seat(seat: Seat) -> bool:
    """Save and remove one seat; False while the engine is away. Each step may be done again.

    Steps: 1. mark 2. save 3. remove 4. closed.
    """
    if seat.status != SeatStatus.SAVING and not seats.change(
        seat, SeatStatus(seat.status), SeatStatus.SAVING
    ):
        return True
    is_told = seat.saved_at is not None or seat.saved_reason
    if seat.sandbox is not None and seat.sandbox.status == Status.REMOVED and not is_told:
        files.note(seat, "Its sandbox had been removed before.")
    elif seat.sandbox is not None and seat.sandbox.status != Status.REMOVED:
        if not is_told:
            _wake(seat.sandbox)
            if not files.save_workspace(seat, seat.sandbox):
                return False
        _let_go(seat, seat.sandbox)
    seats.change(seat, SeatStatus.SAVING, SeatStatus.CLOSED)
    return True


def _let_go(seat: Seat, sandbox: Sandbox) -> None:
    """Remove it; where the work could not be saved, only stop it and keep it for a while."""
    if not seat.saved_reason or sandbox.status != Status.RUNNING:
        actions.remove(sandbox, by=audit.SYSTEM, wait=None, reason="the lab was closed")
        return
    until = timezone.now() + KEPT
    facts = {"until": until.isoformat(timespec="seconds")}
    transitions.amend(
        sandbox, "extend", audit.SYSTEM, where=Q(expires_at__lt=until), facts=facts, expires_at=until
    )
    actions.stop(sandbox, by=audit.SYSTEM, wait=None)


def _wake(sandbox: Sandbox) -> None:
    """What stands still cannot be read: who closes while all eyes are up loses nobody's work."""
    action = {Status.PAUSED: "resume", Status.STOPPED: "start"}.get(Status(sandbox.status))
    if action:
        actions.act(sandbox, action, audit.SYSTEM, wait=None)


def _finish(lab: Lab) -> None:
    with transaction.atomic():
        now = timezone.now()
        if Lab.objects.filter(Q(pk=lab.pk), status=LabStatus.CLOSING).update(
            status=LabStatus.CLOSED, closed_at=now
        ):
            trail.record("lab.closed", audit.SYSTEM, lab)
            trail.nudge(lab)
