"""What the engine's host has left: below a floor of free disk nothing new is made, while cleaning goes on."""

from __future__ import annotations

import threading
import time
from typing import Any

from django.conf import settings

from sandboxes.engine import get_engine
from sandboxes.engine.base import EngineError, EngineInfo
from sandboxes.units import format_size

from .refusals import Refused

KEPT = 5.0
"""Seconds for which what the engine said of itself is believed."""


def check_disk() -> None:
    """Raise Refused while less of the host's disk is free than is to stay free; unknown is no reason."""
    found, floor = info(), settings.SANDBOX_DISK_FLOOR
    free = found.free_disk if found else None
    if free is not None and free < floor:
        figures = f"{format_size(free)} free, and {format_size(floor)} must stay free"
        raise Refused("", f"The server's disk is nearly full: {figures}. An admin must make room first.")


def info() -> EngineInfo | None:
    """The engine as it was a few seconds ago; None while it does not answer."""
    return _host.info()


class _Host:
    """The engine's own words about itself, asked for now and then by whoever needs them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: tuple[Any, float, EngineInfo | None] = (None, 0.0, None)

    def info(self) -> EngineInfo | None:
        engine = get_engine()
        with self._lock:
            whose, at, found = self._known
            if whose is not engine or time.monotonic() - at >= KEPT:
                found = self._ask(engine)
                self._known = (engine, time.monotonic(), found)
        return found

    @staticmethod
    def _ask(engine: Any) -> EngineInfo | None:
        try:
            found: EngineInfo = engine.info()
        except EngineError:
            return None
        return found


_host = _Host()
