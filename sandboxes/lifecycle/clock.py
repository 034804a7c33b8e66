"""Notices that the host's clock was put forward or back, and sees to it that nobody ends early for it.

How long a sandbox may still live is a span, not a date: put forward, every end moves along; put back,
none is later than the longest lifetime from now. Who is alive is asked anew.
"""

from __future__ import annotations

import time
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from sandboxes.models import Lease, Sandbox

from . import audit

JUMP = 60.0
"""Seconds by which wall clock and monotonic clock may drift apart between two rounds."""


class Clock:
    """Compares the two clocks from round to round."""

    def __init__(self) -> None:
        self._drift = self._now()

    @staticmethod
    def _now() -> float:
        return time.time() - time.monotonic()

    def is_steady(self) -> bool:
        """False where it jumped since the last look: put right and on record by then; nothing expires now."""
        before, self._drift = self._drift, self._now()
        jump = self._drift - before
        if abs(jump) < JUMP:
            return True
        with transaction.atomic():
            moved = move_ends(jump)
            look_alive()
            reason = f"the clock jumped by {jump:.0f} s"
            audit.record("cleanup.clock", audit.CLEANUP, reason=reason, detail={"moved": moved})
        return False


def move_ends(jump: float) -> int:
    """Give what lives as much time as it had left; returns how many ends were moved.

    What was launched since a jump forward has its end by the new clock already. A lab sets the ends of
    what it lends.
    """
    now = timezone.now()
    most = now + timedelta(seconds=settings.SANDBOX_MAX_LIFETIME)
    rows = Sandbox.objects.present().exclude(expires_at=None)
    moved = 0
    if jump > 0:
        by, jumped = timedelta(seconds=jump), now - timedelta(seconds=jump / 2)
        moved = rows.filter(created_at__lt=jumped).update(expires_at=F("expires_at") + by)
    return moved + rows.filter(expires_at__gt=most, lent=False).update(expires_at=most)


def look_alive() -> None:
    """Take nobody for dead, or for alive for ever, by a clock that is no more."""
    now = timezone.now()
    until = now + timedelta(seconds=settings.SANDBOX_LEASE)
    Lease.objects.filter(name__startswith="process:").update(until=until)
    Sandbox.objects.exclude(pending="").update(pending_since=now)
