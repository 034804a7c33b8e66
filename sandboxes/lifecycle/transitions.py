"""THE state machine: the one table of what may happen, and the only writer of a status.

Buttons, admin actions, the diagram in the docs and the parametrised test are read from ``TABLE``.
It never calls the engine and never decides why; it claims, and it settles.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from sandboxes.models import ENDED, Outcome, Sandbox, Status

from . import announce, audit, process


@dataclass(frozen=True)
class Transition:
    """One action: from where it may start, where it ends, and how it is offered.

    ``target`` None leaves the status. ``during`` is the word while it is under way; ``overrides``
    lets it take a sandbox from another action under way; ``hurts`` asks before it is done.
    """

    action: str
    sources: frozenset[Status]
    target: Status | None
    label: str
    during: str
    past: str
    overrides: bool = False
    hurts: bool = False
    offered: bool = True
    capability: str = ""


def _row(action: str, sources: set[Status], target: Status | None, **words: Any) -> Transition:
    return Transition(action, frozenset(sources), target, **words)


_S = Status
TABLE: dict[str, Transition] = {
    row.action: row
    for row in (
        _row("launch", {_S.QUEUED}, _S.RUNNING,
             label="Launch", during="launching", past="launched", offered=False),
        _row("start", {_S.STOPPED, _S.FAILED}, _S.RUNNING,
             label="Start", during="starting", past="started"),
        _row("resume", {_S.PAUSED}, _S.RUNNING,
             label="Resume", during="resuming", past="resumed", capability="pause"),
        _row("pause", {_S.RUNNING}, _S.PAUSED,
             label="Pause", during="pausing", past="paused", capability="pause"),
        _row("extend", {_S.RUNNING, _S.PAUSED, _S.STOPPED}, None,
             label="Extend", during="extending", past="extended"),
        _row("restart", {_S.RUNNING, _S.PAUSED}, _S.RUNNING,
             label="Restart", during="restarting", past="restarted", hurts=True),
        _row("stop", {_S.RUNNING, _S.PAUSED}, _S.STOPPED,
             label="Stop", during="stopping", past="stopped", hurts=True),
        _row("remove", set(_S) - set(ENDED), _S.REMOVED,
             label="Remove", during="removing", past="removed", overrides=True, hurts=True),
    )
}  # fmt: skip


@dataclass
class Claim:
    """The right to act on one sandbox; good until somebody with an overriding action takes it.

    ``sandbox`` is a row of its own, so that a worker thread and a page never share one. ``reason``
    is what will be written beside the status. ``previous`` is whose claim it was, if it was stale.
    """

    sandbox: Sandbox
    transition: Transition
    token: str
    origin: audit.Origin
    reason: str = ""
    previous: str = ""
    operation: str = field(default_factory=lambda: secrets.token_hex(8))
    asked_at: datetime = field(default_factory=timezone.now)
    beat: float = field(default_factory=time.monotonic)

    @property
    def action(self) -> str:
        return self.transition.action


def allowed(sandbox: Sandbox) -> list[Transition]:
    """The actions a person can be offered now, in the table's order."""
    rows = (row for row in TABLE.values() if row.offered and sandbox.status in row.sources)
    return [row for row in rows if not sandbox.pending or (row.overrides and sandbox.pending != row.action)]


def fresh(pk: str) -> Sandbox | None:
    """The row as it is now, with its owner and image, or None."""
    return Sandbox.objects.select_related("owner", "image").filter(pk=pk).first()


def born(sandbox: Sandbox, origin: audit.Origin, facts: dict[str, Any] | None = None) -> Claim:
    """Write a new sandbox's row with its launch claimed, and the request, in one transaction.

    Raises IntegrityError when its owner used this launch key before. Call ``process.hold`` first.
    """
    mine = Claim(sandbox, TABLE["launch"], secrets.token_hex(8), origin)
    for name, value in _taken(mine).items():
        setattr(sandbox, name, value)
    with transaction.atomic():
        sandbox.save(force_insert=True)
        _note(mine, Outcome.REQUESTED, facts=facts)
    return mine


def claim(
    sandbox: Sandbox,
    action: str,
    origin: audit.Origin,
    *,
    where: Q | None = None,
    reason: str = "",
    **extra: Any,
) -> Claim | None:
    """Take the sandbox for one action, or return None when somebody was faster or it cannot be.

    One UPDATE that names the old status and an empty ``pending`` (an overriding action: any but
    itself); one row changed means it is ours. The request goes on record in the same transaction.
    ``where`` are further conditions of that UPDATE, ``extra`` further columns to set with it.
    """
    transition = TABLE[action]
    rows = Sandbox.objects.filter(where or Q(), pk=sandbox.pk, status__in=transition.sources)
    rows = rows.exclude(pending=action) if transition.overrides else rows.filter(pending="")
    mine = Claim(sandbox, transition, secrets.token_hex(8), origin, reason)
    with _taking(rows, mine, extra) as won:
        if not won:
            return None
        asked = audit.unanswered(mine.sandbox) if transition.overrides else None
        if asked is not None:
            audit.answer(asked, Outcome.FAILED, f"overtaken: {transition.label.lower()} was asked for")
        _note(mine, Outcome.REQUESTED, reason)
    return mine


def take_over(sandbox: Sandbox) -> Claim | None:
    """Take a stale claim, as we read it, from a process that died with it, to do its action again.

    It stays the act of whoever asked for it, under the same operation.
    """
    transition = TABLE.get(sandbox.pending)
    if transition is None:
        return None
    rows = Sandbox.objects.filter(
        pk=sandbox.pk, pending=sandbox.pending, claim=sandbox.claim, pending_since=sandbox.pending_since
    )
    mine = Claim(sandbox, transition, secrets.token_hex(8), audit.CLEANUP, previous=sandbox.claimed_by)
    with _taking(rows, mine, {}) as won:
        if not won:
            return None
        asked = audit.unanswered(mine.sandbox)
        if asked is not None and asked.action == f"sandbox.{mine.action}":
            mine.operation, mine.reason, mine.origin = asked.operation, asked.reason, audit.origin_of(asked)
            mine.asked_at = asked.at
        announce.sandbox(mine.sandbox)
    return mine


def _taken(mine: Claim) -> dict[str, Any]:
    """The columns of a sandbox that is claimed."""
    now = timezone.now()
    return {"pending": mine.action, "pending_since": now, "claim": mine.token,
            "claimed_by": process.process_id(), "changed_at": now}  # fmt: skip


@contextmanager
def _taking(rows: QuerySet[Sandbox], mine: Claim, extra: dict[str, Any]) -> Iterator[bool]:
    """In one transaction with what the caller records: the UPDATE, and whether it made the claim ours."""
    process.hold()
    with transaction.atomic():
        won = bool(rows.update(**_taken(mine), **extra))
        if won:
            mine.sandbox = fresh(mine.sandbox.pk) or mine.sandbox
        yield won


def _note(mine: Claim, outcome: Outcome, reason: str = "", facts: dict[str, Any] | None = None) -> None:
    """One line on record and one nudge, both with the transaction we are in."""
    took = None if outcome == Outcome.REQUESTED else audit.since(mine.asked_at)
    audit.record(f"sandbox.{mine.action}", mine.origin, mine.sandbox, duration=took,
                 outcome=outcome, operation=mine.operation, reason=reason, detail=facts)  # fmt: skip
    announce.sandbox(mine.sandbox)


def _write(rows: QuerySet[Sandbox], sandbox: Sandbox, columns: dict[str, Any]) -> bool:
    """UPDATE the row, and our copy of it when it was ours to change."""
    columns["changed_at"] = timezone.now()
    if not rows.update(**columns):
        return False
    for name, value in columns.items():
        setattr(sandbox, name, value)
    return True


def _held(mine: Claim) -> QuerySet[Sandbox]:
    return Sandbox.objects.filter(pk=mine.sandbox.pk, claim=mine.token)


def still_ours(mine: Claim, **columns: Any) -> bool:
    """Write columns that are not the status, and say whether the claim still holds.

    Renews ``pending_since``, so long work (a pull) calls it to stay fresh.
    """
    columns["pending_since"] = timezone.now()
    if not _write(_held(mine), mine.sandbox, columns):
        return False
    mine.beat = time.monotonic()
    announce.sandbox(mine.sandbox)
    return True


def keep(claims: Iterable[Claim]) -> None:
    """Renew many claims at once, for those who wait for the same thing; lost ones change nothing."""
    held = {mine.token: mine for mine in list(claims)}
    now = timezone.now()
    Sandbox.objects.filter(claim__in=held).update(pending_since=now, changed_at=now)
    for mine in held.values():
        announce.sandbox(mine.sandbox)


def settle(
    mine: Claim,
    status: Status | None = None,
    *,
    outcome: Outcome = Outcome.OK,
    reason: str = "",
    detail: str = "",
    facts: dict[str, Any] | None = None,
    **columns: Any,
) -> bool:
    """End a claim: status (None: unchanged), Event and nudge in one transaction.

    Returns False, and writes nothing, when the claim was taken from us: whoever has it now settles.
    ``detail`` is the engine's own text (admins only); ``facts`` go into the Event.
    """
    if status is not None:
        columns |= {"status": status, "status_reason": reason[:300], "status_detail": detail}
    columns |= {"pending": "", "pending_since": None, "claim": "", "claimed_by": "", "launch_step": ""}
    with transaction.atomic():
        if not _write(_held(mine), mine.sandbox, columns):
            return False
        _note(mine, outcome, reason, facts)
    return True


def wait(sandbox: Sandbox, origin: audit.Origin, reason: str) -> bool:
    """Write down for what a queued one waits that nobody works on; False where that is known already."""
    rows = Sandbox.objects.filter(pk=sandbox.pk, status=Status.QUEUED, pending="")
    with transaction.atomic():
        if not _write(rows.exclude(status_reason=reason), sandbox, {"status_reason": reason}):
            return False
        audit.record("sandbox.launch", origin, sandbox, outcome=Outcome.REFUSED, reason=reason)
        announce.sandbox(sandbox)
    return True


def amend(
    sandbox: Sandbox, action: str, origin: audit.Origin, *, where: Q, facts: dict[str, Any], **columns: Any
) -> bool:
    """Do an action that needs no engine and leaves the status: one UPDATE and its Event.

    It also wins beside another action under way, but not beside a removal.
    """
    rows = Sandbox.objects.filter(where, pk=sandbox.pk, status__in=TABLE[action].sources)
    with transaction.atomic():
        if not _write(rows.exclude(pending="remove"), sandbox, columns):
            return False
        audit.record(f"sandbox.{action}", origin, sandbox, detail=facts)
        announce.sandbox(sandbox)
    return True


def accept(
    sandbox: Sandbox,
    status: Status,
    *,
    action: str,
    reason: str,
    origin: audit.Origin = audit.ENGINE,
    engine_key: str | None = None,
    at: datetime | None = None,
    facts: dict[str, Any] | None = None,
    **columns: Any,
) -> bool:
    """Write down what the engine did by itself or by another hand; False when it is known already.

    Only while no action of ours is under way and the row is as we read it (``changed_at``), so
    that of several processes that see the same thing one writes it, and none writes what it saw
    before somebody else's newer truth.
    """
    rows = Sandbox.objects.filter(
        pk=sandbox.pk, status=sandbox.status, pending="", changed_at=sandbox.changed_at
    )
    columns |= {"status": status, "status_reason": reason[:300], "status_detail": ""}
    with transaction.atomic():
        if not _write(rows, sandbox, columns):
            return False
        audit.record(action, origin, sandbox, reason=reason, detail=facts,
                     engine_key=engine_key, at=at)  # fmt: skip
        announce.sandbox(sandbox)
    return True
