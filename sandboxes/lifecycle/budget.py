"""How much memory the install may promise in all, so that the host keeps what it needs for itself.

Every live sandbox counts with its whole limit, stopped ones too: they may start at any time.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Sum
from django.utils import timezone

from sandboxes.engine import get_engine
from sandboxes.models import Lease, Sandbox
from sandboxes.units import format_size

from . import host
from .refusals import Refused

LOCK = "budget"
"""The row that is held while a place is taken, so that launches at once are looked at one by one."""


@dataclass(frozen=True)
class Room:
    """Bytes promised, and the most that may be; None: no budget, or the host's memory is not known."""

    promised: int
    limit: int | None

    @property
    def left(self) -> int | None:
        return None if self.limit is None else max(self.limit - self.promised, 0)


def limit() -> int | None:
    """The budget in bytes; asks the engine how much memory there is, so not inside a transaction."""
    if settings.SANDBOX_MEMORY_BUDGET:
        return int(settings.SANDBOX_MEMORY_BUDGET)
    memory = _total.memory() if settings.SANDBOX_MEMORY_SHARE else None
    return None if memory is None else memory * settings.SANDBOX_MEMORY_SHARE // 100


def is_set() -> bool:
    """Whether there is to be one, be its size known or not."""
    return bool(settings.SANDBOX_MEMORY_BUDGET or settings.SANDBOX_MEMORY_SHARE)


def promised(beside: Collection[str] = ()) -> int:
    """Bytes promised to all live sandboxes, or to all but these."""
    return Sandbox.objects.live().exclude(pk__in=beside).aggregate(sum=Sum("memory"))["sum"] or 0


def learn(memory: int) -> None:
    """The host has so many bytes of memory, says the engine: kept for when it does not answer."""
    if settings.SANDBOX_MEMORY_SHARE:
        _total.learn(memory)


def room() -> Room:
    return Room(promised(), limit())


def check(sandbox: Sandbox, most: int | None) -> None:
    """Raise Refused unless its memory fits below ``most``; in the transaction that makes it live."""
    if most is None:
        return
    _hold()
    left = max(most - promised(), 0)
    if sandbox.memory > left:
        raise Refused("memory", _sentence(sandbox, left, most))


def _hold() -> None:
    """Until the end of the transaction nobody else is past this line (SQLite: nobody writes at all)."""
    now = timezone.now()
    if Lease.objects.filter(name=LOCK).update(until=now):
        return
    try:
        with transaction.atomic():
            Lease.objects.create(name=LOCK, owner=LOCK, until=now)
    except IntegrityError:  # made meanwhile
        Lease.objects.filter(name=LOCK).update(until=now)


def _sentence(sandbox: Sandbox, left: int, most: int) -> str:
    theirs = Sandbox.objects.owned_by(sandbox.owner).live().aggregate(sum=Sum("memory"))["sum"] or 0
    own = f"Yours have {format_size(theirs)} of it: remove one, or wait" if theirs else "Wait"
    free = f"{format_size(left)} of {format_size(most)} for all sandboxes is free"
    return f"The server has no {format_size(sandbox.memory)} left: {free}. {own} until others end."


class _Total:
    """The host's memory, which does not change: known from the first answer on, to all processes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[int, int] = {}

    def memory(self) -> int | None:
        """What the engine said to this process, says now, or said last to any process."""
        key = id(get_engine())
        if key not in self._known:
            found = host.info()
            if found is None:
                return _kept()
            self.learn(found.memory)
        return self._known.get(key)

    def learn(self, memory: int) -> None:
        with self._lock:
            if self._known == (now := {id(get_engine()): memory}):
                return
            self._known = now
        report, until = {"memory": memory}, timezone.now()
        if not Lease.objects.filter(name=LOCK).update(report=report):
            Lease.objects.get_or_create(name=LOCK, defaults={"owner": LOCK, "until": until, "report": report})


def _kept() -> int | None:
    report = Lease.objects.filter(name=LOCK).values_list("report", flat=True).first() or {}
    return report.get("memory")


_total = _Total()
