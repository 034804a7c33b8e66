"""What Docker did by itself, or by another hand, enters here: one engine event after the other.

Events are hints. What they lead to is always looked up (inspect), and written only while no action
of ours is under way and the row is as it was read; the cleanup loop repairs what a lost event or a
race leaves. Several processes may handle the same event: it is on record once (``engine_key``).

Whose act an event is:

* A change of status is ours when an action of ours that causes such a thing was under way then. The
  audit trail knows from when to when, for every process.
* An exec is ours when the engine says that it was made with our detach keys (``describe_exec``).
  That holds for every process, needs no registry of ids that would have to be shared before the
  event arrives, and outlives a crash.
* A copy of files is ours when it was made while we launched it (the engine looks at its users, and makes
  its folder), or while a wing above was putting files there (``SANDBOX_COPY_RULE``).
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from sandboxes.engine import get_engine
from sandboxes.engine.base import ContainerState, EngineError, EngineEvent, NotFound
from sandboxes.models import ENDED, UP, Event, Outcome, Sandbox, Status

from . import announce, audit, changed, commands, lost_answers, steps, transitions, truth, work
from .reconcile import WORDS, reason_for, reconcile

__all__ = ["handle", "reconcile"]

log = logging.getLogger(__name__)

CAUSES = {
    "start": ("launch", "start", "restart"),
    "die": ("stop", "restart", "remove"),
    "pause": ("pause",),
    "unpause": ("resume", "stop", "restart", "remove"),
    "destroy": ("remove",),
}
"""The engine's words for a change of status, and which actions of ours cause each."""
RECORD = {
    "start": "engine.start",
    "die": "engine.exit",
    "pause": "engine.pause",
    "unpause": "engine.resume",
    "destroy": "engine.remove",
}
OTHERS = {
    "rename": ("engine.rename", "renamed outside Sandboxes"),
    "update": ("engine.update", "its limits were changed outside Sandboxes"),
    "archive-path": ("engine.copy", "files were copied out of it outside Sandboxes"),
    "extract-to-dir": ("engine.copy", "files were copied into it outside Sandboxes"),
    "attach": ("engine.attach", "someone attached to its main process outside Sandboxes"),
    "commit": ("engine.commit", "an image was made of it outside Sandboxes"),
    "export": ("engine.export", "its files were exported outside Sandboxes"),
}
OUT_OF, INTO = "archive-path", "extract-to-dir"
SLACK = timedelta(seconds=0.5)
"""How far the engine's clock and ours, and a call and its event, may be apart."""
AGAIN = 1.5
ENDING_SIGNALS = {"2", "9", "15", "SIGINT", "SIGKILL", "SIGTERM"}


def handle(event: EngineEvent) -> None:
    """Take one event in; for a worker thread. Any order, any number of times."""
    if event.action in CAUSES:
        _status_changed(event, AGAIN)
    elif event.action == "exec_start":
        _exec_started(event)
    elif event.action == "oom":
        _memory_ran_out(event)
    elif event.action == "kill":
        _signalled(event)
    elif event.action in OTHERS and not (event.action in (OUT_OF, INTO) and _is_our_copy(event)):
        _noted(event, *OTHERS[event.action])
        _limits_changed(event)


def _row(event: EngineEvent) -> Sandbox | None:
    """The sandbox whose present container the event is about."""
    row = transitions.fresh(event.sandbox_id)
    return row if row is not None and row.native_id == event.native_id else None


def _time(event: EngineEvent) -> datetime:
    return datetime.fromtimestamp(event.at, UTC)


# -- changes of status --------------------------------------------------------------------------


def _status_changed(event: EngineEvent, again: float = 0) -> None:
    """Bring the row to what is so now. A row that changes under our eyes is read again.

    While an action of ours is under way the event is likely its own; but a main process can end by
    itself just then, so that is looked at once more after ``again`` seconds.
    """
    if _is_busy(event):  # as with nearly all that we ourselves have caused
        return _look_later(event, again)
    for _ in range(3):
        row = _row(event)
        if row is None or row.status in ENDED or _is_known(event):
            return None
        if row.pending or _is_ours(row, event):
            return _look_later(event, again)
        if _looked(row, event):
            break
    if row is not None and row.auto_remove and row.status == Status.STOPPED:
        work.submit(steps.remove_ended, row)
    return None


def _is_busy(event: EngineEvent) -> bool:
    """Whether an action of ours is under way on it just now; asked first, since it is cheap."""
    rows = Sandbox.objects.filter(pk=event.sandbox_id, native_id=event.native_id)
    return rows.exclude(pending="").exclude(status__in=ENDED).exists()


def _is_known(event: EngineEvent) -> bool:
    return Event.objects.filter(engine_key=event.key).exists()


def _look_later(event: EngineEvent, seconds: float) -> None:
    if event.action == "die" and seconds and work.size("actions"):
        work.later(seconds, work.submit, _status_changed, event)


def _is_ours(row: Sandbox, event: EngineEvent) -> bool:
    """Whether an action of ours that has such an effect was under way at the event's time."""
    return _is_within(row, _time(event), CAUSES[event.action])


def _is_our_copy(event: EngineEvent) -> bool:
    """Whether we were copying then: while we launched it, or for a wing above."""
    row, at = _row(event), _time(event)
    if row is None or row.pending == "launch" or _is_within(row, at, ("launch",)):
        return True
    rule = import_string(settings.SANDBOX_COPY_RULE) if settings.SANDBOX_COPY_RULE else None
    return event.action == INTO and rule is not None and bool(rule(row.pk, at, SLACK))


def _is_within(row: Sandbox, at: datetime, actions: Iterable[str]) -> bool:
    names = [f"sandbox.{action}" for action in actions]
    rows = Event.objects.filter(sandbox_id=row.pk, action__in=names).exclude(operation="")
    spans: dict[str, list[datetime]] = {}
    for operation, seen in rows.order_by("-id").values_list("operation", "at")[:20]:
        spans.setdefault(operation, []).append(seen)
    return any(min(span) - SLACK <= at <= max(span) + SLACK for span in spans.values())


def _looked(row: Sandbox, event: EngineEvent) -> bool:
    """Look at the container and write down what is so; False when the row changed meanwhile."""
    try:
        state: ContainerState | None = get_engine().inspect(row.native_id)
    except NotFound:
        state = None
    except EngineError:
        return True  # the loop will
    status = Status.REMOVED if state is None else truth.status_of(state)
    if status is None:
        return True  # on its way out: destroy follows
    if status == row.status and not (event.action == "start" and status == Status.RUNNING):
        _note(row, event, RECORD[event.action], "")
        return True
    return _accepted(row, status, state, event)


def _accepted(row: Sandbox, status: Status, state: ContainerState | None, event: EngineEvent) -> bool:
    columns = truth.columns_of(state) if state else {"ended_at": row.ended_at or timezone.now()}
    by_hand = _signals.was_seen(event.native_id)
    reason = reason_for(row, status, state, by_hand) if state else _why_gone(row)
    action = "engine.resume" if event.action == "unpause" and status == Status.RUNNING else WORDS[status]
    return transitions.accept(
        row, status, action=action, reason=reason, engine_key=event.key, at=_time(event), **columns
    )


def _why_gone(row: Sandbox) -> str:
    return lost_answers.sentence(row, Status.REMOVED) or truth.REMOVED_OUTSIDE


# -- the rest -----------------------------------------------------------------------------------


def _note(row: Sandbox, event: EngineEvent, action: str, reason: str, **facts: Any) -> None:
    """Put what happened on record, unless it is: under this key, or by the loop that saw it first."""
    at = _time(event)
    seen = Event.objects.filter(sandbox_id=row.pk, action=action, engine_key=None, at__gte=at - SLACK)
    if seen.exists():
        return
    with transaction.atomic():
        if audit.record(action, audit.ENGINE, row, reason=reason, detail=facts, engine_key=event.key, at=at):
            Sandbox.objects.filter(pk=row.pk).update(changed_at=timezone.now())
            announce.sandbox(row)


def _noted(event: EngineEvent, action: str, reason: str, **facts: Any) -> None:
    row = _row(event)
    if row is not None and not _is_known(event):
        _note(row, event, action, reason, **facts)


def _limits_changed(event: EngineEvent) -> None:
    """One whose limits are others than demanded is stopped; what cannot be told now, the loop finds."""
    row = _row(event) if event.action == "update" else None
    if row is not None and row.status in UP and not row.pending:
        with suppress(EngineError):
            changed.look(row)


def _exec_started(event: EngineEvent) -> None:
    """A program begun by another hand: its name on record, never its arguments."""
    row = _row(event)
    if row is None:
        return
    try:
        facts = get_engine().describe_exec(event.attributes.get("execID", ""))
    except EngineError:
        return
    if not facts.is_ours:
        program = facts.program[:80]
        _note(row, event, "engine.exec", f"{program} was run outside Sandboxes", program=program)


def _memory_ran_out(event: EngineEvent) -> None:
    """The kernel ended a process at the memory limit; also while an action of ours is under way."""
    row = _row(event)
    if row is None:
        return
    at = _time(event)
    key = f"oom-{event.native_id[:12]}-{int(event.at) // truth.OOM_SECONDS}"
    reason = truth.out_of_memory(row, "a process")
    with transaction.atomic():
        if audit.record(
            "sandbox.oom", audit.ENGINE, row, outcome=Outcome.OK, reason=reason, engine_key=key, at=at
        ):
            Sandbox.objects.filter(pk=row.pk).update(changed_at=timezone.now())
            announce.sandbox(row)
    commands.note_out_of_memory(row, at)


def _signalled(event: EngineEvent) -> None:
    """Signals that end it are told by its end; others are never ours."""
    signal = event.attributes.get("signal", "")
    if signal in ENDING_SIGNALS or not signal:
        _signals.see(event.native_id)
    else:
        _noted(event, "engine.signal", f"signal {signal} was sent to it outside Sandboxes", signal=signal)


class _Signals:
    """The containers that were sent a signal lately, so that their end can be told from an exit."""

    def __init__(self, most: int = 500, seconds: float = 30) -> None:
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, datetime] = OrderedDict()
        self._most = most
        self._within = timedelta(seconds=seconds)

    def see(self, native_id: str) -> None:
        with self._lock:
            self._seen[native_id] = timezone.now()
            self._seen.move_to_end(native_id)
            if len(self._seen) > self._most:
                self._seen.popitem(last=False)

    def was_seen(self, native_id: str) -> bool:
        with self._lock:
            at = self._seen.get(native_id)
        return at is not None and timezone.now() - at < self._within


_signals = _Signals()
