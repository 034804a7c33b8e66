"""Everything that may be done to a sandbox, each once: claim, ask the engine, settle, nudge.

Browser, admin, clock and other programs all come through ``launch`` and ``act``. No request waits
for the engine longer than it chooses to; the work goes on in the pool.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.module_loading import import_string

from sandboxes.models import Sandbox, Status
from sandboxes.units import format_duration

from . import audit, budget, fullness, host, process, quotas, refusals, steps, transitions, usage, work
from .launching import After, launch, reserve
from .refusals import Refused
from .transitions import TABLE, Claim

__all__ = ["After", "Refused", "Result", "act", "extend", "launch", "pause", "redo", "remove", "restart",
           "resume", "start", "stop"]  # fmt: skip

WAIT = 0.8
"""Seconds for which a page waits, so that quick actions come back with the new truth."""


@dataclass(frozen=True)
class Result:
    """What came of an action. ``message`` is a sentence for people.

    ``level`` is success, info, warning or error; ``under_way``: it goes on after this answer.
    """

    done: bool
    under_way: bool
    message: str
    level: str = "success"


def act(
    sandbox: Sandbox,
    action: str,
    origin: audit.Origin,
    *,
    wait: float | None = WAIT,
    reason: str = "",
    seconds: int | None = None,
    where: Q | None = None,
) -> Result:
    """Do one action of the table; two clicks are one action.

    Waits at most ``wait`` seconds (None: until it is over) and brings ``sandbox`` up to date.
    ``reason`` is written beside the status, ``seconds`` are for extend, ``where`` are further
    conditions under which it may be claimed. Not inside a transaction.
    """
    if held := _held(sandbox, origin):
        refusals.record(f"sandbox.{action}", origin, Refused("", held), sandbox)
        result = Result(False, False, held, "warning")
    elif action == "extend":
        result = _extend(sandbox, origin, seconds)
    else:
        result = _claim_and_run(sandbox, action, origin, wait, reason, where)
    sandbox.refresh_from_db(from_queryset=Sandbox.objects.select_related("owner", "image"))
    return result


def _held(sandbox: Sandbox, origin: audit.Origin) -> str:
    """Why its owner may do nothing to it just now, as SANDBOX_HOLD_RULE says; else empty."""
    if origin.user_id is None or origin.user_id != sandbox.owner_id or not settings.SANDBOX_HOLD_RULE:
        return ""
    return str(import_string(settings.SANDBOX_HOLD_RULE)(sandbox))


def start(sandbox: Sandbox, *, by: audit.Origin | None = None, **options: Any) -> Result:
    return act(sandbox, "start", by or audit.SYSTEM, **options)


def pause(sandbox: Sandbox, *, by: audit.Origin | None = None, **options: Any) -> Result:
    return act(sandbox, "pause", by or audit.SYSTEM, **options)


def resume(sandbox: Sandbox, *, by: audit.Origin | None = None, **options: Any) -> Result:
    return act(sandbox, "resume", by or audit.SYSTEM, **options)


def stop(sandbox: Sandbox, *, by: audit.Origin | None = None, **options: Any) -> Result:
    return act(sandbox, "stop", by or audit.SYSTEM, **options)


def restart(sandbox: Sandbox, *, by: audit.Origin | None = None, **options: Any) -> Result:
    return act(sandbox, "restart", by or audit.SYSTEM, **options)


def extend(sandbox: Sandbox, *, by: audit.Origin | None = None, **options: Any) -> Result:
    return act(sandbox, "extend", by or audit.SYSTEM, **options)


def remove(sandbox: Sandbox, *, by: audit.Origin | None = None, **options: Any) -> Result:
    return act(sandbox, "remove", by or audit.SYSTEM, **options)


def begin(
    sandbox: Sandbox, action: str, origin: audit.Origin, *, reason: str = "", where: Q | None = None
) -> tuple[Claim, Future[Any]] | None:
    """Claim and hand to the pool without waiting; None when it could not be claimed."""
    mine = transitions.claim(sandbox, action, origin, where=where, reason=reason)
    return (mine, work.submit(steps.run, mine)) if mine else None


def redo(sandbox: Sandbox) -> Future[Any] | None:
    """Do again what a process left half done when it died; None when somebody was faster."""
    mine = transitions.take_over(sandbox)
    return work.submit(steps.run, mine) if mine else None


def _claim_and_run(sandbox: Sandbox, action: str, origin: audit.Origin, wait: float | None,
                   reason: str, where: Q | None) -> Result:  # fmt: skip
    try:
        mine = _claim(sandbox, action, origin, reason, where)
    except Refused as refusal:
        refusals.record(f"sandbox.{action}", origin, refusal, sandbox)
        return Result(False, False, refusal.message, "warning")
    if mine is None:
        return _why_not(sandbox, action, origin)
    ending = work.outcome(work.submit(steps.run, mine), wait)
    if ending is None:
        return Result(False, True, f"{TABLE[action].during.capitalize()} {mine.sandbox.name}…", "info")
    return Result(ending.level == "success", False, ending.text, ending.level)


def _claim(sandbox: Sandbox, action: str, origin: audit.Origin, reason: str, where: Q | None) -> Claim | None:
    """Claim; to start a failed one takes a place of the quota again, and a whole lifetime."""
    fullness.check(sandbox, action, origin)
    if action == "start" and sandbox.status != Status.FAILED:  # one that has failed meanwhile has no place
        where = (where or Q()) & ~Q(status=Status.FAILED)
    if action != "start" or sandbox.status != Status.FAILED:
        return transitions.claim(sandbox, action, origin, where=where, reason=reason)
    host.check_disk()
    room = budget.limit()
    if room is None and budget.is_set():
        raise Refused("memory", "The engine does not answer, so it is not known how much memory is left. "
                                "Try again in a moment.")  # fmt: skip
    process.hold()
    with transaction.atomic():
        reserve(sandbox, room)
        until = timezone.now() + timedelta(seconds=sandbox.lifetime)
        return transitions.claim(sandbox, action, origin, where=where, reason=reason, expires_at=until)


def _why_not(sandbox: Sandbox, action: str, origin: audit.Origin) -> Result:
    """Why an action could not be claimed, politely: the second of two clicks has done nothing wrong."""
    row, asked = transitions.fresh(sandbox.pk) or sandbox, TABLE[action]
    if row.pending == action:
        return Result(False, True, f"Already {asked.during} {row.name}…", "info")
    if row.status == asked.target and not row.pending:
        return Result(True, False, f"{row.name} is {row.status} already.", "info")
    if row.pending:
        busy = TABLE[row.pending].during
        return Result(False, False, f"{row.name} is busy {busy}. Try again in a moment.", "info")
    if row.status in asked.sources:
        return Result(False, False, f"{row.name} has changed meanwhile. Look again.", "info")
    refusal = Refused("", f"{row.name} is {row.status}, so it cannot be {asked.past}.")
    refusals.record(f"sandbox.{action}", origin, refusal, row)
    return Result(False, False, refusal.message, "warning")


def _extend(sandbox: Sandbox, origin: audit.Origin, seconds: int | None) -> Result:
    """Move its end. It wins against an expiry not yet claimed, and works beside other actions."""
    by = settings.SANDBOX_EXTEND_BY if seconds is None else seconds
    for _ in range(3):
        row = transitions.fresh(sandbox.pk) or sandbox
        if row.pending == "remove" or row.status not in TABLE["extend"].sources:
            break
        until = _later_end(row, by)
        if until is None:
            if usage.is_warned(row) and transitions.amend(
                row, "extend", origin, where=Q(), facts={"until": "as before, and counted as used"}
            ):
                return Result(True, False, f"{row.name} goes on: this counted as use.")
            most = format_duration(quotas.lifetime_limit(row))
            return Result(False, False, f"{row.name} has the longest time there is: {most}.", "info")
        by_so_much = round((until - (row.expires_at or timezone.now())).total_seconds())
        facts = {"until": until.isoformat(timespec="seconds"), "seconds": by_so_much}
        as_read = Q(expires_at=row.expires_at)
        if transitions.amend(row, "extend", origin, where=as_read, facts=facts, expires_at=until):
            return Result(True, False, f"{row.name} has {format_duration(_left(until))} left.")
    return _why_not(sandbox, "extend", origin)


def _left(until: datetime) -> float:
    return round((until - timezone.now()).total_seconds())


def _later_end(row: Sandbox, seconds: int) -> datetime | None:
    """Its new end: later by ``seconds``, at most the maximum from now; None if that is not later."""
    now = timezone.now()
    end = row.expires_at or now
    most = now + timedelta(seconds=quotas.lifetime_limit(row))
    until = min(max(end, now) + timedelta(seconds=max(seconds, 0)), most)
    return until if until - end >= timedelta(seconds=1) else None
