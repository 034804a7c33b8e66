"""Sandboxes that were lent for a seat which has gone on to another one, and that nothing else removes.

Who starts a seat over lets go of the old sandbox first, and removes it then: a death in between, or an
engine that does not answer, leaves it running for nobody, in no quota. Its launch key tells: it names
the seat and its generation, and a seat never goes back to an earlier one.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from sandboxes.engine import get_engine
from sandboxes.lifecycle import actions, audit
from sandboxes.lifecycle.paces import Every, Tries
from sandboxes.models import Sandbox

from .models import Seat

EVERY = 5.0
"""Seconds between two looks."""
LONG = timedelta(seconds=120)
"""For how long such a one may be there before that is a breach."""

_looking = Every(EVERY)
_tries = Tries()


def remove() -> int:
    """Remove what is left over, now and then; how many were begun: none while the engine is away."""
    if not _looking.is_due() or get_engine().health.unreachable_since is not None:
        return 0
    rows = _lent().exclude(pending="remove")
    ids = [pk for pk in _over(rows) if not _tries.is_too_soon(pk)]
    for row in Sandbox.objects.filter(pk__in=ids).select_related("owner"):
        _tries.note(row.pk, went_well=False)
        actions.remove(row, by=audit.PROVISION, wait=0, reason="its seat has another one, or is no more")
    return len(ids)


def long_over(ids: Iterable[str]) -> list[str]:
    """Of these ids, those that have been left over for a while (SANDBOX_LEFT_RULE)."""
    return _over(_lent().filter(pk__in=list(ids)), since=timezone.now() - LONG)


def _lent() -> QuerySet[Sandbox]:
    return Sandbox.objects.present().filter(lent=True, launch_key__isnull=False)


def _over(rows: QuerySet[Sandbox], since: Any = None) -> list[str]:
    """Of an earlier generation than their seat (since then, if it matters), or of one that is no more."""
    keys = {pk: str(key).rpartition("-") for pk, key in rows.order_by().values_list("pk", "launch_key")}
    seats = Seat.objects.filter(pk__in={seat for seat, _, _ in keys.values()})
    now = {pk: rest for pk, *rest in seats.order_by().values_list("pk", "generation", "changed_at")}
    return [pk for pk, (seat, _, number) in keys.items() if _is_over(now.get(seat), number, since)]


def _is_over(seat: list[Any] | None, number: str, since: Any) -> bool:
    if seat is None:
        return True
    generation, changed_at = seat
    return number.isdecimal() and int(number) < generation and (since is None or changed_at < since)
