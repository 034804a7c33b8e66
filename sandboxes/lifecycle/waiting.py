"""Launches that wait in the queue: for the engine, for memory, or for room on the host's disk.

They were taken while it was not known whether there is room. So it is looked at once more before one
is made; what does not fit goes on waiting, and says for what.
"""

from __future__ import annotations

from collections.abc import Iterable

from sandboxes.models import Sandbox, Status
from sandboxes.units import format_size

from . import audit, budget, endings, host, transitions
from .refusals import Refused

DISK = "waiting for free space on the server's disk"


def ready() -> list[Sandbox]:
    """Those that may be made now, in the order in which they came."""
    queue = Sandbox.objects.filter(status=Status.QUEUED, pending="").select_related("owner")
    rows = list(queue.order_by("created_at", "pk"))
    if not rows:
        return []
    try:
        host.check_disk()
    except Refused:
        return _wait(rows, DISK)
    most = budget.limit()
    if most is None and budget.is_set():
        return _wait(rows, endings.WAITING)
    return rows if most is None else _fitting(rows, most)


def _fitting(rows: list[Sandbox], most: int) -> list[Sandbox]:
    """Those for which there is memory beside all that are not among them."""
    left = most - budget.promised(beside=[row.pk for row in rows])
    found = []
    for row in rows:
        if row.memory <= left:
            found.append(row)
            left -= row.memory
        else:
            _wait([row], f"waiting for {format_size(row.memory)} of memory")
    return found


def _wait(rows: Iterable[Sandbox], reason: str) -> list[Sandbox]:
    """Say on the row for what it waits, and on record where that is new."""
    for row in rows:
        transitions.wait(row, audit.CLEANUP, reason)
    return []
