"""The engine's events, read by one thread and handled by another, for as long as the process lives."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from django.db import connection

from sandboxes.engine.base import Engine, EngineError, EngineEvent

log = logging.getLogger(__name__)

FIRST, LONGEST = 0.5, 10.0
"""Seconds between two tries to connect: the first, and the most."""
BEFORE = 5.0
"""Seconds before our start from which events are wanted; older ones are the cleanup loop's."""
IDLE = 0.5
"""Seconds without an event after which the database connection is let go."""
REMEMBERED = 4096
"""Keys of events that are known, so that one that is sent again is not handled again."""


class EventReader:
    """Calls ``hear(event)`` as soon as an event is read, and ``handle(event)`` for each in order.

    Both are called in threads; ``handle`` may block and use the database.
    """

    def __init__(
        self,
        engine: Callable[[], Engine],
        hear: Callable[[EngineEvent], None],
        handle: Callable[[EngineEvent], None],
    ) -> None:
        self._engine, self._hear, self._handle = engine, hear, handle
        self._since = time.time() - BEFORE
        self._known: OrderedDict[str, None] = OrderedDict()
        self._queue: queue.SimpleQueue[EngineEvent | None] = queue.SimpleQueue()
        self._over, self._wake = threading.Event(), threading.Event()
        self._threads = [
            threading.Thread(target=self._read, name="engine-events", daemon=True),
            threading.Thread(target=self._work, name="engine-events-work", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def hurry(self) -> None:
        """The engine is back: do not wait for the next try."""
        self._wake.set()

    def stop(self, seconds: float = 5) -> None:
        """End both threads; waits so long for what is being handled."""
        self._over.set()
        self._wake.set()
        self._queue.put(None)
        for thread in self._threads:
            thread.join(seconds)

    def _read(self) -> None:
        pause = FIRST
        while not self._over.is_set():
            began = time.monotonic()
            try:
                self._take_all()
            except EngineError as error:
                log.info("The engine's events are read again in %.1f s: %s", pause, error)
            except Exception:
                log.exception("Reading the engine's events failed")
            if time.monotonic() - began > LONGEST:
                pause = FIRST
            self._wake.wait(pause)
            self._wake.clear()
            pause = min(2 * pause, LONGEST)

    def _take_all(self) -> None:
        for event in self._engine().events(self._since, self._over.is_set):
            self._since = max(self._since, event.at)
            if self._is_new(event.key):
                self._hear(event)
                self._queue.put(event)

    def _is_new(self, key: str) -> bool:
        if key in self._known:
            return False
        self._known[key] = None
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return True

    def _work(self) -> None:
        while (event := self._next()) is not None and not self._over.is_set():
            try:
                self._handle(event)
            except Exception:
                log.exception("Handling the engine's event %s failed", event.key)
        connection.close()

    def _next(self) -> EngineEvent | None:
        """The next event; the database connection is kept as long as they keep coming."""
        try:
            return self._queue.get(timeout=IDLE)
        except queue.Empty:
            connection.close()
            return self._queue.get()
