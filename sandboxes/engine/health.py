"""Whether the engine answers, as the calls themselves notice it; it asks nothing of its own."""

from __future__ import annotations

import threading
from datetime import UTC, datetime


class Health:
    """Since when the engine has not answered. Safe to use from any thread.

    ``unreachable_since`` is the UTC time of the first failure in a row, None while all is well;
    ``last_error`` the sentence that came with the latest failure.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.unreachable_since: datetime | None = None
        self.last_error = ""

    def note_ok(self) -> None:
        """The engine answered, be it with a refusal."""
        if self.unreachable_since is None:
            return
        with self._lock:
            self.unreachable_since = None
            self.last_error = ""

    def note_error(self, error: Exception) -> None:
        """The engine did not answer. Only the first failure in a row sets the time."""
        with self._lock:
            self.last_error = str(error)
            if self.unreachable_since is None:
                self.unreachable_since = datetime.now(UTC)
