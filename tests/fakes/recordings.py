"""Recordings as they lie on disk, without a terminal."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from sandboxes.lifecycle import recordings
from sandboxes.live.recording_format import CastFile, header
from sandboxes.models import Recording, Sandbox

SHOWN = ((0.5, "o", "$ "), (1.25, "o", "echo needle\r\n"), (1.5, "o", "needle\r\n"), (90, "m", "It ended."))


def taped(sandbox: Sandbox, events: Any = SHOWN, **columns: Any) -> Recording:
    """A recording of this sandbox that has ended a minute ago, with its file."""
    ended = columns.pop("ended_at", timezone.now() - timedelta(minutes=1))
    row = Recording(
        terminal_name="main", sandbox_id=sandbox.pk, sandbox_name=sandbox.name, owner_id=sandbox.owner_id,
        owner_name=sandbox.owner.username, opened_by=sandbox.owner.username, policy="always", cols=80,
        rows=24, process="p", ended_at=ended, ended_reason="It ended.", duration=events[-1][0],
    )  # fmt: skip
    row.file = f"{row.pk}.cast.gz"
    file = CastFile(recordings.folder() / row.file, header(80, 24, 1_700_000_000, str(row), "sh"), 1 << 30)
    for event in events:
        file.add(*event)
    file.close()
    row.bytes, row.cast_bytes = file.bytes, file.size
    for name, value in columns.items():
        setattr(row, name, value)
    row.save(force_insert=True)
    return row
