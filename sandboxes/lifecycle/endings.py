"""How a claimed action ends when it did not go as wished: what is settled, and the sentence for people.

Nothing is concluded from an engine that does not answer; from one that refuses, only what it then
says is so.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from sandboxes.engine import get_engine
from sandboxes.engine.base import (
    ContainerState,
    EngineError,
    ImageMissing,
    NoCapacity,
    NotFound,
    TimedOut,
    Unreachable,
)
from sandboxes.models import Outcome, Sandbox, Status

from . import lost_answers, transitions, truth
from .demand import Changed
from .transitions import Claim

log = logging.getLogger(__name__)

WAITING = "waiting for the engine"
OURS = "Something went wrong in Sandboxes itself."


@dataclass(frozen=True)
class Ending:
    """How an action ended. ``text`` is a sentence for people; ``level`` as in actions.Result."""

    text: str
    level: str = "success"


type Later = Ending | Future[Ending]
"""An ending, or the promise of one: a launch that waits for a pull."""


def settled(mine: Claim, text: str, status: Status, **columns: Any) -> Ending:
    """It went as wished, unless the claim was taken meanwhile."""
    return Ending(text) if transitions.settle(mine, status, **columns) else lost(mine)


def lost(mine: Claim) -> Ending:
    """Another action has the sandbox now, and settles."""
    return Ending(f"{mine.sandbox.name} was taken by another action meanwhile.", "info")


def unreachable(mine: Claim, error: Unreachable) -> Ending:
    """Nothing is known, so nothing is concluded. A launch waits in the queue for the engine."""
    name = mine.sandbox.name
    if mine.action == "launch":
        transitions.settle(mine, Status.QUEUED, outcome=Outcome.FAILED, reason=WAITING, detail=error.detail)
        return Ending(f"{name} is {WAITING}, which does not answer. It starts by itself.", "warning")
    transitions.settle(mine, outcome=Outcome.FAILED, reason=str(error), facts=lost_answers.FACTS)
    done = mine.transition.past
    return Ending(f"The engine does not answer, so {name} was not {done}. Try again in a moment.", "error")


def not_done(mine: Claim, error: EngineError) -> Ending:
    """The engine refused: look at what is, and write that down."""
    if mine.action == "remove":
        transitions.settle(mine, outcome=Outcome.FAILED, reason=str(error))
        return Ending(f"{mine.sandbox.name} could not be removed: {error} Try again in a moment.", "error")
    if isinstance(error, NotFound):
        return gone(mine)
    return _as_it_is(mine, error)


def as_before(mine: Claim, error: EngineError) -> Ending:
    """Nothing was done, or the engine refuses even to tell: the status stays, and the loop asks again."""
    transitions.settle(mine, outcome=Outcome.FAILED, reason=str(error))
    return Ending(f"{mine.sandbox.name} could not be {mine.transition.past}: {error}", "error")


def gone(mine: Claim) -> Ending:
    """Its container does not exist any more; that ends the sandbox."""
    now = timezone.now()
    reason = lost_answers.sentence(mine.sandbox, Status.REMOVED) or truth.LOST
    transitions.settle(mine, Status.REMOVED, outcome=Outcome.FAILED, reason=reason, ended_at=now)
    return Ending(f"{mine.sandbox.name} is gone: its container was removed outside Sandboxes.", "error")


def _as_it_is(mine: Claim, error: EngineError) -> Ending:
    """Accept the engine's truth after a refusal; what was wanted may be so already."""
    try:
        state = get_engine().inspect(mine.sandbox.native_id)
    except Unreachable as away:
        return unreachable(mine, away)
    except NotFound:
        return gone(mine)
    except EngineError as another:
        return as_before(mine, another)
    status = truth.status_of(state)
    columns = truth.columns_of(state) if status is not None else {}
    if status is not None and status == mine.transition.target:
        text = f"{mine.sandbox.name} is {mine.transition.target}."
        return settled(mine, text, status, reason=_reason(mine.sandbox, status, state), **columns)
    reason = _reason(mine.sandbox, status, state) or str(error)
    transitions.settle(mine, status, outcome=Outcome.FAILED, reason=reason, detail=error.detail, **columns)
    return Ending(f"{mine.sandbox.name} could not be {mine.transition.past}: {error}", "error")


def _reason(sandbox: Sandbox, status: Status | None, state: ContainerState) -> str:
    return truth.how_it_ended(sandbox, state) if status == Status.STOPPED else ""


def failed(mine: Claim, error: BaseException, **columns: Any) -> Ending:
    """It could not be started; the reason says why, and what to do, unless that is for who lent it to say."""
    known = error if isinstance(error, EngineError) else EngineError(OURS)
    reason = str(known) if mine.sandbox.lent else f"{known} {advice(error)}"
    columns |= {"reason": reason, "detail": known.detail, "outcome": Outcome.FAILED}
    if not transitions.settle(mine, Status.FAILED, **columns):
        return lost(mine)
    return Ending(f"{mine.sandbox.name} could not be {mine.transition.past}. {reason}", "error")


def advice(error: BaseException) -> str:
    """What to do after a launch or start that failed."""
    if isinstance(error, (ImageMissing, TimedOut)):
        return "Choose another image, or ask an admin to pull this one."
    if isinstance(error, Changed):
        return "Remove it, or ask an admin to put that back."
    if isinstance(error, NoCapacity):
        return "Remove sandboxes that are not needed, or start it again later."
    return "Start it again, or remove it. If that does not help, ask an admin."


def broken(mine: Claim, error: Exception) -> Ending:
    """A fault of ours: the log has it, and the sandbox must not stay claimed."""
    log.error("The %s of %s broke", mine.action, mine.sandbox.pk, exc_info=error)
    if mine.action == "launch":
        return failed(mine, error)
    transitions.settle(mine, outcome=Outcome.FAILED, reason=OURS)
    return Ending(f"{OURS} {mine.sandbox.name} was not {mine.transition.past}. Ask an admin.", "error")


def drop(mine: Claim, native_id: str) -> Ending:
    """The claim was taken while the container was made: remove it, unless its new holder goes on with it.

    Whoever took over a launch takes over its container too (create is idempotent).
    """
    row = transitions.fresh(mine.sandbox.pk)
    over = (Status.REMOVED, Status.FAILED)
    if row is None or row.status in over or row.pending == "remove":
        remove_quietly(native_id)
    return lost(mine)


def remove_quietly(native_id: str) -> None:
    """Remove what must not stay; what cannot be removed now is an orphan, and the loop's."""
    try:
        get_engine().remove(native_id)
    except EngineError as error:
        log.warning("Container %s could not be removed: %s", native_id[:12], error.detail or error)
