"""Files into and out of seats: starting files, a file for many, the saved workspace.

Saved work lies in ``DATA_DIR/work/<lab>/<seat>.tar.gz``; names of people are no part of a path.
"""

from __future__ import annotations

import gzip
import io
import logging
import os
import tarfile
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from sandboxes.engine import get_engine
from sandboxes.engine.base import EngineError, Unreachable
from sandboxes.models import Sandbox, Status
from sandboxes.units import format_size

from . import trail
from .models import Lab, Seat

log = logging.getLogger(__name__)

LONGEST = 60.0
"""Seconds that reading one workspace may take: its user can stop the program that reads it."""
PIECE = 256 << 10
"""Bytes that are read of a file at a time."""
SLOW = "The files could not be read in a minute."
FULL = "Your files were more than {} and could not be saved."


def put_starting(seat: Seat, sandbox: Sandbox) -> str:
    """Put the starting files into the workspace; a sentence where that failed, else empty."""
    archive = seat.lab.version.files
    return put(sandbox, bytes(archive)) if archive else ""


def put_one(sandbox: Sandbox, name: str, data: bytes) -> str:
    """Put one file into the workspace; a sentence where that failed, else empty."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as target:
        member = tarfile.TarInfo(name)
        member.size, member.mtime, member.mode = len(data), int(timezone.now().timestamp()), 0o644
        target.addfile(member, io.BytesIO(data))
    return put(sandbox, out.getvalue())


def put(sandbox: Sandbox, archive: bytes) -> str:
    """Unpack a tar into the workspace; a sentence where that failed, else empty."""
    try:
        owner = 0 if sandbox.runs_as_root else 1000
        get_engine().put_files(sandbox.native_id, sandbox.workdir, archive, owner)
    except (EngineError, ValueError) as error:
        return f"The files could not be put there: {error}"
    return ""


# -- out ----------------------------------------------------------------------------------------


def path_of(seat: Seat) -> Path:
    """Where a seat's saved work lies."""
    return Path(settings.DATA_DIR) / "work" / seat.lab_id / f"{seat.pk}.tar.gz"


def saved(lab: Lab) -> list[Seat]:
    """The seats of which there is saved work."""
    rows = lab.seats.exclude(saved_name="").select_related("enrollment").order_by("enrollment__name", "pk")
    return [seat for seat in rows if path_of(seat).is_file()]


def together(seats: Iterable[Seat]) -> Iterator[bytes]:
    """The saved work of all of these as one tar of their archives, piece by piece."""
    for seat in seats:
        try:
            file = path_of(seat).open("rb")
        except FileNotFoundError:  # it is kept no longer
            continue
        with file:
            name = "".join(one if one.isprintable() and one != "/" else "-" for one in seat.enrollment.name)
            member = tarfile.TarInfo(f"{seat.lab_id}/{name} ({seat.pk}).tar.gz")
            member.size = os.fstat(file.fileno()).st_size
            member.mtime, member.mode = int(seat.saved_at.timestamp()) if seat.saved_at else 0, 0o644
            yield member.tobuf(tarfile.PAX_FORMAT)
            yield from iter(lambda: file.read(PIECE), b"")  # noqa: B023
            yield bytes(-member.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def save_workspace(seat: Seat, sandbox: Sandbox) -> bool:
    """Save the workspace as the sandbox's user sees it, at most SANDBOX_WORK_CAP, or note why not.

    A paused sandbox is not asked. The file appears under its name only when it is whole. False, and
    nothing noted, while the engine is away: that says nothing about the files.
    """
    reason = (
        "" if sandbox.status == Status.RUNNING else why_not(sandbox, "Its sandbox was not running any more.")
    )
    if not reason:
        try:
            reason = _save(seat, sandbox)
        except Unreachable:
            return False
        except EngineError as error:
            reason = f"The files could not be read: {error}"
        except OSError as error:
            log.error("Work of %s cannot be written: %s", seat.pk, error)
            reason = "The files could not be written on the server."
    note(seat, reason)
    return True


def why_not(sandbox: Sandbox, otherwise: str) -> str:
    """Why there is nothing to read: it never ran, or ``otherwise``."""
    return Seat.NEVER if sandbox.started_at is None else otherwise


def note(seat: Seat, reason: str) -> None:
    """Put down what became of saving."""
    size = 0 if reason else path_of(seat).stat().st_size
    values = {
        "saved_reason": reason[:300], "saved_bytes": size,
        "saved_name": "" if reason else path_of(seat).name, "saved_at": None if reason else timezone.now(),
    }  # fmt: skip
    with transaction.atomic():
        Seat.objects.filter(pk=seat.pk).update(**values)
        trail.record("seat.save", trail.worker_for(seat), seat, reason=reason, bytes=size,
                     outcome=trail.Outcome.FAILED if reason else trail.Outcome.OK)  # fmt: skip
    for name, value in values.items():
        setattr(seat, name, value)


def _save(seat: Seat, sandbox: Sandbox) -> str:
    path = path_of(seat)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_suffix(".part")
    argv = ["tar", "-C", sandbox.workdir, "-cf", "-", "."]
    stream = get_engine().exec(sandbox.native_id, argv)  # unmarked: no record of anybody's stands for it
    timer = threading.Timer(LONGEST, stream.close)
    timer.start()
    try:
        with gzip.open(part, "wb", compresslevel=4) as file:
            total = 0
            for name, data in stream:
                total += len(data) if name == "stdout" else 0
                if total > settings.SANDBOX_WORK_CAP:
                    return FULL.format(format_size(settings.SANDBOX_WORK_CAP))
                if name == "stdout":
                    file.write(data)
        code = stream.exit_code()
        if code is None:
            return SLOW
        if code not in (0, 1):  # 1: a file changed or could not be read meanwhile
            return f"The files could not be packed (tar ended with {code})."
        os.replace(part, path)
        return ""
    finally:
        timer.cancel()
        stream.close()
        part.unlink(missing_ok=True)
