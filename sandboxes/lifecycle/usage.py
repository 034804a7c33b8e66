"""Who uses a sandbox just now, as web processes see it: written down now and then, never per key.

A web process says every few seconds what was used, and that it looks at all: while no process does,
nobody knows, and what is not known counts as use (idle.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings
from django.utils import timezone

from sandboxes.models import Image, Lease, Sandbox

from . import process

EVERY = 15.0
"""Seconds between two notes of a process."""
BELIEVED = timedelta(seconds=4 * EVERY)
"""For how long after its last note a process counts as one that looks."""
NAME = "use:"
LEAST = 120
"""Seconds; no limit is shorter: it has to be more than all the looks it takes to know."""


class Use(StrEnum):
    """What keeps a sandbox alive."""

    KEYS = "keys"
    OUTPUT = "output"
    COMMAND = "command"
    CPU = "cpu"
    VIEWER = "viewer"
    UNKNOWN = "unknown"


WORDS = {
    Use.KEYS: "somebody types in a terminal",
    Use.OUTPUT: "a terminal shows output",
    Use.COMMAND: "a command runs",
    Use.CPU: "it computes",
    Use.VIEWER: "its page or a terminal is open",
    Use.UNKNOWN: "nobody could look, which counts as use",
}


def write(found: Mapping[str, Use]) -> None:
    """Write down what was used, by sandbox, and that this process looked. Any thread; a few queries."""
    until = timezone.now() + BELIEVED
    name = f"{NAME}{process.process_id()}"
    Lease.objects.update_or_create(name=name, defaults={"owner": process.process_id(), "until": until})
    note(found)


def note(found: Mapping[str, Use]) -> None:
    """These are in use now. Who was warned is warned no more, and their pages are told."""
    now = timezone.now()
    for use in set(found.values()):
        ids = [pk for pk, one in found.items() if one == use]
        Sandbox.objects.filter(pk__in=ids, idle_limit__gt=0).update(used_at=now, used_how=use)
    warned = Sandbox.objects.filter(pk__in=list(found), idle_warned_at__isnull=False)
    if found:
        warned.update(idle_warned_at=None, changed_at=now)


def is_watched() -> bool:
    """Whether some web process looks at what is used."""
    return Lease.objects.filter(name__startswith=NAME, until__gt=timezone.now()).exists()


def limit_for(sandbox: Sandbox, image: Image, asked: int | None) -> int:
    """Seconds without use until it is stopped, 0 for never: the launch's word, else the image's, else ours.

    What a lab has in memory only (strict, lent) is never stopped so: its work would be gone.
    """
    if sandbox.lent and sandbox.is_strict:
        return 0
    wanted = next(one for one in (asked, image.idle, settings.SANDBOX_IDLE) if one is not None)
    return max(wanted, LEAST) if wanted else 0


def since(row: Sandbox) -> datetime:
    """When it was used last: what was seen, or anything that was done with it; the warning is neither."""
    changed = None if row.changed_at == row.idle_warned_at else row.changed_at
    return max(at for at in (row.used_at, changed, row.created_at) if at is not None)


def is_warned(row: Sandbox) -> bool:
    """Whether people were told that it will be stopped, and nobody has used it since."""
    return row.idle_warned_at is not None and since(row) < row.idle_warned_at
