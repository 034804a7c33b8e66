"""The records of recordings: begun, ended, watched, removed, each act an event.

Writing them is live.recording's, whose files lie in DATA_DIR/recordings, named by ids only. A file
is there before its record, and a record goes before its file: what a crash leaves between the two
is a file nobody knows.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from sandboxes.live import recording, recording_format
from sandboxes.live.recording import Totals
from sandboxes.live.recording_format import CastFile
from sandboxes.live.recording_writer import writer
from sandboxes.models import Outcome, Recording, Sandbox, Terminal
from sandboxes.units import format_size

from . import announce, audit, process
from .audit import Origin, Target
from .refusals import Refused

log = logging.getLogger(__name__)

UNWRITTEN = "The recording cannot be written just now. Ask an admin to look at the disk."
LOST = "its server process ended"
STOPPED = "the server was stopped"


def folder() -> Path:
    """Where the files lie; made when it is missing. Raises OSError."""
    path: Path = settings.DATA_DIR / "recordings"
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def path_of(row: Recording) -> Path:
    return Path(settings.DATA_DIR) / "recordings" / row.file


# -- begin and end ------------------------------------------------------------------------------


def prepare(
    sandbox: Sandbox, terminal: Terminal, by: str, cols: int, rows: int
) -> tuple[Recording, CastFile]:
    """A record that is not saved yet, and its file with the first line on disk. Raises Refused."""
    row = Recording(
        terminal=terminal, terminal_name=terminal.name, sandbox_id=sandbox.pk, sandbox_name=sandbox.name,
        owner_id=sandbox.owner_id, owner_name=sandbox.owner.get_username(), opened_by=by,
        policy=sandbox.recording, keystrokes=sandbox.recording_keystrokes, cols=cols, rows=rows,
        process=process.process_id(),
    )  # fmt: skip
    row.file = f"{row.pk}.cast.gz"
    title = f"{terminal.name} of {sandbox.name}"
    head = recording_format.header(cols, rows, row.started_at.timestamp(), title, sandbox.shell)
    try:
        return row, CastFile(folder() / row.file, head, settings.SANDBOX_RECORDING_CAP)
    except OSError as error:
        log.error("A recording cannot be written: %s", error)
        raise Refused("recording", UNWRITTEN) from None


def begin(row: Recording, sandbox: Sandbox, origin: Origin) -> None:
    """Put it on record that it runs."""
    process.hold()
    with transaction.atomic():
        row.save(force_insert=True)
        _note(row, "start", origin, sandbox, policy=row.policy, keystrokes=row.keystrokes)
        announce.sandbox(sandbox)


def ended(row: Recording, totals: Totals, origin: Origin = audit.SYSTEM) -> bool:
    """Put on record that it is over, once; one that did not come to its own end has failed.

    Of a process that was only slow to give a sign of life, its own word is the last.
    """
    has_failed = totals.reason in (recording.CAP, recording.DISK, recording.KILLED)
    is_open = Q(ended_at=None) | Q(ended_reason=LOST, process=process.process_id())
    columns = {
        "ended_at": timezone.now(), "ended_reason": totals.sentence[:200], "bytes": totals.bytes,
        "cast_bytes": totals.cast_bytes, "duration": totals.duration,
    }  # fmt: skip
    with transaction.atomic():
        if not Recording.objects.filter(is_open, pk=row.pk).update(**columns):
            return False
        sandbox = sandbox_of(row)
        _note(row, "stop", origin, sandbox, reason=totals.sentence, bytes=totals.bytes,
              seconds=round(totals.duration, 1),
              outcome=Outcome.FAILED if has_failed else Outcome.OK)  # fmt: skip
        if sandbox is not None:
            announce.sandbox(sandbox)
    return True


def sandbox_of(row: Recording) -> Sandbox | None:
    """Its sandbox, while that is on record."""
    return Sandbox.objects.select_related("owner").filter(pk=row.sandbox_id).first()


def _note(row: Recording, word: str, origin: Origin, sandbox: Sandbox | None, *, reason: str = "",
          outcome: Outcome = Outcome.OK, **facts: Any) -> None:  # fmt: skip
    detail = {"terminal": row.terminal_name, "recording": row.pk, **facts}
    if sandbox is None:
        detail |= {"sandbox": row.sandbox_id, "sandbox_name": row.sandbox_name, "owner": row.owner_name}
    target = Target("recording", row.pk, str(row))
    audit.record(f"recording.{word}", origin, sandbox, outcome=outcome, reason=reason, detail=detail,
                 target=target)  # fmt: skip


def watched(row: Recording, sandbox: Sandbox | None, origin: Origin) -> None:
    """Somebody replays it."""
    _note(row, "watch", origin, sandbox)


def downloaded(row: Recording, sandbox: Sandbox | None, origin: Origin) -> None:
    """Somebody takes it along."""
    _note(row, "download", origin, sandbox)


# -- what a process leaves behind -----------------------------------------------------------------


def reap(alive: set[str]) -> int:
    """End the recordings whose process is dead: they are good up to the last flushed second."""
    rows = Recording.objects.filter(ended_at=None).exclude(process__in=alive)
    return sum(_end_as_found(row, LOST, audit.CLEANUP, recording.KILLED) for row in rows)


def end_all(seconds: float = 3.0) -> None:
    """End the recordings of this process, which is about to end itself."""
    writer.end_all(STOPPED)
    writer.drain(seconds)
    for row in Recording.objects.filter(process=process.process_id(), ended_at=None):
        _end_as_found(row, STOPPED, audit.SYSTEM)


process.at_exit(end_all)


def _end_as_found(row: Recording, sentence: str, origin: Origin, reason: str = recording.ENDED) -> bool:
    """End it by what lies on disk."""
    path = path_of(row)
    try:
        duration, cast_bytes = recording_format.measure(path)
        size = path.stat().st_size
    except OSError as error:
        sentence, duration, cast_bytes, size = f"{sentence}; its file is missing", 0.0, 0, 0
        log.warning("Recording %s cannot be read: %s", row.pk, error)
    return ended(row, Totals(reason, sentence, size, cast_bytes, duration), origin)


# -- retention --------------------------------------------------------------------------------------


def prune(now: datetime) -> int:
    """Remove what is too old, the oldest of whoever has most until all fit, files nobody knows; how many."""
    days = settings.SANDBOX_RECORDING_DAYS
    old = _ended().filter(ended_at__lt=now - timedelta(days=days))
    done = sum(remove(row, f"It was older than {days} day{'s' * (days != 1)}.") for row in old.iterator())
    done += _make_room()
    return done + sum(_remove_stray(path) for path in _files())


def _ended() -> QuerySet[Recording]:
    return Recording.objects.exclude(ended_at=None).order_by("ended_at", "pk")


def _make_room() -> int:
    """Whoever has most gives up their oldest, until all fit: nobody's recordings push out another's."""
    most, done = settings.SANDBOX_RECORDING_TOTAL, 0
    over = total() - most
    rows, held = _by_owner() if over > 0 else ({}, {})
    while over > 0 and rows:
        owner = max(rows, key=lambda one: held[one])
        row = rows[owner].popleft()
        if not rows[owner]:
            del rows[owner]
        if remove(row, f"All recordings together had more than {format_size(most)}; it was the oldest"
                       f" of {row.owner_name}, who had most."):  # fmt: skip
            over, held[owner], done = over - row.bytes, held[owner] - row.bytes, done + 1
    return done


def _by_owner() -> tuple[dict[int, deque[Recording]], Counter[int]]:
    """Whose recordings could go, the oldest first, and how many bytes each has, those under way too."""
    rows: defaultdict[int, deque[Recording]] = defaultdict(deque)
    held: Counter[int] = Counter()
    for row in _ended():
        rows[row.owner_id].append(row)
        held[row.owner_id] += row.bytes
    for row in Recording.objects.filter(ended_at=None):
        held[row.owner_id] += _size(path_of(row))
    return rows, held


def total() -> int:
    """Bytes of all recordings on disk, those under way too."""
    known = _ended().aggregate(all=Sum("bytes"))["all"] or 0
    running = Recording.objects.filter(ended_at=None)
    return int(known) + sum(_size(path_of(row)) for row in running)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def remove(row: Recording, reason: str, origin: Origin = audit.CLEANUP) -> bool:
    """Remove record and file; the trail says that there was one. False when it could not be done."""
    try:
        with transaction.atomic():
            if not Recording.objects.filter(pk=row.pk).delete()[0]:
                return False
            _note(row, "removed", origin, sandbox_of(row), reason=reason, bytes=row.bytes,
                  started_at=row.started_at.isoformat(timespec="seconds"))  # fmt: skip
            path_of(row).unlink(missing_ok=True)
    except OSError as error:
        log.warning("Recording %s cannot be removed: %s", row.pk, error)
        return False
    return True


def _files() -> Iterator[Path]:
    path = Path(settings.DATA_DIR) / "recordings"
    return path.glob("rec_*.cast.gz") if path.is_dir() else iter(())


def _remove_stray(path: Path) -> bool:
    """A file whose record is unknown is kept as long as any: another database may know it."""
    try:
        is_young = time.time() - path.stat().st_mtime < settings.SANDBOX_RECORDING_DAYS * 86400
        if is_young or Recording.objects.filter(file=path.name).exists():
            return False
        path.unlink()
    except OSError as error:
        log.warning("%s cannot be removed: %s", path.name, error)
        return False
    name = path.name.partition(".")[0]
    audit.record("recording.removed", audit.CLEANUP, reason="There was no record of it.",
                 detail={"recording": name}, target=Target("recording", name))  # fmt: skip
    return True
