"""What must be true of an install at any moment, and where it is not. Changes nothing.

A busy install is never quite at rest: what is under way, or changed since the engine was asked, is
passed over, and only what two looks find is a breach.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from django.utils.module_loading import import_string

from sandboxes.engine import get_engine
from sandboxes.engine.base import ContainerState, NotFound
from sandboxes.models import (
    ENDED,
    Command,
    CommandStatus,
    Event,
    Outcome,
    Sandbox,
    Status,
    Terminal,
)
from sandboxes.units import format_size

from . import budget, expiry, process, truth
from .demand import spec_of

REST = frozenset({Status.RUNNING, Status.PAUSED, Status.STOPPED})
"""Has a container and an end."""
AGAIN = 2.0
"""Seconds between two looks."""
GOING = timedelta(seconds=30)
"""For how long what a shell or a command began may still be on its way out."""
OVER = timedelta(seconds=120)
"""For how long something may be past its end, beside a few rounds; what wings above spare: a day more."""


@dataclass(frozen=True)
class Breach:
    """One thing that is not as it must be: which promise, about what, and a sentence."""

    promise: str
    about: str
    sentence: str = field(compare=False)

    def __str__(self) -> str:
        return f"{self.promise}: {self.about}: {self.sentence}"


def breaches(again: float = AGAIN) -> list[Breach]:
    """Everything that is not as it must be. Raises EngineError while the engine does not answer."""
    first = look()
    if not first:
        return []
    time.sleep(again)
    second = set(look())
    return [one for one in first if one in second]


@dataclass(frozen=True)
class Seen:
    """One look: when, all containers, and the records that are not over, by id."""

    at: datetime
    states: Sequence[ContainerState]
    rows: dict[str, Sandbox]
    alive: set[str]

    def rests(self, row: Sandbox | None) -> bool:
        """Whether nothing is under way, and was not since the containers were listed."""
        return row is None or (not row.pending and row.changed_at < self.at)


def look() -> list[Breach]:
    """All promises, once."""
    at, states = timezone.now(), get_engine().list()
    rows = {row.pk: row for row in Sandbox.objects.exclude(status__in=ENDED)}
    seen = Seen(at, states, rows, process.alive())
    return [breach for promise in PROMISES for breach in promise(seen)]


# -- containers and records -----------------------------------------------------------------------


def _containers(seen: Seen) -> Iterator[Breach]:
    """Every container of ours has one record, which names it."""
    many = Counter(state.sandbox_id for state in seen.states)
    for state in seen.states:
        row, name = seen.rows.get(state.sandbox_id), f"container {state.native_id[:12]}"
        if many[state.sandbox_id] > 1 and seen.rests(row):
            yield Breach("one container", state.sandbox_id, f"{name} is one of {many[state.sandbox_id]}")
        elif row is None and not _is_new(state, seen):
            yield Breach("one record", name, f"no record that is not over ({state.sandbox_id})")
        elif row is not None and seen.rests(row) and row.native_id != state.native_id:
            yield Breach("one record", name, f"{row.pk} has another container, or none")


def _is_new(state: ContainerState, seen: Seen) -> bool:
    """Whether the loop may still be about to remove it."""
    grace = timedelta(seconds=settings.SANDBOX_ORPHAN_GRACE + 3 * settings.SANDBOX_CLEANUP_INTERVAL)
    return state.created_at is not None and state.created_at > seen.at - grace


def _records(seen: Seen) -> Iterator[Breach]:
    """Every record at rest has its container, in the same status."""
    here = {state.native_id: state for state in seen.states}
    for row in seen.rows.values():
        if row.status not in REST or not seen.rests(row):
            continue
        state = here.get(row.native_id)
        if state is None:
            yield Breach("one container", row.pk, f"it is {row.status} and has no container")
        elif truth.status_of(state) not in (row.status, None):
            yield Breach("same status", row.pk, f"it is {row.status}, its container {state.status}")


def _ends(seen: Seen) -> Iterator[Breach]:
    """Nothing is without an end, or long past it, unless somebody has yet to save what is in it."""
    over = seen.at - OVER - timedelta(seconds=3 * settings.SANDBOX_CLEANUP_INTERVAL)
    late = [pk for pk, row in seen.rows.items() if row.expires_at and row.expires_at < over]
    spared = set(expiry.spared(late)) if late else set()
    for row in seen.rows.values():
        if row.status in REST and row.expires_at is None:
            yield Breach("an end", row.pk, "it has no end")
        elif row.pk in late and seen.rests(row) and not _is_spared(row, spared, over):
            yield Breach("an end", row.pk, "it is past its end, and still here")


def _left_over(seen: Seen) -> Iterator[Breach]:
    """Nothing that a wing lent is there when the wing has let go of it."""
    lent = [row.pk for row in seen.rows.values() if row.lent and seen.rests(row)]
    if lent and settings.SANDBOX_LEFT_RULE:
        for pk in import_string(settings.SANDBOX_LEFT_RULE)(lent):
            yield Breach("a use", pk, "it was lent, and nothing will use it again")


def _is_spared(row: Sandbox, spared: set[str], over: datetime) -> bool:
    return row.pk in spared and row.expires_at is not None and row.expires_at > over - expiry.SPARED


def _knobs(seen: Seen) -> Iterator[Breach]:
    """Every container is what its record demands, knob by knob."""
    for state in seen.states:
        row = seen.rows.get(state.sandbox_id)
        if row is None or row.native_id != state.native_id or not seen.rests(row):
            continue
        if found := _differences(row):
            yield Breach("as demanded", row.pk, "; ".join(found))


def _differences(row: Sandbox) -> Sequence[str]:
    try:
        return get_engine().differences(row.native_id, spec_of(row))
    except NotFound:  # it went just now
        return ()


# -- what is under way ----------------------------------------------------------------------------


def _claims(seen: Seen) -> Iterator[Breach]:
    """Nothing is under way for ever, or in the hands of a process that is dead."""
    late = seen.at - timedelta(seconds=settings.SANDBOX_CLAIM_LIMIT + 3 * settings.SANDBOX_CLEANUP_INTERVAL)
    for row in seen.rows.values():
        if row.pending and row.pending_since and row.pending_since < late:
            yield Breach("nothing stuck", row.pk, f"{row.pending} has been under way for too long")
        elif row.pending and row.claimed_by not in seen.alive:
            yield Breach("nothing stuck", row.pk, f"{row.pending} is in the hands of a dead process")


def _answers(seen: Seen) -> Iterator[Breach]:
    """What was asked for came to one end on record. Looks a day back."""
    since, late = seen.at - timedelta(days=1), seen.at - timedelta(seconds=settings.SANDBOX_CLAIM_LIMIT)
    open_ones = {row.pk for row in seen.rows.values() if row.pending or row.status == Status.QUEUED}
    asked = Event.objects.filter(outcome=Outcome.REQUESTED, at__gt=since).exclude(operation="")
    ended = Event.objects.filter(at__gt=since).exclude(outcome=Outcome.REQUESTED).exclude(operation="")
    ends = Counter(ended.values_list("operation", flat=True))
    running = set(Command.objects.filter(status=CommandStatus.RUNNING).values_list("pk", flat=True))
    for operation, action, sandbox, at in asked.values_list("operation", "action", "sandbox_id", "at"):
        if ends[operation] > 1:
            yield Breach("one answer", operation, f"{action} has {ends[operation]} ends on record")
        elif not ends[operation] and at < late and sandbox not in open_ones and operation not in running:
            yield Breach("one answer", operation, f"{action} of {sandbox or 'no sandbox'} came to no end")


def _terminals(seen: Seen) -> Iterator[Breach]:
    """No shell and no command is without a living process that owns it, in the records and in fact.

    What cannot be ended while its sandbox is paused waits for its resuming.
    """
    for terminal in Terminal.objects.filter(ended_at=None).exclude(process__in=seen.alive):
        yield Breach("an owner", f"terminal {terminal.name} of {terminal.sandbox_id}", "its process is dead")
    running = Command.objects.filter(status=CommandStatus.RUNNING).exclude(sandbox__status=Status.PAUSED)
    for pk in running.exclude(process__in=seen.alive).values_list("pk", flat=True):
        yield Breach("an owner", f"command {pk}", "its process is dead")
    yield from _processes(seen)


def _processes(seen: Seen) -> Iterator[Breach]:
    lately = Q(ended_at=None) | Q(ended_at__gt=seen.at - GOING)
    markers = {
        marker
        for rows in (Terminal.objects, Command.objects)
        for marker in rows.filter(lately).values_list("marker", flat=True)
    }
    for state in seen.states:
        row = seen.rows.get(state.sandbox_id)
        if row is None or row.status != Status.RUNNING or not seen.rests(row):
            continue
        if count := _unowned(row, markers):
            yield Breach("an owner", row.pk, f"{count} of its shells or commands belong to nobody")


def _unowned(row: Sandbox, markers: set[str]) -> int:
    try:
        return get_engine().unowned(row.native_id, markers)
    except NotFound:
        return 0


# -- room -----------------------------------------------------------------------------------------


def _memory(seen: Seen) -> Iterator[Breach]:
    """All live sandboxes together have no more memory than the install may give; who waits has none yet."""
    most = budget.limit()
    idle = [row.pk for row in seen.rows.values() if row.status == Status.QUEUED and not row.pending]
    promised = budget.promised(beside=idle)
    if most is not None and promised > most:
        figures = f"{format_size(promised)} of {format_size(most)}"
        yield Breach("within the budget", "memory", figures)


PROMISES: tuple[Callable[[Seen], Iterator[Breach]], ...] = (
    _containers, _records, _ends, _left_over, _knobs, _claims, _answers, _terminals, _memory
)  # fmt: skip
