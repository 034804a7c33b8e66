"""What is refused before anything is done: a sentence for whoever asked, and a line on record."""

from __future__ import annotations

import threading
import time
from typing import Any, NoReturn

from sandboxes.access import Hidden
from sandboxes.models import Outcome, Sandbox

from . import audit


class Refused(Exception):
    """Not done, and nothing changed. ``str(refused)`` is a sentence for people.

    ``field`` names the input at fault, empty for none of them. ``offer`` is an action that would
    help (``resume``), where there is one.
    """

    def __init__(self, field: str, message: str, offer: str = "") -> None:
        super().__init__(message)
        self.field = field
        self.message = message
        self.offer = offer


def record(action: str, origin: audit.Origin, refusal: Refused, sandbox: Sandbox | None = None,
           **facts: Any) -> None:  # fmt: skip
    """Put a refusal on record; call it outside of the transaction that it undid."""
    if refusal.field:
        facts["field"] = refusal.field
    audit.record(action, origin, sandbox, outcome=Outcome.REFUSED, reason=refusal.message, detail=facts)


def refuse(action: str, origin: audit.Origin, refusal: Refused, sandbox: Sandbox | None = None) -> NoReturn:
    """Put a refusal on record and raise it."""
    record(action, origin, refusal, sandbox)
    raise refusal


def note(action: str, origin: audit.Origin, refusal: Refused, sandbox: Sandbox | None = None,
         **facts: Any) -> None:  # fmt: skip
    """Put on record what costs its sender nothing to repeat: only so many a person or address.

    ``left_out`` in the next line's detail says how many were not written since the one before.
    """
    left_out = bound.take(str(origin.user_id or origin.address or origin.kind))
    if left_out is None:
        return
    if left_out:
        facts["left_out"] = left_out
    record(action, origin, refusal, sandbox, **facts)


MISSING = Refused("", "There is no such sandbox.")


def hidden(what: Hidden) -> Refused:
    """For the record: why somebody was told that there is no such thing."""
    if what.sandbox is not None:
        return Refused("", "Not theirs; answered as if there were no such sandbox.")
    if what.what == "sandbox":
        return MISSING
    return Refused("", f"There is no such {what.what}, or it is not theirs.")


class Bound:
    """How many lines each may add to the record: ``burst`` at once, then one every ``pause`` seconds.

    It counts in this process only and knows the latest ``most`` senders.
    """

    def __init__(self, burst: int = 20, pause: float = 5.0, most: int = 1000) -> None:
        self.burst, self.pause, self.most = burst, pause, most
        self._lock = threading.Lock()
        self._senders: dict[str, tuple[float, float, int]] = {}

    def take(self, sender: str) -> int | None:
        """How many were left out before this one; None: leave this one out too."""
        now = time.monotonic()
        with self._lock:
            at, left, missed = self._senders.pop(sender, (now, self.burst, 0))
            left = min(self.burst, left + (now - at) / self.pause)
            may = left >= 1
            self._senders[sender] = (now, left - 1, 0) if may else (now, left, missed + 1)
            if len(self._senders) > self.most:
                self._senders.pop(next(iter(self._senders)))
        return missed if may else None


bound = Bound()
