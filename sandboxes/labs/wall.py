"""The live wall: for each lab that somebody looks at, what changed on its tiles, once a second.

A screen is computed once a second for all viewers, and only if its terminal said something. The
database is read when a nudge says so, and every few seconds anyway. On the event loop only.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any, Protocol

from sandboxes.live import hub
from sandboxes.live.registry import registry
from sandboxes.live.series import Series
from sandboxes.live.stats import Rows

from . import screen, tiles
from .models import Lab

log = logging.getLogger(__name__)

TERMINAL = "main"
RELOAD = 2.0
"""Seconds after which the tiles are read again without a nudge: another process may have changed them."""


class Viewer(Protocol):
    """A page that shows a wall."""

    def show_tiles(self, rows: dict[str, dict[str, Any]]) -> None:
        """Take what is new on the tiles, by seat."""
        ...


class Seen:
    """What one terminal showed last, and since when."""

    def __init__(self) -> None:
        self.key: tuple[str, int, tuple[int, int]] = ("", -1, (0, 0))
        self.lines: list[str] = []
        self.active_at: float | None = None

    def look(self, sandbox: str) -> None:
        """Draw it again if it has said something since."""
        live = registry.find((sandbox, TERMINAL))
        if live is None:
            return
        key = (live.shell, live.ring.head, live.size)
        if key == self.key:
            return
        if self.key[0] == live.shell and self.key[1] != live.ring.head:
            self.active_at = time.time()
        self.key = key
        start = max(live.ring.start, live.ring.head - screen.BYTES)
        data = live.ring.read(start, screen.BYTES)
        self.lines = screen.last_lines(data, live.size, start > 0)


class Wall:
    """One lab's wall and its viewers. It watches numbers like a list page does."""

    def __init__(self, lab: str) -> None:
        self.lab = lab
        self.viewers: set[Viewer] = set()
        self.tiles: dict[str, tiles.Tile] = {}
        self.numbers: dict[str, tuple[float | None, int | None]] = {}
        self.seen: dict[str, Seen] = {}
        self.sent: dict[str, dict[str, Any]] = {}
        self._read_at = 0.0
        self._is_reading = False

    def stale(self) -> None:
        """Something changed: read the tiles in the next round."""
        self._read_at = 0.0

    def show(self, rows: Rows, series: Mapping[str, Series]) -> None:
        """New numbers from the engine; see live.stats.Watcher."""
        for pk, sample in rows.items():
            self.numbers[pk] = (sample.cpu, sample.memory) if sample else (None, None)

    def round(self) -> None:
        """Send each viewer the tiles that changed; read them again where that is due."""
        fresh = {seat: self._row(tile) for seat, tile in self.tiles.items()}
        changed = {seat: row for seat, row in fresh.items() if self.sent.get(seat) != row}
        self.sent = fresh
        if changed:
            for viewer in list(self.viewers):
                viewer.show_tiles(changed)
        if time.monotonic() - self._read_at > RELOAD and not self._is_reading:
            self._is_reading = True
            hub.current().do(self._read())

    def _row(self, tile: tiles.Tile) -> dict[str, Any]:
        seen = self.seen.setdefault(tile.sandbox, Seen())
        seen.look(tile.sandbox)
        cpu, memory = self.numbers.get(tile.sandbox, (None, None))
        percent = None if cpu is None else round(100 * cpu)
        megabytes = None if memory is None else round(memory / 1e6)
        active = max((one for one in (seen.active_at, tile.active_at) if one), default=None)
        return tile.as_json() | {
            "lines": seen.lines, "cpu": percent, "memory": megabytes,
            "active": active and round(active),
        }  # fmt: skip

    async def _read(self) -> None:
        here = hub.current()
        self._read_at = time.monotonic()
        try:
            self.tiles, facts = await here.read(read, self.lab)
        finally:
            self._is_reading = False
        if self.viewers:
            here.stats.watch(self, facts)
        boxes = {tile.sandbox for tile in self.tiles.values()}
        self.seen = {pk: one for pk, one in self.seen.items() if pk in boxes}
        self.numbers = {pk: one for pk, one in self.numbers.items() if pk in boxes}


def read(lab_id: str) -> Any:
    """Tiles and facts of a lab. Blocking."""
    lab = Lab.objects.select_related("version").defer("version__files").filter(pk=lab_id).first()
    return tiles.with_facts(lab) if lab else ({}, {})


_walls: dict[str, Wall] = {}


def join(lab: str, viewer: Viewer) -> Wall:
    """Begin to look: everything there is comes with the first round."""
    wall = _walls.setdefault(lab, Wall(lab))
    wall.viewers.add(viewer)
    if wall.sent:
        viewer.show_tiles(wall.sent)
    wall.stale()
    return wall


def leave(lab: str, viewer: Viewer) -> None:
    """Nobody looks any more, or one less."""
    wall = _walls.get(lab)
    if wall is None:
        return
    wall.viewers.discard(viewer)
    if not wall.viewers:
        del _walls[lab]
        here = hub.running()
        if here is not None:
            here.stats.forget(wall)


def screens(lab: Lab) -> dict[str, list[str]]:
    """The screens of a lab's seats by sandbox, for a page; from any thread, empty where that takes long."""
    here = hub.running()
    if here is None:
        return {}
    boxes = [pk for pk in lab.seats.values_list("sandbox_id", flat=True) if pk]
    try:
        return asyncio.run_coroutine_threadsafe(_screens(boxes), here.loop).result(1.0)
    except Exception as error:
        log.debug("No screens for the page: %s", error)
        return {}


async def _screens(boxes: list[str]) -> dict[str, list[str]]:
    found = {}
    for pk in boxes:
        seen = Seen()
        seen.look(pk)
        found[pk] = seen.lines
    return found


def _round() -> None:
    for wall in list(_walls.values()):
        wall.round()


hub.each_second(_round)
