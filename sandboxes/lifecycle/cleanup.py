"""The clock: round after round what is over ends, what is half done is done, what differs is put right.

A round may run at any time, in several processes at once: what it changes it claims like anybody.
It asks the engine for its containers once, and does nothing about sandboxes when it does not answer.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import close_old_connections
from django.db.models import Q
from django.utils import timezone

from sandboxes.engine import get_engine
from sandboxes.engine.base import ContainerState, EngineError
from sandboxes.models import Lease, Sandbox, Status

from . import (
    actions,
    audit,
    brakes,
    budget,
    changed,
    commands,
    disk,
    doubt,
    expiry,
    guard,
    idle,
    images,
    lease,
    process,
    recordings,
    terminals,
    usage,
    waiting,
    work,
)
from .clock import Clock
from .paces import Every, Tries
from .reconcile import losing, reconcile
from .rounds import Job, Report, Round

log = logging.getLogger(__name__)

ROLE = "cleanup"
LONGEST = 11.0
"""Seconds between two rounds: no more, for with PATIENCE it is 15 s, and so often it is looked at what
sandboxes write."""
PATIENCE = 4.0
"""Seconds for which a round of the loop waits for what it has begun; a single round waits longer."""
PATIENCE_ONCE = 60.0
LOOK_EVERY = 30.0
MEASURE_EVERY = 4.0
USE_EVERY = 15.0
"""Seconds between two looks at what is used."""
PRUNE_EVERY = 3600.0
CLEAR_EVERY = 60.0
"""Seconds between two looks at whether recordings are too old or too many."""
LEASE_ROUNDS = 6
AWAY = 1.0
"""Seconds between two rounds while the engine is away: people wait for what that left half done."""


# -- one round ----------------------------------------------------------------------------------


def run_round(
    now: datetime | None = None,
    *,
    expire: bool = True,
    beat: Callable[[], Any] = lambda: None,
    patience: float = PATIENCE,
    tell: Callable[[Report], Any] = lambda _: None,
) -> Report:
    """Do one round. ``now`` is the time by which sandboxes are over.

    ``beat`` is called before each step, and before each thing that is removed: lease.Lost, which it raises
    where the role is another's by now, ends the round. ``tell`` gets the report as it is before the round
    waits for what it has begun.
    """
    began = time.monotonic()
    report = Report(timezone.now())
    one = Round(report, beat, process.alive())
    states = _containers(report)
    if states is not None:
        endings = _reap(one)  # first: they count as running
        jobs = _begin(one, now or report.at, expire)
        one.do("", lambda: report.counts.update(reconcile(states, report.at, beat)))
        jobs += one.do("", lambda: _ended(one), []) or []
        one.do("full", _watch_disk)
        one.do("idle", _watch_use) if expire else None
        one.do("changed", changed.watch)
        if jobs or endings:
            tell(report)
        until = time.monotonic() + patience
        _wait(one, jobs, until)
        endings += _reap(one) if jobs else []  # what was paused and was resumed by now
        _count(one, endings, until)
        one.do("full", _watch_disk)
        one.do("terminals", lambda: terminals.reap(one.alive))
        one.do("", _look_around)
    one.do("pulls", lambda: images.release_pulls(one.alive))
    one.do("recordings", lambda: recordings.reap(one.alive))
    one.do("pruned", _prune)
    one.do("pruned", lambda: recordings.prune(timezone.now()) if _clearing.is_due() else 0)
    report.engine = dict(_engine)
    report.held = "; ".join(doubt.held for doubt in (expiry.doubt, losing) if doubt.held)
    report.seconds = time.monotonic() - began
    return report


def _containers(report: Report) -> Sequence[ContainerState] | None:
    """All containers, or None when that is not known."""
    try:
        return get_engine().list()
    except EngineError as error:
        report.error, report.is_away = str(error), True
        return None


def _begin(one: Round, now: datetime, expire: bool) -> list[Job]:
    """Put to work what was left half done, what is over, and what waits for the engine, in this order."""
    jobs: list[Job] = []
    expired = (lambda: _expire(one, now)) if expire else list
    for step in (lambda: _redo(one), expired, lambda: _relaunch(one)):
        jobs += one.do("", step, []) or []
    return jobs


def _redo(one: Round) -> list[Job]:
    """Stale claims: their process has died, or gave no sign of them for too long."""
    silent = Q(pending_since__lt=timezone.now() - timedelta(seconds=settings.SANDBOX_CLAIM_LIMIT))
    rows = Sandbox.objects.exclude(pending="").filter(silent | ~Q(claimed_by__in=one.alive))
    return [("redone", row.pk, job) for row in one.each(rows) if (job := actions.redo(row))]


def _expire(one: Round, now: datetime) -> list[Job]:
    """What is past its end. The UPDATE that claims it looks at the end again, so extending wins."""
    return _begun(one, "expired", expiry.over(now), "remove", reason="expired", where=expiry.late(now))


def _relaunch(one: Round) -> list[Job]:
    """What waits for the engine, which answers now: as much of it as there is room for."""
    return _begun(one, "launched", waiting.ready(), "launch")


def _ended(one: Round) -> list[Job]:
    """Sandboxes that were to go when they end, and have ended."""
    rows = Sandbox.objects.filter(status=Status.STOPPED, auto_remove=True, pending="")
    return [job for row in rows for job in _begun(one, "ended", [row], "remove", reason=row.status_reason)]


def _begun(one: Round, count: str, rows: Any, action: str, **options: Any) -> list[Job]:
    """Claim each row for an action; those that failed lately are left alone for a while."""
    jobs: list[Job] = []
    for row in one.each(rows):
        begun = None if _tries.is_too_soon(row.pk) else actions.begin(row, action, audit.CLEANUP, **options)
        if begun:
            jobs.append((count, row.pk, begun[1]))
    return jobs


def _wait(one: Round, jobs: list[Job], until: float) -> None:
    """Wait for what was begun, and count it; what takes longer goes on by itself."""
    for count, pk, job in jobs:
        ending = one.do("", lambda job=job: work.outcome(job, max(until - time.monotonic(), 0)))  # type: ignore[misc]
        if ending is None:
            one.report.counts["unfinished"] += 1
            continue
        went_well = ending.level in ("success", "info")
        _tries.note(pk, went_well)
        one.report.counts[count if went_well else "failed"] += 1


def _reap(one: Round) -> list[Future[int]]:
    """Begin to end what dead processes ran in sandboxes, as far as it can be ended now."""
    return one.do("", lambda: commands.reap(one.alive), []) or []


def _count(one: Round, endings: list[Future[int]], until: float) -> None:
    """Wait for the ends of commands, as for what was begun."""
    for job in endings:
        one.do("commands", lambda job=job: work.outcome(job, max(until - time.monotonic(), 0)))  # type: ignore[misc]


def _look_around() -> None:
    """Now and then: which images are here, and what the engine says of itself."""
    if _looking.is_due():
        images.refresh_presence()
        info = get_engine().info()
        _engine.update(version=info.version, free_disk=info.free_disk)
        budget.learn(info.memory)
        guard.again()


def _watch_disk() -> int:
    """Before and after what a round waits for, so that no pause between two looks is much over 10 s."""
    return disk.watch() if _measuring.is_due() else 0


def _watch_use() -> int:
    """What nobody uses is warned, and stopped."""
    return idle.watch() if _idling.is_due() else 0


def _prune() -> int:
    """Output that nobody looks at any more, sessions that are over, and the leases of processes long dead."""
    if not _pruning.is_due():
        return 0
    now = timezone.now()
    brakes.prune()
    Session.objects.filter(expire_date__lt=now).delete()
    mine = Q(name__startswith="process:") | Q(name__startswith=usage.NAME)
    Lease.objects.filter(mine, until__lt=now - timedelta(days=1)).delete()
    return commands.prune(now - timedelta(days=settings.SANDBOX_KEEP_DAYS))


_tries = Tries()
_looking = Every(LOOK_EVERY)
_measuring = Every(MEASURE_EVERY)
_engine: dict[str, Any] = {}
_idling = Every(USE_EVERY)
_pruning = Every(PRUNE_EVERY)
_clearing = Every(CLEAR_EVERY)


# -- round after round --------------------------------------------------------------------------


def loop(interval: float, stop: threading.Event) -> None:
    """Rounds every ``interval`` seconds while the role is ours, until ``stop`` is set.

    What is under way then is finished, as long as that takes less than ten seconds.
    """
    clock = Clock()
    with _working():
        while not stop.is_set():
            is_away = _round_in_role(interval, clock)
            stop.wait(min(interval, AWAY) if is_away else interval)


def once() -> Report:
    """One round, and its report; also while another process has the role: two are harmless.

    Where it holds something back it looks a second time: nobody would in the next process.
    """
    with _working():
        lease.acquire(ROLE, settings.SANDBOX_LEASE)
        report = run_round(patience=PATIENCE_ONCE)
        if report.held:
            doubt.pause()
            report = run_round(patience=PATIENCE_ONCE)
        lease.report(ROLE, report.as_json())
    return report


@contextmanager
def _working() -> Iterator[None]:
    """Be known as alive, and leave without anything half done."""
    process.hold()
    try:
        yield
    finally:
        work.drain(10)
        lease.release(ROLE)
        process.leave()


def _tell(report: Report) -> None:
    lease.report(ROLE, report.as_json())


def _round_in_role(interval: float, clock: Clock) -> bool:
    """Whether the engine was away for it."""
    seconds = max(LEASE_ROUNDS * interval, settings.SANDBOX_LEASE)
    report = None
    try:
        if lease.acquire(ROLE, seconds):
            report = run_round(expire=clock.is_steady(), beat=lambda: lease.keep(ROLE, seconds), tell=_tell)
            _tell(report)
    except lease.Lost:
        log.warning("Another process has the role of cleanup by now; this round has ended.")
    except Exception:
        log.exception("A cleanup round failed")
    finally:
        close_old_connections()
    return report is not None and report.is_away
