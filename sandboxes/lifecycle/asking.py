"""Questions to the engine that pages ask: one thread asks, and nobody waits for the answer for long."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from sandboxes.engine import get_engine
from sandboxes.engine.base import EngineError

log = logging.getLogger(__name__)

PATIENCE = 1.5
"""Seconds from when a question is asked for which pages wait for its answer."""


class Question[T]:
    """Asked by one thread at a time, whoever needs the answer meanwhile. For any thread.

    An engine that hangs costs the first page ``PATIENCE``, and those after it nothing until it fails.
    """

    def __init__(self, ask: Callable[[Any], T]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._last: _Asked[T] | None = None

    def answer(self, kept: float, patience: float = PATIENCE) -> T | None:
        """What was answered less than ``kept`` seconds ago, or is now; None when nothing is in time."""
        asked = self._current(kept)
        asked.over.wait(max(asked.began + patience - time.monotonic(), 0))
        return asked.found

    def _current(self, kept: float) -> _Asked[T]:
        engine = get_engine()
        with self._lock:
            if self._last is None or self._last.engine is not engine or self._last.is_older(kept):
                self._last = _Asked(engine, self._ask)
            return self._last


class _Asked[T]:
    """A question under way, or answered."""

    def __init__(self, engine: Any, ask: Callable[[Any], T]) -> None:
        self.engine, self.began, self.ended = engine, time.monotonic(), 0.0
        self.found: T | None = None
        self.over = threading.Event()
        threading.Thread(target=self._run, args=[ask], name="question", daemon=True).start()

    def is_older(self, kept: float) -> bool:
        return self.over.is_set() and time.monotonic() - self.ended >= kept

    def _run(self, ask: Callable[[Any], T]) -> None:
        try:
            self.found = ask(self.engine)
        except EngineError:
            pass  # the engine's health has it
        except Exception:
            log.exception("A question to the engine failed")
        finally:
            self.ended = time.monotonic()
            self.over.set()
