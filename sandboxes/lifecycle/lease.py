"""A role that one process has at a time, for as long as it renews it and lives."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q, Value
from django.db.models.functions import Concat
from django.utils import timezone

from sandboxes.models import Lease

from . import process
from .process import process_id


class Lost(Exception):
    """Another process has the role by now."""


def acquire(name: str, seconds: float) -> bool:
    """Take or renew the role for so long; False while another process has it.

    A process that was killed has it no longer than it counts as alive, however long it took it for.
    """
    process.hold()
    now, me = timezone.now(), process_id()
    until = now + timedelta(seconds=seconds)
    lives = Lease.objects.filter(name=Concat(Value("process:"), OuterRef("owner")), until__gt=now)
    free = Q(owner=me) | Q(until__lte=now) | ~Exists(lives)
    if Lease.objects.filter(free, name=name).update(owner=me, until=until):
        return True
    try:
        with transaction.atomic():
            Lease.objects.create(name=name, owner=me, until=until)
    except IntegrityError:
        return False
    return True


def keep(name: str, seconds: float) -> None:
    """For who has the role, before each thing done in it: renew it in good time. Raises Lost."""
    half = timezone.now() + timedelta(seconds=seconds / 2)
    if Lease.objects.filter(name=name, owner=process_id(), until__gt=half).exists():
        return
    if not acquire(name, seconds):
        raise Lost(name)


def release(name: str) -> None:
    """Let another process have the role at once; what was reported stays."""
    Lease.objects.filter(name=name, owner=process_id()).update(until=timezone.now())


def report(name: str, what: dict[str, Any]) -> None:
    """Keep what was done in the role, for /readyz, while it is ours."""
    Lease.objects.filter(name=name, owner=process_id()).update(report=what)
