"""The queue's worker: opens what is due, starts waiting seats in waves, saves and removes what is over.

One process does it at a time (a lease). It holds nothing in memory that matters: killed at any
moment, the next one goes on from the rows. At most SANDBOX_WAVE seats are being started at a time,
so that somebody who launches a sandbox by hand finds the engine's door open.
"""

from __future__ import annotations

import logging
import threading

from django.conf import settings
from django.db import close_old_connections, connection
from django.utils import timezone

from sandboxes.lifecycle import audit, lease, work
from sandboxes.models import Status

from . import broadcast, closing, keeping, opening, seats
from .gate import FILES
from .models import Lab, LabStatus, Seat, SeatStatus

log = logging.getLogger(__name__)

ROLE = "provision"
QUICK = 0.25
"""Seconds between two rounds while seats are being started; what is over earlier begins the next one."""
CALM = 0.5
LEASE = 600.0
"""Seconds; saving a room full of work may take a round as long. Who dies loses the role at once."""
EVERY = ("lab__course", "lab__version__image", "lab__version__template", "enrollment__user",
         "sandbox__owner", "sandbox__image")  # fmt: skip


def run_round() -> bool:
    """Do one round; whether there is more to do at once."""
    _open_due()
    for seat in list(Seat.objects.starting().select_related(*EVERY).defer(FILES)):
        _settle(seat)
    began = _start_waiting()  # after settling: a place that has just become free is filled at once
    closing.warn()
    closing.close_due()
    saving = closing.go_on()
    running = broadcast.go_on()
    keeping.forget_due()
    return bool(began or saving or running or Seat.objects.starting().exists())


_in_hand: set[str] = set()
"""Seats that a thread of this process is getting ready."""


def _settle(seat: Seat) -> None:
    """See to a seat that is being started; files take a while, so many get theirs at a time."""
    if seat.sandbox is None or seat.sandbox.status != Status.RUNNING:
        seats.settle(seat)
    elif seat.pk not in _in_hand:
        _in_hand.add(seat.pk)
        work.submit(seats.settle, seat).add_done_callback(lambda _: _in_hand.discard(seat.pk))


def _open_due() -> None:
    """Open what has to be ready soon: earlier by what its wave will take."""
    now = timezone.now()
    for lab in Lab.objects.filter(
        status=LabStatus.PLANNED, ready_by__isnull=False, closes_at__gt=now
    ).select_related("course", "version__image"):
        if lab.ready_by is not None and lab.ready_by - lead(lab) <= now:
            opening.open_lab(lab, audit.PROVISION)


def lead(lab: Lab) -> seats.timedelta:
    """How long before ``ready_by`` the wave has to begin: two seconds a seat, and two minutes."""
    people = lab.course.enrollments.active().count()
    return seats.timedelta(seconds=120 + 2 * people)


def _start_waiting() -> int:
    """Start as many waiting seats as there is room for in the wave."""
    room = settings.SANDBOX_WAVE - Seat.objects.starting().count()
    if room <= 0:
        return 0
    waiting = (
        Seat.objects.waiting().filter(lab__status=LabStatus.OPEN).select_related(*EVERY).defer(FILES)[:room]
    )
    began = 0
    for seat in waiting:
        if seats.change(seat, SeatStatus.WAITING, SeatStatus.STARTING):
            seats.start(seat)
            began += 1
    return began


def loop(stop: threading.Event) -> None:
    """Rounds until ``stop``, while this process has the role."""
    while not stop.is_set():
        close_old_connections()
        work.over.clear()
        busy = _round() if lease.acquire(ROLE, LEASE) else False
        _rest(stop, busy)
    lease.release(ROLE)


def _rest(stop: threading.Event, busy: bool) -> None:
    """Until something is over or a moment has gone; nothing to do: a while."""
    if busy:
        work.over.wait(QUICK)
    else:
        stop.wait(CALM)


def _round() -> bool:
    try:
        return run_round()
    except Exception:
        log.exception("A round of provisioning broke")
        connection.close()
        return False
