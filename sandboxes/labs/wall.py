"""The live wall: for each lab that somebody looks at, what changed on its tiles, once a second.

A screen is computed once a second for all viewers, and only if its terminal said something; of a seat's
terminals the one typed in last is shown, and another only once that is quiet. The database is read when a
nudge says so, and every few seconds anyway. Each viewer gets one frame a second at most. On the event loop
only.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sandboxes.live import hub
from sandboxes.live.registry import registry
from sandboxes.live.series import Series
from sandboxes.live.stats import Rows
from sandboxes.live.terminal import LiveTerminal

from . import screen, tiles
from .models import Lab

log = logging.getLogger(__name__)

Shells = Mapping[str, Sequence[LiveTerminal]]
"""The open shells of this process by sandbox."""
RELOAD = 2.0
"""Seconds after which the tiles are read again without a nudge: another process may have changed them."""


QUIET = 5.0
"""Seconds without a word after which a tile leaves a terminal for another that speaks."""


class Viewer(Protocol):
    """A page that shows a wall."""

    def show_tiles(self, rows: dict[str, dict[str, Any]], hands: int, lab: str) -> None:
        """Take what is new on the tiles, by seat, a number that changes with the raised hands, and where
        the lab is (see state_of)."""
        ...


class Seen:
    """What one seat's tile showed last: of which of its terminals, and since when."""

    def __init__(self) -> None:
        self.key: tuple[str, int, tuple[int, int]] = ("", -1, (0, 0))
        self.lines: list[str] = []
        self.active_at: float | None = None
        self.shell = ""
        self.typed_at = 0.0
        """When somebody had typed in any of them, as of the last look."""

    def look(self, shells: Sequence[LiveTerminal]) -> None:
        """Draw the one that is shown, if it is another or has said something since."""
        if not shells:
            return
        live = self._pick(shells)
        self.active_at = max(one.ring.added_at for one in shells) or self.active_at
        key = (live.shell, live.ring.head, live.size)
        if key == self.key:
            return
        self.key = key
        start = max(live.ring.start, live.ring.head - screen.BYTES)
        data = live.ring.read(start, screen.BYTES)
        self.lines = screen.last_lines(data, live.size, start > 0)

    def _pick(self, shells: Sequence[LiveTerminal]) -> LiveTerminal:
        """The one typed in last, else the oldest. It stays while it speaks, or none does."""
        lately = time.time() - QUIET
        speak = [one for one in shells if max(one.ring.added_at, one.typed_at) > lately]
        now = next((one for one in shells if one.shell == self.shell), None)
        typed = max(shells, key=lambda one: one.typed_at)
        if now is not None and typed.typed_at > self.typed_at:
            now = typed
        elif now is None or (speak and now not in speak):
            spoke_last = max(shells, key=lambda one: one.ring.added_at)
            now = max(speak, key=lambda one: one.typed_at) if speak else spoke_last
        self.shell, self.typed_at = now.shell, typed.typed_at
        return now


class Wall:
    """One lab's wall and its viewers. It watches numbers like a list page does."""

    def __init__(self, lab: str) -> None:
        self.lab = lab
        self.viewers: set[Viewer] = set()
        self.tiles: dict[str, tiles.Tile] = {}
        self.numbers: dict[str, tuple[float | None, int | None]] = {}
        self.seen: dict[str, Seen] = {}
        self.sent: dict[str, dict[str, Any]] = {}
        self.hands = 0
        """How often the raised hands have changed since it was first looked at."""
        self.state = ""
        self._hands: list[tuple[Any, ...]] = []
        self._told = (0, "")
        self._may_send = False
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
        """Once a second: read the tiles where that is due, and send each viewer those that changed."""
        self._may_send = True
        if time.monotonic() - self._read_at > RELOAD and not self._is_reading:
            self._is_reading = True
            hub.current().do(self._read())
        else:
            self._send()

    def _send(self) -> None:
        """Once a round at most, whoever calls."""
        if not self._may_send:
            return
        self._may_send = False
        shells = _shells()
        fresh = {seat: self._row(tile, shells) for seat, tile in self.tiles.items()}
        changed = {seat: row for seat, row in fresh.items() if self.sent.get(seat) != row}
        told = (self.hands, self.state)
        if changed or self._told != told:
            for viewer in list(self.viewers):
                viewer.show_tiles(changed, *told)
        self.sent, self._told = fresh, told

    def _row(self, tile: tiles.Tile, shells: Shells) -> dict[str, Any]:
        seen = self.seen.setdefault(tile.sandbox, Seen())
        seen.look(shells.get(tile.sandbox, ()))
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
            self.state, self.tiles, facts = await here.read(read, self.lab)
        finally:
            self._is_reading = False
        if self.viewers:
            here.stats.watch(self, facts)
        self._note_hands()
        boxes = {tile.sandbox for tile in self.tiles.values()}
        self.seen = {pk: one for pk, one in self.seen.items() if pk in boxes}
        self.numbers = {pk: one for pk, one in self.numbers.items() if pk in boxes}
        self._send()

    def _note_hands(self) -> None:
        up = [
            (one.seat, one.hand_at, one.hand_text, one.hand_by) for one in self.tiles.values() if one.hand_at
        ]
        if up != self._hands:
            self._hands, self.hands = up, self.hands + 1


def _shells() -> Shells:
    found: defaultdict[str, list[LiveTerminal]] = defaultdict(list)
    for sandbox, live in registry.up():
        found[sandbox].append(live)
    return found


def read(lab_id: str) -> Any:
    """Where a lab is, its tiles and facts. Blocking."""
    lab = Lab.objects.select_related("version").defer("version__files").filter(pk=lab_id).first()
    return (state_of(lab), *tiles.with_facts(lab)) if lab else ("", {}, {})


def state_of(lab: Lab) -> str:
    """Its status and its end: where they are others, a page fetches what it says and offers anew."""
    return f"{lab.status} {lab.closes_at.timestamp():.0f}"


_walls: dict[str, Wall] = {}


def join(lab: str, viewer: Viewer) -> Wall:
    """Begin to look: everything there is comes with the first round."""
    wall = _walls.setdefault(lab, Wall(lab))
    wall.viewers.add(viewer)
    if wall.sent:
        viewer.show_tiles(wall.sent, wall.hands, wall.state)
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
        return asyncio.run_coroutine_threadsafe(_screens(lab.pk, boxes), here.loop).result(1.0)
    except Exception as error:
        log.debug("No screens for the page: %s", error)
        return {}


async def _screens(lab: str, boxes: list[str]) -> dict[str, list[str]]:
    """As the wall shows them to whoever looks at it already."""
    found, shells = {}, _shells()
    known = _walls[lab].seen if lab in _walls else {}
    for pk in boxes:
        seen = known.get(pk) or Seen()
        seen.look(shells.get(pk, ()))
        found[pk] = seen.lines
    return found


def _round() -> None:
    for wall in list(_walls.values()):
        wall.round()


hub.each_second(_round)
