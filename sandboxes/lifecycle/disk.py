"""Keeps watch over what sandboxes write to the host's disk.

The engine has no quota per container here, so the cleanup loop looks every few seconds: whoever has
written most of what they may is warned, and who has written more is stopped. The engine counts what is
on the tree of files: what was deleted and is still open takes room that is seen at the host only, so
below half of its floor running sandboxes are stopped one by one. Strict sandboxes write to memory only.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from time import monotonic, sleep
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from sandboxes.engine import get_engine
from sandboxes.engine.base import EngineError, NotFound, TimedOut
from sandboxes.models import UP, Isolation, Sandbox, Status
from sandboxes.units import format_size

from . import actions, announce, audit, fullness, host, work

log = logging.getLogger(__name__)

WRITING = Q(status__in=UP) | Q(status=Status.STOPPED, pending="start")
"""Has processes, or may have any moment."""
WARN = 80
"""Percent of its limit at which a sandbox is warned."""
STEP = 0.02
"""What is on the row may be wrong by so much of the limit, so that not every look writes."""
SLACK = 0.05
"""By so much of the limit a full one may be larger than at its stop: a shell's history, a program's notes."""
GRACE = timedelta(seconds=120)
"""For so long after its start a sandbox that is full may delete files, as long as it writes no more."""
SETTLING = 5.0
"""Seconds for which a full one is waited for that is busy with something else."""
PAUSE = 0.1
ALONE = 15.0
"""Seconds in which the files of one are to be counted, where all together took too long."""
AT_ONCE = 8
UNCOUNTED = (
    f"its files are so many that they could not be counted in {ALONE:.0f} s, twice; that counts as full"
)
_uncounted: dict[str, int] = {}
"""Native ids of those that could not be counted at the last look: how often in a row."""
LAST = 0.5
"""Below this part of the host's floor running ones are stopped: at the floor itself nothing new begins, and a
class at work goes on."""
CROWDED = "the server's disk is nearly full"
"""So begins the reason of one that was stopped to make room at the host."""
STOPPING = 10.0
"""Seconds for which stops are waited for, so that what they leave is measured once they write no more."""


def watch() -> int:
    """Look at all that run, busy ones too; how many were stopped. Raises EngineError."""
    known = _all_together()
    rows = Sandbox.objects.filter(WRITING, isolation=Isolation.STANDARD).select_related("owner")
    used = _each_alone(rows) if known is None else known
    was_full = {row.pk: fullness.is_full(row) for row in rows}
    found = [(row, _why(row, used[row.native_id])) for row in rows if row.native_id in used]
    over = {row.pk: (row, reason) for row, reason in found if reason}
    jobs = _stop(over or _makes_room([row for row in rows if row.native_id in used], used))
    until = monotonic() + STOPPING
    for job in jobs:
        work.outcome(job, max(until - monotonic(), 0))
    _measure([row for row, _ in over.values() if not (was_full[row.pk] or _uncounted)])
    return len(jobs)


def _all_together() -> Mapping[str, int] | None:
    """One call for all; None where somebody's files take it too long, or did at the last look."""
    if not _uncounted:
        try:
            return get_engine().disk_use()
        except TimedOut:
            log.warning("What sandboxes have written takes too long to count; each is counted alone.")
    return None


def _each_alone(rows: Iterable[Sandbox]) -> dict[str, int]:
    """So that who has very many files hides nobody else; who cannot be counted twice in a row is full."""
    found: dict[str, int] = {}
    slow: dict[str, int] = {}
    there = [row for row in rows if row.native_id]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for row, used in zip(there, threads.map(_alone, [row.native_id for row in there]), strict=True):
            if used is not None:
                found[row.native_id] = used
            else:
                slow[row.native_id] = _uncounted.get(row.native_id, 0) + 1
    found |= {row.native_id: row.disk for row in there if slow.get(row.native_id, 0) > 1}
    _uncounted.clear()
    _uncounted.update(slow)
    return found


def _alone(native_id: str) -> int | None:
    try:
        return get_engine().disk_use_of(native_id, ALONE)
    except TimedOut:
        return None
    except NotFound:
        return 0


def _why(row: Sandbox, used: int) -> str:
    """Why it is to be stopped, or ""."""
    why = _look(row, used)
    return UNCOUNTED if why and row.native_id in _uncounted else why


def _look(row: Sandbox, used: int) -> str:
    """Note what it has written; why it is to be stopped, or "" where it is not."""
    before, was_full = row.disk_used, fullness.is_full(row)
    figures = f"{format_size(used)}, and may write {format_size(row.disk)}"
    if used >= row.disk and not was_full:
        _note(row, used)
        return f"it has written {figures}"
    if used >= row.disk and before is not None and used > before + SLACK * row.disk:
        _note(row, used)
        return f"{fullness.GREW}: {figures}"
    if _is_news(row, used):
        _note(row, used)
    return f"it is still full: {figures}" if used >= row.disk and not _is_young(row) else ""


def _is_news(row: Sandbox, used: int) -> bool:
    """Whether it is to be written down. Of a full one only less is: else it might grow little by little."""
    if row.disk_used is None or used < row.disk <= row.disk_used:
        return True
    crosses = (row.disk_percent >= WARN) != (used * 100 // row.disk >= WARN)
    less = 0 if fullness.is_full(row) else used - row.disk_used
    return crosses or max(less, row.disk_used - used) >= STEP * row.disk


def _makes_room(rows: list[Sandbox], used: Mapping[str, int]) -> dict[str, tuple[Sandbox, str]]:
    """The one to be stopped because the host has no room, with the reason; none where it has, or none runs.

    One a look: then it is seen what that has freed.
    """
    figures = host.shortage(kept=0, part=LAST) if rows else ""
    if not figures:
        return {}
    unseen = {row.pk: max(_written(row) - used[row.native_id], 0) for row in rows}
    newest = timezone.now()
    row = max(rows, key=lambda one: (unseen[one.pk], one.started_at or newest))
    lost = unseen[row.pk]
    sign = f"{format_size(lost)} that it wrote are not among its files" if lost else "it was started last"
    return {row.pk: (row, f"{CROWDED} ({figures}), and {sign}")}


def _written(row: Sandbox) -> int:
    try:
        return get_engine().written(row.native_id)
    except EngineError:
        return 0


def _is_young(row: Sandbox) -> bool:
    return row.started_at is not None and timezone.now() - row.started_at < GRACE


def _stop(over: dict[str, tuple[Sandbox, str]]) -> list[Future[Any]]:
    """Stop each as soon as nothing else is under way with it; by now it is refused to begin more."""
    jobs: list[Future[Any]] = []
    until = monotonic() + SETTLING
    while over:
        begun = {pk: actions.begin(row, "stop", audit.CLEANUP, reason=why) for pk, (row, why) in over.items()}
        jobs += [one[1] for one in begun.values() if one]
        busy = Sandbox.objects.filter(WRITING).exclude(pending__in=("stop", "remove"))
        wait_for = set(
            busy.filter(pk__in=[pk for pk, one in begun.items() if not one]).values_list("pk", flat=True)
        )
        over = {pk: one for pk, one in over.items() if pk in wait_for and monotonic() < until}
        sleep(PAUSE if over else 0)
    return jobs


def _measure(rows: list[Sandbox]) -> None:
    """Once more, since they wrote until they were stopped: by this it is told whether they grow."""
    used = get_engine().disk_use(stopped=True) if rows else {}
    for row in rows:
        if row.native_id in used and used[row.native_id] > (row.disk_used or 0):
            _note(row, used[row.native_id])


def _note(row: Sandbox, used: int) -> None:
    """Write it down; on record, and told, when it comes to the point of warning."""
    before, row_before = row.disk_used or 0, row.disk_percent
    with transaction.atomic():
        if not Sandbox.objects.filter(pk=row.pk, native_id=row.native_id).update(disk_used=used):
            return
        row.disk_used = used
        if row_before < WARN <= row.disk_percent:
            reason = f"{format_size(used)} of {format_size(row.disk)} written"
            audit.record("sandbox.disk", audit.CLEANUP, row, reason=reason, detail={"bytes": used})
        if before != used:
            announce.sandbox(row)
