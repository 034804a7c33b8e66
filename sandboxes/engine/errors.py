"""Our words for what an engine refuses or fails to do; base.py hands them on."""

from __future__ import annotations


class EngineError(Exception):
    """Something the engine refused or could not do.

    ``str(error)`` is a sentence for people and never holds engine text or host paths;
    ``detail`` is the engine's own text, for admins and logs only.
    """

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class Unreachable(EngineError):
    """No answer, or not an answer an engine would give. Concludes nothing about any container."""


class TimedOut(Unreachable):
    """No answer in time. What was asked for may or may not have happened."""


class NotFound(EngineError):
    """The container (or exec) does not exist."""


class ImageMissing(NotFound):
    """The image is not here and could not be pulled."""


class Conflict(EngineError):
    """Not possible in the container's present status, for instance exec while paused."""


class NoCapacity(EngineError):
    """The host has no room (disk, memory, addresses)."""


class Unsupported(EngineError):
    """This environment cannot do that."""


class Mismatch(EngineError):
    """The engine made a container that differs from what was asked; it has been removed."""
