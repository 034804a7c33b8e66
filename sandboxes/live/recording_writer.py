"""The one thread that writes recordings, so that no disk is ever waited for where terminals are read.

It wakes twice a second while there is something, at once while there is much, and not at all
otherwise. What it cannot keep up with is left out by the recorder, which says so in the recording.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Protocol

log = logging.getLogger(__name__)

GATHER = 0.5
"""Seconds for which what comes is gathered before it is written."""
FLUSH = 0.9
"""Seconds after which a busy recording is flushed; a quiet one is after each round."""


class Job(Protocol):
    """What the thread works on."""

    def work(self, flush: bool) -> bool:
        """Write what waits; returns whether there will be more. Never raises."""
        ...

    def stop(self, reason: str = ..., sentence: str = ...) -> None:
        """End once what waits is written."""
        ...

    @property
    def is_late(self) -> bool:
        """Whether its last flush was long ago."""
        ...


class Writer:
    """Jobs, and the thread that does them; it is started by the first and lives as long as the process."""

    def __init__(self) -> None:
        self._jobs: set[Job] = set()
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, job: Job) -> None:
        """Work on it from now on, until it says that it is done."""
        with self._lock:
            self._jobs.add(job)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="recordings", daemon=True)
                self._thread.start()

    def tell(self, hurry: bool = False) -> None:
        """There is something to write, soon or at once. Cheap enough for every keystroke."""
        if hurry and not self._hurry.is_set():
            self._hurry.set()
        if not self._news.is_set():
            self._news.set()

    def _run(self) -> None:
        while True:
            self._news.wait()
            in_hurry = self._hurry.wait(GATHER)
            self._news.clear()
            self._hurry.clear()
            self._round(in_hurry)

    def _round(self, in_hurry: bool) -> None:
        with self._lock:
            jobs = list(self._jobs)
        for job in jobs:
            if not self._done(job, not in_hurry or job.is_late):
                with self._lock:
                    self._jobs.discard(job)
        if in_hurry:
            self._news.set()  # what was not flushed is, once it is quiet

    def _done(self, job: Job, flush: bool) -> bool:
        try:
            return job.work(flush)
        except Exception:
            log.exception("A recording could not be written")
            return False

    def end_all(self, sentence: str) -> None:
        """Have every job come to its end; this process is about to."""
        with self._lock:
            jobs = list(self._jobs)
        for job in jobs:
            job.stop("ended", sentence)

    def drain(self, seconds: float) -> bool:
        """Whether every job is done within so many seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with self._lock:
                if not self._jobs:
                    return True
            self.tell(hurry=True)
            time.sleep(0.01)
        return not self._jobs


writer = Writer()
