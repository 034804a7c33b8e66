"""Who looks at a terminal, for the record: people, not pages, and whoever is soon back has not left.

So what one person can add to the trail by opening and closing sockets is two lines in AWAY seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from sandboxes.lifecycle import audit, terminals
from sandboxes.live.tasks import Tasks, tried
from sandboxes.live.terminal import LiveTerminal

Off = Callable[..., Awaitable[Any]]
"""Does blocking work in a thread."""
AWAY = 10.0
"""Seconds after which somebody whose last page is gone has left."""


@dataclass
class Place:
    """One person at one terminal: how many pages, and whether the trail knows."""

    pages: int = 0
    is_told: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    leaving: asyncio.TimerHandle | None = None


class Presence:
    """Everybody at one terminal. For the event loop of that terminal."""

    def __init__(self, terminal: LiveTerminal, opener: audit.Origin, off: Off) -> None:
        self._terminal, self._off = terminal, off
        self._places = {opener.user_id: Place(is_told=True)}  # that they opened it is on record
        self._do = Tasks().do

    async def come(self, origin: audit.Origin, may_type: bool) -> None:
        """One more page of theirs; on record where it is their first. Raises DatabaseError: not let in."""
        place = self._places.setdefault(origin.user_id, Place())
        place.pages += 1
        if place.leaving is not None:
            place.leaving.cancel()
        try:
            async with place.lock:
                if not place.is_told:
                    await self._off(terminals.joined, self._terminal.record, origin, may_type)
                place.is_told = True
        except BaseException:
            self.go(origin)
            raise

    def go(self, origin: audit.Origin) -> None:
        """One page of theirs is gone; with the last one they have left, unless they are soon back."""
        place = self._places[origin.user_id]
        place.pages -= 1
        if not place.pages:
            loop = asyncio.get_running_loop()
            place.leaving = loop.call_later(AWAY, self._left, place, origin)

    def _left(self, place: Place, origin: audit.Origin) -> None:
        del self._places[origin.user_id]
        if place.is_told and self._terminal.ending is None:
            self._do(tried(self._off(terminals.left, self._terminal.record, origin)))
