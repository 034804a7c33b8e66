"""What the engine's host has left: below a floor of free disk nothing new is made, while cleaning goes on."""

from __future__ import annotations

from typing import cast

from django.conf import settings

from sandboxes.engine.base import EngineInfo
from sandboxes.units import format_size

from .asking import Question
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
    """The engine as it was a few seconds ago; None while it does not answer, or takes its time."""
    return _host.answer(KEPT)


_host = Question(lambda engine: cast(EngineInfo, engine.info()))
