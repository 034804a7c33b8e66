"""Which events a webhook wants: ``*``, ``sandbox.*``, ``user.sign_in``, each with ``:refused`` or not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from sandboxes.lifecycle import event_words
from sandboxes.models import Event, Outcome

SHAPE = re.compile(rf"(\*|[a-z_]+\.\*|[a-z_]+\.[a-z_]+)(?::({'|'.join(Outcome.values)}))?")


def parse(text: str) -> list[str]:
    """The patterns of a text, one a line. Raises ValueError with a sentence that names the wrong one."""
    found = list(dict.fromkeys(text.split()))
    if not found:
        raise ValueError("Name at least one action, or * for all.")
    for one in found:
        shape = SHAPE.fullmatch(one)
        if shape is None:
            raise ValueError(f"“{one}” is no pattern. Write *, sandbox.*, user.sign_in or *:refused.")
        if not any(_fits(shape[1], action) for action in event_words.words()):
            raise ValueError(f"No action is called “{shape[1]}”. The reference of events lists them all.")
    return found


def wants(patterns: Sequence[str], event: Event) -> bool:
    """Whether one of the patterns fits the event."""
    return any(_wants(one, event) for one in patterns)


def _wants(pattern: str, event: Event) -> bool:
    action, _, outcome = pattern.partition(":")
    return (not outcome or outcome == event.outcome) and _fits(action, event.action)


def _fits(pattern: str, action: str) -> bool:
    return pattern in ("*", action) or (pattern.endswith(".*") and action.startswith(pattern[:-1]))


def lines(patterns: Iterable[str]) -> str:
    """The patterns as they are kept."""
    return "\n".join(patterns)
