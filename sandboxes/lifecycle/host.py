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
    figures = shortage()
    if figures:
        raise Refused("", f"The server's disk is nearly full: {figures}. An admin must make room first.")


def shortage(kept: float | None = None, part: float = 1) -> str:
    """What is free and what is to stay free, where that is less than this part of it; else empty.

    ``kept``: seconds for which an answer is believed, as usual.
    """
    found = _host.answer(KEPT if kept is None else kept)
    return (_bytes(found, part) or _files(found, part)) if found else ""


def _bytes(found: EngineInfo, part: float) -> str:
    free, floor = found.free_disk, settings.SANDBOX_DISK_FLOOR
    if free is None or free >= floor * part:
        return ""
    return f"{format_size(free)} free, and {format_size(floor)} must stay free"


def _files(found: EngineInfo, part: float) -> str:
    """Files without a byte fill a disk too: many file systems have room for so many, however small."""
    free, most, floor = found.free_files, found.most_files, settings.SANDBOX_FILES_FLOOR
    if free is None or most is None or free * 100 >= most * floor * part:
        return ""
    return f"room for {free:,} more files, and {floor} % of {most:,} must stay free"


def info() -> EngineInfo | None:
    """The engine as it was a few seconds ago; None while it does not answer, or takes its time."""
    return _host.answer(KEPT)


_host = Question(lambda engine: cast(EngineInfo, engine.info()))
