"""Images: which are here, pulling one with progress, building the starter image."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from . import busybox, starter
from .base import EngineError, ImageMissing, LocalImage, PullProgress, TimedOut, Unreachable
from .connection import PING, WORK, Connection
from .pulling import Pull, pull_error
from .translate import image

_STALL = 60.0
_PERIOD = 0.25


class Images:
    """The part of the Engine that is about images."""

    connection: Connection

    def ping(self) -> None:
        with self.connection.control(PING, reading=True) as api:
            api.ping()

    def images(self) -> Sequence[LocalImage]:
        with self.connection.control(reading=True) as api:
            return [image(entry) for entry in api.images()]

    def has_image(self, reference: str) -> LocalImage | None:
        try:
            with self.connection.control(reading=True) as api:
                return image(api.inspect_image(reference))
        except ImageMissing:
            return None

    def pull(self, reference: str, progress: Callable[[PullProgress], None]) -> None:
        if not reference:  # of an engine that asks for something else than a pull
            raise pull_error("invalid reference format")
        try:
            with self.connection.streams(_STALL) as api:
                follow(api.pull(reference, stream=True, decode=True), progress)
        except TimedOut as error:
            self.ping()  # is it the engine that is silent, or the registry?
            raise TimedOut("The registry has sent nothing for a minute.", error.detail) from error
        except Unreachable:
            raise
        except EngineError as error:
            raise pull_error(error.detail or str(error)) from error
        if self.has_image(reference) is None:
            raise ImageMissing("The image could not be pulled.", "no error, yet no image")

    def build_starter(self, reference: str) -> None:
        if self.has_image(reference):
            return
        packed = starter.tarball(*busybox.find())
        name, _, tag = reference.partition(":")
        with self.connection.control(WORK) as api:
            api.import_image_from_data(packed, repository=name, tag=tag, changes=starter.CHANGES)


def follow(
    messages: Iterable[dict[str, Any]],
    progress: Callable[[PullProgress], None],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Read a pull to its end, telling ``progress`` at most four times a second, and at the end."""
    pull, told = Pull(), float("-inf")
    for message in messages:
        pull.feed(message)
        if clock() - told >= _PERIOD:
            told = clock()
            progress(pull.progress())
    progress(pull.progress())
