"""Stops what nobody uses: five kinds of use, a warning before, one click more, and a reason in words.

Keys, output and open pages are told by the web processes (usage.py); running commands and the CPU
are looked at here. Whatever is not known counts as use: no web process that looks, a loop that was
away, a clock that jumped. The hard end (``expires_at``) is cleanup's and knows nothing of this.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.module_loading import import_string

from sandboxes.engine import get_engine
from sandboxes.engine.base import Conflict, NotFound
from sandboxes.models import Command, CommandStatus, Lease, Sandbox, Status
from sandboxes.units import format_duration

from . import actions, announce, audit, usage
from .usage import WORDS, Use, is_warned, since

NAME = "idle"
LEAD = timedelta(minutes=5)
"""How long before its end a sandbox is warned; a quarter of a short limit."""
GAP = timedelta(seconds=120)
"""Two looks further apart than this leave a time of which nothing is known."""
FRESH = timedelta(seconds=60)
"""Used so lately is used now."""
AT_ONCE = 32
"""How many containers' CPU is read at a time."""


# -- what holds for one -------------------------------------------------------------------------


def lead(row: Sandbox) -> timedelta:
    """How long before its end it is warned."""
    return min(LEAD, timedelta(seconds=row.idle_limit / 4))


def ends_at(row: Sandbox) -> datetime | None:
    """When it will be stopped if nobody uses it; None: it will not. Never without a whole warning before."""
    if not row.idle_limit or row.status != Status.RUNNING:
        return None
    end = since(row) + timedelta(seconds=row.idle_limit)
    return max(end, row.idle_warned_at + lead(row)) if row.idle_warned_at and is_warned(row) else end


@dataclass(frozen=True)
class Told:
    """What its page says: a sentence, when it is stopped if nobody uses it, and whether that is soon."""

    sentence: str
    ends_at: datetime | None = None
    is_unused: bool = False
    is_soon: bool = False


def told(row: Sandbox) -> Told:
    """What keeps it alive, or when and why it will be stopped."""
    if not row.idle_limit:
        return Told("goes on until its end, used or not")
    limit = format_duration(row.idle_limit)
    end = ends_at(row)
    if end is None:
        return Told(f"stopped after {limit} without use, while it runs")
    now = timezone.now()
    unused = now - since(row)
    if unused < FRESH:
        return Told(f"in use: {_how(row)}; without use for {limit} it is stopped", end)
    return Told(f"unused for {format_duration(unused.total_seconds())}", end, True, is_warned(row))


def _how(row: Sandbox) -> str:
    """What was seen last, unless something was done with it since."""
    is_seen = row.used_at is not None and row.used_how in WORDS and since(row) == row.used_at
    return WORDS[Use(row.used_how)] if is_seen else "something was done with it"


# -- the loop's look ----------------------------------------------------------------------------


def watch() -> int:
    """Look at all that run and have a limit; how many are being stopped. Raises EngineError.

    Steps: 1. what nobody could look at is used 2. commands 3. CPU 4. warn and stop what is left.
    """
    rows = list(Sandbox.objects.filter(status=Status.RUNNING, pending="", idle_limit__gt=0))
    report = Lease.objects.filter(name=NAME).values_list("report", flat=True).first() or {}
    now = timezone.now()
    if not usage.is_watched() or not _is_near(report.get("at"), now):
        _note(rows, Use.UNKNOWN, now)
        _keep(now, {})
        return 0
    rows = _without(rows, _with_commands(rows), Use.COMMAND, now)
    quiet = [row for row in rows if now - since(row) >= min(FRESH, lead(row))]
    readings = _read(quiet, now)
    busy = {pk for pk, one in readings.items() if _is_busy(report.get("cpu", {}).get(pk), one)}
    quiet = _without(quiet, busy, Use.CPU, now)
    _keep(now, readings)
    return sum(_look(row, now) for row in quiet if row.pk in report.get("cpu", {}))


def _is_near(last: Any, now: datetime) -> bool:
    """Whether the look before was a moment ago by this clock."""
    at = parse_datetime(str(last or ""))
    return at is not None and timedelta(0) <= now - at <= GAP


def _without(rows: Sequence[Sandbox], used: Collection[str], use: Use, now: datetime) -> list[Sandbox]:
    """The others; these are noted as used."""
    _note([row for row in rows if row.pk in used], use, now)
    return [row for row in rows if row.pk not in used]


def _note(rows: Sequence[Sandbox], use: Use, now: datetime) -> None:
    """Not at every look: what was used a moment ago is written already."""
    late = timedelta(seconds=usage.EVERY)
    usage.note({row.pk: use for row in rows if not timedelta(0) <= now - since(row) < late})


def _with_commands(rows: Sequence[Sandbox]) -> set[str]:
    running = Command.objects.filter(status=CommandStatus.RUNNING, sandbox__in=[row.pk for row in rows])
    return set(running.values_list("sandbox", flat=True))


Reading = list[Any]
"""Epoch seconds, and the seconds of CPU that its container had used by then."""


def _read(rows: Sequence[Sandbox], now: datetime) -> dict[str, Reading]:
    """What the engine says of each; who has just ended is left out. Raises EngineError.

    Many at once: the engine takes a second for each.
    """
    threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="idle")
    try:
        return {pk: reading for pk, reading in threads.map(_reading, rows) if reading}
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _reading(row: Sandbox) -> tuple[str, Reading | None]:
    try:
        return row.pk, [timezone.now().timestamp(), get_engine().cpu_time(row.native_id)]
    except (NotFound, Conflict):
        return row.pk, None


def _is_busy(before: Reading | None, now: Reading) -> bool:
    """Above the floor since the look before; a counter that went back is of another life, and unknown."""
    if before is None:
        return False
    seconds, used = now[0] - before[0], now[1] - before[1]
    return used < 0 or seconds <= 0 or used / seconds >= settings.SANDBOX_IDLE_CPU


def _keep(now: datetime, readings: dict[str, Reading]) -> None:
    """For the next look, also by another process."""
    report = {"at": now.isoformat(), "cpu": readings}
    Lease.objects.update_or_create(
        name=NAME, defaults={"report": report}, create_defaults={"report": report, "until": now}
    )


def _look(row: Sandbox, now: datetime) -> bool:
    """Warn, or stop; whoever uses it meanwhile is faster."""
    end = since(row) + timedelta(seconds=row.idle_limit)
    if not is_warned(row):
        if now >= end - lead(row):
            _warn(row, now)
        return False
    due = ends_at(row)
    if due is None or now < due:
        return False
    unused = format_duration((now - since(row)).total_seconds())
    begun = actions.begin(row, "stop", audit.CLEANUP, reason=f"idle: nobody used it for {unused}",
                          where=_as_read(row))  # fmt: skip
    return begun is not None


def _as_read(row: Sandbox) -> Q:
    return Q(used_at=row.used_at) & Q(changed_at=row.changed_at, idle_warned_at=row.idle_warned_at)


def _warn(row: Sandbox, now: datetime) -> None:
    """On the row, on record, and told; what was known of its last use is kept beside it."""
    used = since(row)
    unused, left = format_duration((now - used).total_seconds()), format_duration(lead(row).total_seconds())
    with transaction.atomic():
        rows = Sandbox.objects.filter(_as_read(row), pk=row.pk, status=Status.RUNNING, pending="")
        if not rows.update(idle_warned_at=now, changed_at=now, used_at=used, used_how=row.used_how):
            return
        reason = f"nobody used it for {unused}; it is stopped in {left} if nobody does"
        audit.record("sandbox.idle", audit.CLEANUP, row, reason=reason, detail={"seconds": row.idle_limit})
        announce.sandbox(row)
        if settings.SANDBOX_TELLER:
            text = f"Nobody has used this sandbox for {unused}. In {left} it is stopped; its files stay."
            import_string(settings.SANDBOX_TELLER)(row, text)
