"""The queue's worker: opens what is due, starts waiting seats in waves, saves and removes what is over.

One process does it at a time (a lease). It holds nothing in memory that matters: killed at any
moment, the next one goes on from the rows. At most SANDBOX_WAVE seats are being started at a time,
so that somebody who launches a sandbox by hand finds the engine's door open; saving has threads of
its own, so that a class that ends holds up none that begins.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from django.db import close_old_connections, connection
from django.utils import timezone

from sandboxes.engine import get_engine
from sandboxes.lifecycle import audit, lease, work

from . import bell, broadcast, closing, keeping, leftovers, opening, seats, wave
from .models import Lab, LabStatus

log = logging.getLogger(__name__)

ROLE = "provision"
CALM = 1.0
"""Seconds between two rounds of everything where nobody rings (see ``bell``); the wave is looked at whenever
something of ours is over."""
BUSY = 0.1
"""The same while there is more to do."""
LEASE = 600.0
"""Seconds; files for a room full of people may take a round as long. Who dies loses the role at once."""


def run_round() -> bool:
    """Do one round of everything; whether there is more to do at once."""
    more = _chores()
    return wave.go_on(wave.Turn()) or more


def _chores() -> bool:
    """All but the wave; whether something was done, so that there may be more."""
    rows = Lab.objects.filter(status__in=(LabStatus.PLANNED, LabStatus.OPEN, LabStatus.CLOSING))
    there = set(rows.order_by().values_list("status", flat=True).distinct())
    if LabStatus.PLANNED in there:
        _open_due()
    if LabStatus.OPEN in there:
        closing.warn()
        closing.close_due()
    saving = closing.go_on()
    running = broadcast.go_on()
    keeping.forget_due()
    leftovers.remove()
    return bool(saving or running)


def _open_due() -> None:
    """Open what has to be ready soon: earlier by what its wave will take."""
    now = timezone.now()
    for lab in Lab.objects.filter(
        status=LabStatus.PLANNED, ready_by__isnull=False, closes_at__gt=now, course__archived_at=None
    ).select_related("course", "version__image"):
        if lab.ready_by is not None and lab.ready_by - lead(lab) <= now:
            opening.open_lab(lab, audit.PROVISION)


def lead(lab: Lab) -> seats.timedelta:
    """How long before ``ready_by`` the wave has to begin: two seconds a seat, and two minutes."""
    people = lab.course.enrollments.active().count()
    return seats.timedelta(seconds=120 + 2 * people)


def loop(stop: threading.Event) -> None:
    """Rounds until ``stop``, while this process has the role; between them the wave alone."""
    get_engine()  # loads the client now rather than when the first class waits for it
    ear = bell.Bell()
    while not stop.is_set():
        close_old_connections()
        if _safely(lease.acquire, ROLE, LEASE):
            ear.listen()
            _turn(stop)
        else:
            ear.mute()
            stop.wait(CALM)
    ear.mute()
    if not (closing.is_busy() or wave.is_busy()):
        lease.release(ROLE)  # else it is free once this process is gone, and its threads with it


def _turn(stop: threading.Event) -> None:
    """Do what there is, and then see to the wave until it is time for the rest again, or somebody rings."""
    bell.rung.clear()
    more = _safely(_chores)
    due, turn = time.monotonic() + (BUSY if more else CALM), wave.Turn()
    while True:
        work.over.clear()
        _safely(wave.go_on, turn)
        if stop.is_set() or bell.rung.is_set() or not _rest(due):
            return


def _rest(due: float) -> bool:
    """Wait until something is over, here or by the bell; False when it is time for the rest first."""
    left = due - time.monotonic()
    return left > 0 and work.over.wait(left)


def _safely(do: Callable[..., bool], *args: object) -> bool | None:
    """What it says; None when it broke."""
    try:
        return do(*args)
    except Exception:
        log.exception("A round of provisioning broke")
        connection.close()
        return None
