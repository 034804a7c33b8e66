"""Notices that the host's clock was put forward or back, and sees to it that nobody ends early for it.

How long a sandbox may still live is a span, not a date: put forward, every end moves along; put back,
none is later than the longest lifetime from now. Who is alive is asked anew. How far apart the host's
two clocks were is on record (the lease row ``clock``), so that of several loops one puts a jump right,
once, and a loop that starts late, or gets the role late, sees what is left to do and nothing else.
"""

from __future__ import annotations

import time
from datetime import timedelta
from functools import cache
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from sandboxes.models import Brake, Lease, Sandbox

from . import audit, process

NAME = "clock"
JUMP = 60.0
"""Seconds by which wall clock and monotonic clock may drift apart between two rounds."""
SLOW = 1.0
"""Seconds of drift from which on it is noted: a clock that is put right little by little never jumps."""
BOOT = Path("/proc/sys/kernel/random/boot_id")


@cache
def host() -> str:
    """Whose two clocks these are: this host since its start; where that has no name, this process alone."""
    try:
        return BOOT.read_text().strip()
    except OSError:
        return process.process_id()


class Clock:
    """Compares the two clocks from round to round, with what any loop of this host saw last."""

    def __init__(self) -> None:
        self._first = self._now()

    @staticmethod
    def _now() -> float:
        return time.time() - time.monotonic()

    def is_steady(self) -> bool:
        """False where it jumped since the last look: put right and on record by then; nothing expires now."""
        noted = Lease.objects.filter(name=NAME, owner=host()).values_list("report", flat=True).first()
        if noted and abs(self._now() - noted["drift"]) < SLOW:
            return True
        with transaction.atomic():
            jump = self._since_last()
            if abs(jump) < JUMP:
                return True
            moved = move_ends(jump)
            look_alive()
            if jump < 0:
                put_back()
            reason = f"the clock jumped by {jump:.0f} s"
            audit.record("cleanup.clock", audit.CLEANUP, reason=reason, detail={"moved": moved})
        return False

    def _since_last(self) -> float:
        """By how much it jumped, told to one loop only: whoever asks next waits, and hears the rest."""
        first = {"owner": host(), "until": timezone.now(), "report": {"drift": self._first}}
        row, _ = Lease.objects.select_for_update().get_or_create(name=NAME, defaults=first)
        drift = self._now()
        jump = drift - row.report["drift"] if row.owner == host() else 0.0
        Lease.objects.filter(name=NAME).update(owner=host(), report={"drift": drift})
        return jump


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


def put_back() -> None:
    """What is on record of a time that is to come again happened by now; counts that it bounds begin anew."""
    now = timezone.now()
    for name in ("created_at", "changed_at", "started_at", "used_at", "idle_warned_at"):
        Sandbox.objects.filter(**{f"{name}__gt": now}).update(**{name: now})
    Brake.objects.filter(until__gt=now).delete()
