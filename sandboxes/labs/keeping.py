"""How long saved work is kept: what is older than SANDBOX_WORK_DAYS goes, and that is on record."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import formats, timezone

from sandboxes.lifecycle import audit

from . import files, trail
from .models import Lab, Seat

EVERY = 3600.0
"""Seconds between two looks."""
SOME = 200
"""Seats at a time, so that seats that are being started do not wait for it."""
_next = [0.0]


def forget_due() -> None:
    """Now and then, for the loop: the oldest first, some at a time."""
    if settings.SANDBOX_WORK_DAYS and time.monotonic() >= _next[0]:
        count = forget(timezone.now())
        _next[0] = time.monotonic() + (0.0 if count == SOME else EVERY)


def forget(now: datetime) -> int:
    """Let go of work that was saved too long ago; how many seats'. Each step may be done again."""
    before = now - timedelta(days=settings.SANDBOX_WORK_DAYS)
    old = Seat.objects.exclude(saved_name="").filter(saved_at__lt=before).order_by("saved_at")
    found = list(old.select_related("lab__course").defer("lab__version")[:SOME])
    for lab in {seat.lab_id: seat.lab for seat in found}.values():
        _forget(lab, [seat for seat in found if seat.lab_id == lab.pk])
    return len(found)


def _forget(lab: Lab, seats: list[Seat]) -> None:
    """The files first: a row without its file is found again, a file without its row never."""
    for seat in seats:
        files.path_of(seat).unlink(missing_ok=True)
    with transaction.atomic():
        for seat in seats:
            Seat.objects.filter(pk=seat.pk).update(saved_name="", saved_bytes=0, saved_reason=_reason(seat))
        trail.record("lab.forget", audit.PROVISION, lab, seats=len(seats), days=settings.SANDBOX_WORK_DAYS)
        trail.nudge(lab)


def _reason(seat: Seat) -> str:
    until = seat.kept_until or timezone.now()
    days = settings.SANDBOX_WORK_DAYS
    return f"They were kept for {days} days, until {formats.date_format(until, 'j F Y')}."
