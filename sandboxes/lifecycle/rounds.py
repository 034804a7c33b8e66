"""One round of the cleanup loop as such: its report, and its steps, done so that a fault spares the others.

What the steps are is cleanup.py's. Before each the round asks whether it may go on.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sandboxes.engine.base import EngineError

from . import lease

log = logging.getLogger(__name__)

Job = tuple[str, str, Future[Any]]
"""What is counted, which sandbox, and its work."""


@dataclass
class Report:
    """One round: when, how long, how many of each, and what went wrong (a sentence).

    ``engine`` is what was last seen of the engine itself: version, free_disk in bytes or None; ``held``
    what the loop does not believe yet (see doubt.py). ``is_away``: it did not say which containers there are.
    """

    at: datetime
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    error: str = ""
    engine: dict[str, Any] = field(default_factory=dict)
    held: str = ""
    is_away: bool = False

    def as_json(self) -> dict[str, Any]:
        counts = {name: count for name, count in self.counts.items() if count}
        at = self.at.isoformat(timespec="seconds")
        return {"at": at, "seconds": round(self.seconds, 3), "counts": counts, "error": self.error,
                "engine": self.engine, "held": self.held}  # fmt: skip


@dataclass(frozen=True)
class Round:
    """One under way. ``beat`` raises lease.Lost where it may not go on; ``alive`` are the processes."""

    report: Report
    beat: Callable[[], Any]
    alive: set[str]

    def do(self, count: str, step: Callable[[], Any], otherwise: Any = None) -> Any:
        """Do one step; a fault in it is reported, and the others are done all the same."""
        self.beat()
        try:
            result = step()
        except lease.Lost:
            raise
        except EngineError as error:
            self.report.error = self.report.error or str(error)
            return otherwise
        except Exception as error:
            log.exception("A step of the cleanup round failed")
            self.report.error = (
                self.report.error or f"A step failed: {type(error).__name__}. The log says more."
            )
            return otherwise
        if count:
            self.report.counts[count] += result or 0
        return result

    def each[Row](self, rows: Iterable[Row]) -> Iterator[Row]:
        """One after the other, as long as the round may go on."""
        for row in rows:
            self.beat()
            yield row
