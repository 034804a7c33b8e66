"""Whether files that came into a seat's sandbox were put there by us: starting files, a file for many.

Asked by whoever hears of a copy from the engine, in whatever process and however late. All of it is in the
rows: what is on record of the seat, and what is under way. In doubt it was us: a line that is missing
does no wrong, one that accuses stands for ever.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sandboxes.models import Event, Outcome, Sandbox

from . import acting
from .models import LabRunResult, Seat, SeatStatus


def was_ours(sandbox_id: str, at: datetime, slack: timedelta) -> bool:
    """Whether we were putting files into it then (SANDBOX_COPY_RULE)."""
    return any(asked(sandbox_id, at, slack) for asked in (_begun, _on_record, _starting))


def _starting(sandbox_id: str, at: datetime, slack: timedelta) -> bool:
    """Between the launch and the end of making its seat ready, where there are starting files."""
    keys = Sandbox.objects.filter(pk=sandbox_id).values_list("launch_key", flat=True)
    seats = Seat.objects.filter(pk__in=[(key or "").rpartition("-")[0] for key in keys])
    if not seats.filter(lab__version__files__isnull=False).exists():
        return False
    told = Event.objects.filter(sandbox_id=sandbox_id)
    ran = told.filter(action="sandbox.launch", outcome=Outcome.OK).order_by("id").first()
    ready = told.filter(action="seat.ready", at__gte=at - slack).exists()
    is_open = seats.filter(sandbox=sandbox_id, status=SeatStatus.STARTING).exists()
    return ran is not None and at >= ran.at - slack and (ready or is_open)


def _on_record(sandbox_id: str, at: datetime, slack: timedelta) -> bool:
    """While a file was put there; the line says for how long that took."""
    told = Event.objects.filter(sandbox_id=sandbox_id, action="seat.file", at__gte=at - slack)
    spans = told.order_by("id").values_list("at", "duration")[:20]
    return any(end - timedelta(milliseconds=took or 0) - slack <= at for end, took in spans)


def _begun(sandbox_id: str, at: datetime, slack: timedelta) -> bool:
    """While one is being put there."""
    rows = LabRunResult.objects.filter(seat__sandbox=sandbox_id, done=False, reason__startswith=acting.BEGUN)
    return any(acting.began(row) - slack <= at for row in rows.exclude(run__file_name=""))
