"""Numbers for whoever watches: one stream of the engine for each watched container, none without viewers.

Once a second all that is new goes out, at most one frame a viewer. Streams end a few seconds after
their last viewer has gone, so that a reload does not begin anew.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol

from sandboxes.engine.base import Engine
from sandboxes.models import Sandbox, Status

from .series import FIRST, LONGEST, Facts, Reader, Sample, Series

log = logging.getLogger(__name__)

LINGER = 5.0
"""Seconds for which a stream outlives its last viewer."""
MOST = 512
"""Streams at a time; the sandboxes beyond show no numbers."""

Rows = dict[str, Sample | None]
LookUp = Callable[[Collection[str]], Awaitable[dict[str, Facts]]]


class Watcher(Protocol):
    """A socket that shows numbers."""

    def show(self, rows: Rows, series: Mapping[str, Series]) -> None:
        """Take what is new: the last sample of each sandbox, None for one that does not run."""
        ...


def facts_of(sandbox: Sandbox) -> Facts:
    """What its record says."""
    is_up = bool(sandbox.native_id) and sandbox.status == Status.RUNNING
    return Facts(sandbox.native_id, is_up, float(sandbox.cpus), sandbox.memory, sandbox.pids)


def facts(ids: Collection[str]) -> dict[str, Facts]:
    """What the database says of these sandboxes. Blocking: one query."""
    rows = Sandbox.objects.filter(pk__in=ids).only("native_id", "status", "cpus", "memory", "pids")
    return {row.pk: facts_of(row) for row in rows}


class Stats:
    """All watched sandboxes of this process. For the event loop's thread."""

    def __init__(self, engine: Callable[[], Engine], look_up: LookUp) -> None:
        self._engine, self._look_up = engine, look_up
        self.series: dict[str, Series] = {}
        self._watchers: dict[Watcher, set[str]] = {}
        self._new: dict[Watcher, set[str]] = {}
        self._stale: set[str] = set()
        self._rested: set[str] = set()

    def watch(self, watcher: Watcher, wanted: Mapping[str, Facts]) -> None:
        """Show these sandboxes to this watcher, in place of those before."""
        before = self._watchers.get(watcher, set())
        self._watchers[watcher] = set(wanted)
        self._new[watcher] = set(wanted) - before
        for pk, known in wanted.items():
            series = self.series.setdefault(pk, Series(known))
            series.idle_since = None
            self._settle(pk, known)

    def forget(self, watcher: Watcher) -> None:
        """This watcher has gone."""
        self._watchers.pop(watcher, None)
        self._new.pop(watcher, None)

    def changed(self, sandbox_id: str) -> None:
        """Its record changed: look whether there is still, or again, something to read."""
        if sandbox_id in self.series:
            self._stale.add(sandbox_id)

    def hurry(self) -> None:
        """The engine is back: try again what broke."""
        for series in self.series.values():
            series.pause, series.next_try = FIRST, 0.0

    @property
    def open(self) -> int:
        """Streams under way."""
        return sum(series.reader is not None for series in self.series.values())

    async def round(self) -> None:
        """Once a second: 1. begin and end what is due  2. take what came and show it  3. end what is idle."""
        stale, self._stale = self._stale, set()
        if stale:
            known = await self._look_up(stale)
            for pk in stale & self.series.keys():
                self._settle(pk, known.get(pk))
        self._show(self._collect())
        self._end_idle()

    def stop(self) -> None:
        for series in self.series.values():
            self._stop(series)
        self.series.clear()

    # -- inside -----------------------------------------------------------------------------------

    def _collect(self) -> Rows:
        changed: Rows = dict.fromkeys(self._rested & self.series.keys())
        self._rested.clear()
        for pk, series in self.series.items():
            reader = series.reader
            if reader is None:
                continue
            is_over = not reader.is_alive()
            if fresh := reader.take():
                series.samples.extend(fresh)
                series.pause = FIRST
                changed[pk] = fresh[-1]
            if is_over:
                self._stale.add(pk)
                if self._ended(series, reader):
                    changed[pk] = None
        return changed

    def _ended(self, series: Series, reader: Reader) -> bool:
        """It ended by itself: whether it should go on, the database says; not at once, and ever slower.

        True when that is news to its viewers.
        """
        series.reader = None
        series.next_try = time.monotonic() + (LONGEST if reader.is_gone else series.pause)
        series.pause = min(2 * series.pause, LONGEST)
        return series.rest()

    def _show(self, changed: Rows) -> None:
        for watcher, ids in self._watchers.items():
            new = self._new.get(watcher, set())
            rows: Rows = {pk: changed[pk] for pk in ids & changed.keys()}
            rows |= {pk: self.series[pk].latest for pk in new - rows.keys() if pk in self.series}
            self._new[watcher] = set()
            if rows:
                watcher.show(rows, self.series)

    def _end_idle(self) -> None:
        now, watched = time.monotonic(), {pk for ids in self._watchers.values() for pk in ids}
        for pk, series in list(self.series.items()):
            if pk in watched:
                series.idle_since = None
            elif series.idle_since is None:
                series.idle_since = now
            elif now - series.idle_since >= LINGER:
                self._stop(series)
                del self.series[pk]

    def _settle(self, pk: str, known: Facts | None) -> None:
        """Read or do not read, as the database has it."""
        series = self.series[pk]
        if known is not None:
            series.facts = known
        if known is None or not known.is_up:
            self._rest(pk, series)
        elif series.reader is None or series.reader.container != known.native_id:
            self._begin(pk, series)

    def _rest(self, pk: str, series: Series) -> None:
        if series.reader is None:
            return
        self._stop(series)
        if series.rest():
            self._rested.add(pk)

    def _begin(self, pk: str, series: Series) -> None:
        if time.monotonic() < series.next_try:
            self._stale.add(pk)  # asked again in the next round
            return
        self._stop(series)
        if self.open >= MOST:
            log.warning("More than %d sandboxes are watched; the others show no numbers.", MOST)
            return
        series.reader = Reader(self._engine, series.facts.native_id)
        series.reader.start()

    @staticmethod
    def _stop(series: Series) -> None:
        if series.reader is not None:
            series.reader.stop()
            series.reader = None
