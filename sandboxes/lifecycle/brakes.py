"""Counts of what may happen so often in so many seconds, one for all processes: rows, not a process' memory.

Whoever counts gets the number it made: of many at once no two get the same.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from sandboxes.models import Brake


def add(key: str, within: float, by: int = 1) -> int:
    """Count once more (or ``by``, which never begins one), and how many that makes in ``within`` seconds."""
    for _ in range(3):
        try:
            with transaction.atomic():
                return _add(key, within, by)
        except IntegrityError:  # somebody else began it at the same moment
            continue
    return 0


def _add(key: str, within: float, by: int) -> int:
    now, rows = timezone.now(), Brake.objects.filter(key=key)
    if rows.filter(until__gt=now).update(count=F("count") + by):
        return int(rows.values_list("count", flat=True).get())
    if by < 0:
        return 0
    fresh = {"count": by, "until": now + timedelta(seconds=within)}
    if not rows.filter(until__lte=now).update(**fresh):
        Brake.objects.create(key=key, **fresh)
    return by


def known(key: str) -> int:
    """How many there are, without counting."""
    rows = Brake.objects.filter(key=key, until__gt=timezone.now())
    return rows.values_list("count", flat=True).first() or 0


def forget(key: str) -> None:
    """It begins anew."""
    Brake.objects.filter(key=key).delete()


def prune() -> int:
    """Let go of those that are over; returns how many."""
    return Brake.objects.filter(until__lte=timezone.now()).delete()[0]
