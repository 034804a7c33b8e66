"""Acts whose answer from the engine was lost: whether they were done shows only afterwards."""

from __future__ import annotations

from sandboxes.models import Event, Outcome, Sandbox, Status

from .transitions import TABLE

FACTS = {"answer": "lost"}
"""Stands in the outcome of an act that the engine did not answer."""
_ACTS = [f"sandbox.{action}" for action in TABLE]


def sentence(sandbox: Sandbox, status: Status) -> str:
    """Why it is so now, where the latest act asked for this and had no answer; else empty.

    It says no more than is known: somebody else may have done it since.
    """
    acts = Event.objects.filter(sandbox_id=sandbox.pk, action__in=_ACTS).exclude(outcome=Outcome.REQUESTED)
    last = acts.order_by("-id").values("action", "detail", "actor_name").first()
    if last is None or not FACTS.items() <= (last["detail"] or {}).items():
        return ""
    action = TABLE[last["action"].removeprefix("sandbox.")]
    if action.target != status:
        return ""
    return f"{last['actor_name']} asked to {action.action} it; the engine's answer was lost"
