"""An action of a run in one seat: pause, resume or restart its sandbox, and see what came of it.

It holds nothing in memory: what was asked of a sandbox, and how that ended, stands in the trail.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sandboxes.lifecycle import actions, audit
from sandboxes.models import Event, Outcome, Sandbox, Status

from . import trail
from .models import LabRunResult

BEGUN = "begun "
"""A result that was claimed says so, and when, until it is known what came of it."""


def begin(result: LabRunResult, sandbox: Sandbox) -> None:
    """Ask for it, and wait for nothing; what is so already is done."""
    was_paused = sandbox.status == Status.PAUSED
    found = actions.act(sandbox, result.run.action, who(result), wait=0)
    if found.done and was_paused and result.run.action == "pause":
        trail.record("seat.hold", who(result), result.seat)  # from now on its student may not resume it
    if not found.under_way:
        end(result, "" if found.done else found.message)


def is_lost(result: LabRunResult) -> bool:
    """Whether it was begun and never asked for: the process died between. Ends what is over."""
    sandbox, action = result.seat.sandbox, result.run.action
    if sandbox is None or sandbox.status == Status.REMOVED:
        end(result, "There is no sandbox any more.")
    if result.done or sandbox is None or sandbox.pending == action:
        return False
    said = Event.objects.filter(sandbox_id=sandbox.pk, action=f"sandbox.{action}", at__gte=began(result))
    last = said.order_by("-id").first()
    if last is not None and last.outcome != Outcome.REQUESTED:
        end(result, "" if last.outcome == Outcome.OK else last.reason or "It could not be done.")
    return last is None


def began(result: LabRunResult) -> datetime:
    """When it was claimed, to the millisecond before."""
    return datetime.fromtimestamp(float(result.reason.removeprefix(BEGUN)) - 0.001, UTC)


def who(result: LabRunResult) -> audit.Origin:
    """Whoever pressed the button."""
    return trail.presser_of(result.run)


def end(result: LabRunResult, reason: str) -> None:
    """It is over; with a reason, it is not done."""
    LabRunResult.objects.filter(pk=result.pk).update(done=True, reason=reason[:300])
    result.done, result.reason = True, reason
