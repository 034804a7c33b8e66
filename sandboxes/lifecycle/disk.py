"""Keeps watch over what sandboxes write to the host's disk.

The engine has no quota per container here, so the cleanup loop looks every few seconds: whoever has
written most of what they may is warned, and who has written more is stopped. Strict sandboxes write
to memory only.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from sandboxes.engine import get_engine
from sandboxes.models import Isolation, Sandbox
from sandboxes.units import format_size

from . import actions, announce, audit

WARN = 80
"""Percent of its limit at which a sandbox is warned."""
STEP = 0.02
"""What is on the row may be wrong by so much of the limit, so that not every look writes."""
GRACE = timedelta(seconds=120)
"""For so long after its start a sandbox that is full may delete files, as long as it writes no more."""


def watch() -> int:
    """Look at all that run; how many were stopped. Raises EngineError."""
    used = get_engine().disk_use()
    rows = Sandbox.objects.up().filter(isolation=Isolation.STANDARD, pending="").select_related("owner")
    return sum(_look(row, used[row.native_id]) for row in rows if row.native_id in used)


def _look(row: Sandbox, used: int) -> bool:
    before = row.disk_used
    if used >= row.disk and not _may_tidy_up(row, used):
        _note(row, used)
        reason = f"it has written {format_size(used)}, and may write {format_size(row.disk)}"
        return actions.begin(row, "stop", audit.CLEANUP, reason=reason) is not None
    crosses = (row.disk_percent >= WARN) != (used * 100 // row.disk >= WARN)
    if before is None or crosses or abs(used - before) >= STEP * row.disk:
        _note(row, used)
    return False


def _may_tidy_up(row: Sandbox, used: int) -> bool:
    """Whether it has only just been started, and has not grown since it was stopped."""
    young = row.started_at is not None and timezone.now() - row.started_at < GRACE
    return young and row.disk_used is not None and used <= row.disk_used


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
