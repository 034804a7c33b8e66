"""Locks that all processes of an install share. The system lets go of one together with whoever held it."""

from __future__ import annotations

import fcntl
import logging
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .base import Conflict

log = logging.getLogger(__name__)

FILES = 256
"""So many files serve all keys: two that share one now and then wait for each other."""
PAUSE = 0.005
"""Seconds between two tries."""


class Locks:
    """By key; ``folder`` None: there is nobody to share them with."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @contextmanager
    def held(self, key: str, seconds: float, *, alone: bool) -> Iterator[None]:
        """Hold it, alone or beside others that do not want it alone. Raises Conflict after so many seconds.

        Where no file can be made the work goes on without: it is better not done apart than not at all.
        """
        file = self._file(key)
        if file is None:
            yield
            return
        try:
            _take(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH, seconds)
            yield
        finally:
            os.close(file)

    def _file(self, key: str) -> int | None:
        if self._folder is None:
            return None
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            name = f"{zlib.crc32(key.encode()) % FILES:02x}"
            return os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            log.warning("Programs and pauses are not kept apart between processes: %s", error)
            return None


def _take(file: int, kind: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while True:
        with suppress(BlockingIOError):
            return fcntl.flock(file, kind | fcntl.LOCK_NB)
        if time.monotonic() > end:
            raise Conflict("The sandbox is busy starting a program. Try again.")
        time.sleep(PAUSE)
