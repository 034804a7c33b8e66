"""What this process sees of use: keys and output of its terminals, open pages; handed on every few seconds.

A key costs a word in a dictionary; output costs nothing until it is asked for.
"""

from __future__ import annotations

import logging
import time

from sandboxes.lifecycle import usage
from sandboxes.lifecycle.usage import Use
from sandboxes.live import hub
from sandboxes.live.registry import registry

log = logging.getLogger(__name__)


class Watch:
    """Of one process; on its event loop only, but for ``typed``."""

    def __init__(self) -> None:
        self._typed: set[str] = set()
        self._heads: dict[str, int] = {}
        self._due = 0.0
        self._is_writing = False

    def typed(self, sandbox_id: str) -> None:
        """Somebody pressed a key in one of its terminals."""
        self._typed.add(sandbox_id)

    def gather(self) -> dict[str, Use]:
        """What was used since the last time, by sandbox; the liveliest use of each."""
        entries = hub.current().guard.entries
        found = {entry.sandbox_id: Use.VIEWER for entry in entries if entry.sandbox_id}
        heads = {}
        for sandbox_id, terminal in registry.up():
            heads[terminal.shell] = terminal.ring.head
            if terminal.ring.head != self._heads.get(terminal.shell, 0):
                found[sandbox_id] = Use.OUTPUT
        typed, self._typed, self._heads = self._typed, set(), heads
        return found | dict.fromkeys(typed, Use.KEYS)

    def second(self) -> None:
        """Once a second: hand on what is due; one hand-over at a time."""
        if self._is_writing or time.monotonic() < self._due:
            return
        self._due, self._is_writing = time.monotonic() + usage.EVERY, True
        hub.current().do(self._write())

    async def _write(self) -> None:
        found = self.gather()
        try:
            await hub.current().read(usage.write, found)
        except Exception:
            self._typed |= {pk for pk, use in found.items() if use == Use.KEYS}
            raise
        finally:
            self._is_writing = False


watch = Watch()
hub.each_second(lambda: watch.second())
