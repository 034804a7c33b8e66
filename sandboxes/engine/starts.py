"""Keeps a pause and the beginning of a program apart.

An engine (20.10) that freezes a container while a program is just being started in it never gets
over it: that container answers nothing any more, not even to be removed, and the statistics of all
others stop. So a pause waits for what is beginning, and what wants to begin waits for a pause, in whatever
process: the loop pauses a class while the web server opens its shells.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .base import Conflict, Unreachable
from .locks import Locks

_PATIENCE = 10.0
_RECENT = 10.0


class Starts:
    """What begins and what pauses, by container. Safe to use from any thread, and with ``locks`` from any
    process that has them too."""

    def __init__(self, locks: Locks | None = None) -> None:
        self._locks = locks or Locks(None)
        self._changed = threading.Condition()
        self._beginning: Counter[str] = Counter()
        self._pausing: Counter[str] = Counter()
        self._begun: dict[str, tuple[str, float]] = {}

    @contextmanager
    def beginning(self, native_id: str) -> Iterator[list[str]]:
        """Around making and starting an exec, whose id goes into what it gives: so that whoever pauses never
        meets one that waits for them. Raises Conflict when a pause takes longer than 10 s."""
        begun: list[str] = []
        with self._changed:
            self._wait_for(lambda: not self._pausing[native_id])
            self._beginning[native_id] += 1
        try:
            with self._locks.held(native_id, _PATIENCE, alone=False):
                yield begun
            self._remember(native_id, begun)
        except Unreachable:  # it may have begun
            self._remember(native_id, begun)
            raise
        finally:
            with self._changed:
                self._release(self._beginning, native_id)

    @contextmanager
    def pausing(self, native_id: str) -> Iterator[list[str]]:
        """Around a pause; gives this process' execs of the last 10 s, of which some may still be starting.

        Raises Conflict when something has been beginning for more than 10 s.
        """
        with self._changed:
            self._pausing[native_id] += 1
        try:
            with self._changed:
                self._wait_for(lambda: not self._beginning[native_id])
                begun = [key for key, (where, _) in self._begun.items() if where == native_id]
            with self._locks.held(native_id, _PATIENCE, alone=True):
                yield begun
            with self._changed:
                for exec_id in begun:
                    self._begun.pop(exec_id, None)
        finally:
            with self._changed:
                self._release(self._pausing, native_id)

    def _wait_for(self, fact: Callable[[], bool]) -> None:
        if not self._changed.wait_for(fact, _PATIENCE):
            raise Conflict("The sandbox is busy starting a program. Try again.")

    def _remember(self, native_id: str, begun: list[str]) -> None:
        now = time.monotonic()
        with self._changed:
            fresh = {key: found for key, found in self._begun.items() if now - found[1] < _RECENT}
            self._begun = fresh | dict.fromkeys(begun, (native_id, now))

    def _release(self, counter: Counter[str], native_id: str) -> None:
        counter[native_id] -= 1
        if not counter[native_id]:
            del counter[native_id]
        self._changed.notify_all()
