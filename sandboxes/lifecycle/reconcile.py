"""Compares what we remember with what the engine has, both ways, and writes the engine's truth down.

From one list call a round. Nothing is concluded from a list that failed, about a row that changed
since the list was made, or about one with an action of ours under way.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from sandboxes.engine import get_engine
from sandboxes.engine.base import ContainerState, EngineError, NotFound
from sandboxes.models import ENDED, Sandbox, Status

from . import audit, lost_answers, transitions, truth
from .doubt import Doubt

log = logging.getLogger(__name__)

WORDS = {
    Status.RUNNING: "engine.start",
    Status.PAUSED: "engine.pause",
    Status.STOPPED: "engine.exit",
    Status.REMOVED: "engine.remove",
}
"""What is on record when a sandbox was found to have come to that status by another hand."""

AHEAD = timedelta(seconds=60)
"""So far another host's clock may be before ours."""

losing = Doubt("have lost their container")


def reconcile(
    states: Sequence[ContainerState], at: datetime, beat: Callable[[], Any] = lambda: None
) -> Counter[str]:
    """Put right every difference between the containers, as listed at ``at``, and the rows.

    ``beat`` is called before each container that is removed, and each row whose container is gone.
    """
    ids = {state.sandbox_id for state in states}
    rows = Sandbox.objects.select_related("owner").filter(~Q(status__in=ENDED) | Q(pk__in=ids))
    known = {row.pk: row for row in rows}
    counts: Counter[str] = Counter()
    for state in states:
        counts[_put_right(known.get(state.sandbox_id), state, at, beat)] += 1
    here = {state.native_id for state in states}
    rows_lost = [row for row in known.values() if _is_missing(row, here) and _is_lost(row, at)]
    believed = losing.believed([row.pk for row in rows_lost])
    for row in rows_lost:
        if row.pk in believed:
            beat()
            counts["lost"] += _lose(row)
    del counts[""]
    return +counts


def before_serving() -> Counter[str]:
    """Take over what happened while nothing of ours ran. Raises EngineError: then the loop will do it."""
    at = timezone.now()
    return reconcile(get_engine().list(), at)


def _put_right(row: Sandbox | None, state: ContainerState, at: datetime, beat: Callable[[], Any]) -> str:
    """What was done about a container: accepted, orphan or nothing ("")."""
    if row is not None and (row.pending or _is_newer(row, at) or row.status == Status.QUEUED):
        return ""
    if row is not None and row.native_id == state.native_id and row.status not in ENDED:
        return "accepted" if differs(row, state) and _accept(row) else ""
    if (row is None or row.status not in ENDED) and not _is_old(state, at):
        return ""
    beat()
    return _remove_orphan(state, row)


def differs(row: Sandbox, state: ContainerState) -> bool:
    """Whether the container is something else than its row says. A failed one may have a container."""
    status = truth.status_of(state)
    if row.status == Status.FAILED and status == Status.STOPPED:
        return False
    return status is not None and status != row.status


def _accept(row: Sandbox) -> bool:
    """Look again, closely, and write down what is so."""
    try:
        state = get_engine().inspect(row.native_id)
    except EngineError:
        return False
    status = truth.status_of(state)
    if status is None or not differs(row, state):
        return False
    reason = reason_for(row, status, state)
    return transitions.accept(row, status, action=WORDS[status], reason=reason, **truth.columns_of(state))


def reason_for(row: Sandbox, status: Status, state: ContainerState, by_hand: bool = False) -> str:
    """Why it is so, when we did not do it, or do not know."""
    asked = "" if state.oom_killed else lost_answers.sentence(row, status)
    if asked:
        return asked
    if status == Status.STOPPED:
        return truth.how_it_ended(row, state, by_hand)
    if status == Status.PAUSED:
        return "paused outside Sandboxes"
    word = "resumed" if row.status == Status.PAUSED else "started"
    return f"{word} outside Sandboxes"


def _is_old(state: ContainerState, at: datetime) -> bool:
    """Whether a container has been there for the grace period, as far as is known."""
    return state.created_at is None or _is_past_grace(state.created_at, at)


def _is_newer(row: Sandbox, at: datetime) -> bool:
    """Whether it changed since; a time far to come was written by a clock that has been put back."""
    return at <= row.changed_at <= timezone.now() + AHEAD


def _is_past_grace(since: datetime, at: datetime) -> bool:
    grace = timedelta(seconds=settings.SANDBOX_ORPHAN_GRACE)
    return not at - grace < since <= timezone.now() + AHEAD


def _remove_orphan(state: ContainerState, row: Sandbox | None) -> str:
    """Remove a container of ours that no live row stands for; on record once, however many loops see it."""
    try:
        get_engine().remove(state.native_id)
    except EngineError as error:
        log.warning("Orphan %s could not be removed: %s", state.native_id[:12], error.detail or error)
        return ""
    facts = {"container": state.native_id[:12], "sandbox": state.sandbox_id}
    why, key = "a container without a sandbox", f"orphan:{state.native_id}"
    noted = audit.record("cleanup.orphan", audit.CLEANUP, row, reason=why, detail=facts, engine_key=key)
    return "orphans" if noted else ""


def _is_missing(row: Sandbox, here: set[str]) -> bool:
    return bool(row.native_id) and row.native_id not in here


def _is_lost(row: Sandbox, at: datetime) -> bool:
    """Whether a row without a container has lost it: an old one, at rest, and the engine says so again."""
    old = _is_past_grace(row.created_at, at)
    if row.pending or _is_newer(row, at) or row.status in (Status.QUEUED, Status.FAILED) or not old:
        return False
    try:
        get_engine().inspect(row.native_id)
    except NotFound:
        return True
    except EngineError:
        return False
    return False


def _lose(row: Sandbox) -> bool:
    reason = lost_answers.sentence(row, Status.REMOVED) or truth.LOST
    return transitions.accept(
        row, Status.REMOVED, action=WORDS[Status.REMOVED], reason=reason, ended_at=timezone.now()
    )
