"""Acts whose answer from the engine was lost: whether they were done shows only afterwards."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from sandboxes.models import Event, Outcome, Sandbox, Status

from .transitions import TABLE

FACTS = {"answer": "lost"}
"""Stands in the outcome of an act that the engine did not answer."""
RECENT = timedelta(days=1)
"""What happens later has another cause."""
LATELY = 50
"""Acts that are looked at; more in a row do not all fail."""
_ACTS = [f"sandbox.{name}" for name, act in TABLE.items() if act.target]  # extending asks no engine


def sentence(sandbox: Sandbox, status: Status) -> str:
    """Why it is so now, where an act without an answer asked for it and none has succeeded since; else empty.

    It says no more than is known: somebody else may have done it.
    """
    since = timezone.now() - RECENT
    acts = Event.objects.filter(sandbox_id=sandbox.pk, action__in=_ACTS, at__gte=since).order_by("-id")
    ended = acts.filter(outcome__in=(Outcome.OK, Outcome.FAILED)).values(
        "action", "outcome", "detail", "actor_name"
    )
    for act in ended[:LATELY]:
        if act["outcome"] == Outcome.OK:
            break
        action = TABLE[act["action"].removeprefix("sandbox.")]
        if action.target == status and FACTS.items() <= (act["detail"] or {}).items():
            return f"{act['actor_name']} asked to {action.action} it; the engine's answer was lost"
    return ""
