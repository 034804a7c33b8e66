"""The clock: round after round what is over ends, what is half done is done, what differs is put right.

A round may run at any time, in several processes at once: what it changes it claims like anybody.
It asks the engine for its containers once, and does nothing about sandboxes when it does not answer.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
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


@dataclass
class Report:
    """One round: when, how long, how many of each, and what went wrong (a sentence).

    ``engine`` is what was last seen of the engine itself: version, free_disk in bytes or None; ``held``
    what the loop does not believe yet (see doubt.py). ``is_away``: it did not say which containers there are.
    """

    at: datetime
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    error: str = ""
    engine: dict[str, Any] = field(default_factory=dict)
    held: str = ""
    is_away: bool = False

    def as_json(self) -> dict[str, Any]:
        counts = {name: count for name, count in self.counts.items() if count}
        at = self.at.isoformat(timespec="seconds")
        return {"at": at, "seconds": round(self.seconds, 3), "counts": counts, "error": self.error,
                "engine": self.engine, "held": self.held}  # fmt: skip


# -- one round ----------------------------------------------------------------------------------


def run_round(
    now: datetime | None = None,
    *,
    expire: bool = True,
    beat: Callable[[], Any] = lambda: None,
    patience: float = PATIENCE,
    tell: Callable[[Report], Any] = lambda _: None,
) -> Report:
    """Do one round. ``now`` is the time by which sandboxes are over; ``beat`` is called between steps.

    ``tell`` gets the report as it is before the round waits for what it has begun.
    """
    began = time.monotonic()
    report = Report(timezone.now())
    alive = process.alive()
    states = _containers(report)
    if states is not None:
        endings = _reap(report, alive)  # first: they count as running
        jobs = _begin(report, alive, now or report.at, expire)
        _do(report, "", lambda: report.counts.update(reconcile(states, report.at)))
        jobs += _do(report, "", _ended, []) or []
        _do(report, "full", _watch_disk)
        _do(report, "idle", _watch_use) if expire else None
        _do(report, "changed", changed.watch)
        beat()
        if jobs or endings:
            tell(report)
        until = time.monotonic() + patience
        _wait(report, jobs, beat, until)
        endings += _reap(report, alive) if jobs else []  # what was paused and was resumed by now
        _count(report, endings, beat, until)
        _do(report, "full", _watch_disk)
        _do(report, "terminals", lambda: terminals.reap(alive))
        _do(report, "", _look_around)
    beat()
    _do(report, "pulls", lambda: images.release_pulls(alive))
    _do(report, "recordings", lambda: recordings.reap(alive))
    _do(report, "pruned", _prune)
    _do(report, "pruned", lambda: recordings.prune(timezone.now()) if _clearing.is_due() else 0)
    report.engine = dict(_engine)
    report.held = "; ".join(one.held for one in (expiry.doubt, losing) if one.held)
    report.seconds = time.monotonic() - began
    return report


Job = tuple[str, str, Future[Any]]
"""What is counted, which sandbox, and its work."""


def _containers(report: Report) -> Sequence[ContainerState] | None:
    """All containers, or None when that is not known."""
    try:
        return get_engine().list()
    except EngineError as error:
        report.error, report.is_away = str(error), True
        return None


def _begin(report: Report, alive: set[str], now: datetime, expire: bool) -> list[Job]:
    """Put to work what was left half done, what is over, and what waits for the engine, in this order."""
    jobs: list[Job] = []
    for step in (lambda: _redo(alive), (lambda: _expire(now)) if expire else list, _relaunch):
        jobs += _do(report, "", step, []) or []
    return jobs


def _redo(alive: set[str]) -> list[Job]:
    """Stale claims: their process has died, or gave no sign of them for too long."""
    silent = Q(pending_since__lt=timezone.now() - timedelta(seconds=settings.SANDBOX_CLAIM_LIMIT))
    rows = Sandbox.objects.exclude(pending="").filter(silent | ~Q(claimed_by__in=alive))
    return [("redone", row.pk, job) for row in rows if (job := actions.redo(row))]


def _expire(now: datetime) -> list[Job]:
    """What is past its end. The UPDATE that claims it looks at the end again, so extending wins."""
    return _begun("expired", expiry.over(now), "remove", reason="expired", where=expiry.late(now))


def _relaunch() -> list[Job]:
    """What waits for the engine, which answers now: as much of it as there is room for."""
    return _begun("launched", waiting.ready(), "launch")


def _ended() -> list[Job]:
    """Sandboxes that were to go when they end, and have ended."""
    rows = Sandbox.objects.filter(status=Status.STOPPED, auto_remove=True, pending="")
    return [job for row in rows for job in _begun("ended", [row], "remove", reason=row.status_reason)]


def _begun(count: str, rows: Any, action: str, **options: Any) -> list[Job]:
    """Claim each row for an action; those that failed lately are left alone for a while."""
    jobs: list[Job] = []
    for row in rows:
        begun = None if _tries.is_too_soon(row.pk) else actions.begin(row, action, audit.CLEANUP, **options)
        if begun:
            jobs.append((count, row.pk, begun[1]))
    return jobs


def _wait(report: Report, jobs: list[Job], beat: Callable[[], Any], until: float) -> None:
    """Wait for what was begun, and count it; what takes longer goes on by itself."""
    for count, pk, job in jobs:
        ending = _do(report, "", lambda job=job: work.outcome(job, max(until - time.monotonic(), 0)))  # type: ignore[misc]
        beat()
        if ending is None:
            report.counts["unfinished"] += 1
            continue
        went_well = ending.level in ("success", "info")
        _tries.note(pk, went_well)
        report.counts[count if went_well else "failed"] += 1


def _reap(report: Report, alive: set[str]) -> list[Future[int]]:
    """Begin to end what dead processes ran in sandboxes, as far as it can be ended now."""
    return _do(report, "", lambda: commands.reap(alive), []) or []


def _count(report: Report, endings: list[Future[int]], beat: Callable[[], Any], until: float) -> None:
    """Wait for the ends of commands, as for what was begun."""
    for job in endings:
        _do(report, "commands", lambda job=job: work.outcome(job, max(until - time.monotonic(), 0)))  # type: ignore[misc]
        beat()


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


def _do(report: Report, count: str, step: Callable[[], Any], otherwise: Any = None) -> Any:
    """Do one step; a fault in it is reported, and the others are done all the same."""
    try:
        result = step()
    except EngineError as error:
        report.error = report.error or str(error)
        return otherwise
    except Exception as error:
        log.exception("A step of the cleanup round failed")
        report.error = report.error or f"A step failed: {type(error).__name__}. The log says more."
        return otherwise
    if count:
        report.counts[count] += result or 0
    return result


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
            report = run_round(
                expire=clock.is_steady(), beat=lambda: lease.acquire(ROLE, seconds), tell=_tell
            )
            _tell(report)
    except Exception:
        log.exception("A cleanup round failed")
    finally:
        close_old_connections()
    return report is not None and report.is_away
