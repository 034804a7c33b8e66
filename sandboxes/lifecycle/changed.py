"""Stops what another hand has given other limits or networks than its record demands.

A few are looked at each round, all in turn; the engine's own word that limits were changed leads to a look
at once. Its files stay: a strict one has them in memory, and is paused. It starts again when what was
changed is put back.
"""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from sandboxes.engine.base import EngineError, Unreachable
from sandboxes.models import Sandbox

from . import actions, audit, demand

FEW = 3
ROUNDS = 12
"""So many are looked at in a round at least, and so many rounds it takes for all of them at most."""
YOUNG = timedelta(seconds=60)
"""Compared when it started, so not due yet."""


class Turns:
    """Whose turn it is: by id, on from where the last round ended."""

    def __init__(self) -> None:
        self._last = ""

    def take(self, ids: list[str]) -> list[str]:
        """The next few of these; all have had theirs after ROUNDS rounds."""
        after = sorted(ids, key=lambda pk: (pk <= self._last, pk))
        taken = after[: max(FEW, -(-len(ids) // ROUNDS))]
        self._last = taken[-1] if taken else ""
        return taken


_turns = Turns()


def watch() -> int:
    """Look at the next few; how many are being stopped. Raises Unreachable."""
    rows = Sandbox.objects.up().filter(pending="").exclude(native_id="")
    now = timezone.now()
    old = rows.exclude(started_at__range=(now - YOUNG, now))
    return sum(look(row) for row in rows.filter(pk__in=_turns.take(list(old.values_list("pk", flat=True)))))


def look(row: Sandbox) -> bool:
    """Whether it is being stopped, because it was changed. What cannot be told of one now is told later."""
    act = "pause" if row.is_strict else "stop"
    try:
        why = demand.reason(row)
    except Unreachable:
        raise
    except EngineError:
        return False
    same = Q(native_id=row.native_id)
    return bool(why) and actions.begin(row, act, audit.CLEANUP, reason=why, where=same) is not None
