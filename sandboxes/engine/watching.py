"""The two endless answers: events of our containers, and one container's statistics.

Whoever reads them is asked once a second whether they still want to.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

from .base import LABEL_INSTALL, ContainerStatus, EngineEvent, NotFound, StatsSample, Unreachable
from .chunks import JsonLines
from .connection import CALL, Connection
from .health import Health
from .stats import StatsReader, blocks, on_its_way
from .translate import event, refusal, state
from .wire import Wire, Wires

Stop = Callable[[], bool]
Raw = dict[str, Any]
_ALIVE = (ContainerStatus.RUNNING, ContainerStatus.PAUSED)
_TICK = 1.0
_SILENCE = 30.0
"""Seconds without a sample. Usually it is one; but an engine collects them one container after the
other, and one that is slow to end holds up all."""


class Watching:
    """The part of the Engine that watches."""

    connection: Connection
    health: Health
    wires: Wires
    install: str

    def events(self, since: float, stop: Stop) -> Iterator[EngineEvent]:
        filters = {"type": ["container"], "label": [f"{LABEL_INSTALL}={self.install}"]}
        query = {"since": str(int(since)), "filters": json.dumps(filters)}
        with closing(self._open("/events", query)) as wire:
            for raw in self._lines(wire, stop):
                found = event(raw) if raw else None
                if found:
                    self._help_to_end(found)
                    yield found
        if not stop():
            raise Unreachable("The engine ended its event stream.")

    def stats(self, native_id: str, stop: Stop) -> Iterator[StatsSample]:
        reader = StatsReader()
        with closing(self._open(f"/containers/{native_id}/stats", {"stream": "1"})) as wire:
            for raw in self._lines(wire, stop, silence=_SILENCE):
                sample = reader.read(raw) if raw else None
                if sample:
                    yield sample
                elif raw and not self._runs(native_id):
                    return

    def written(self, native_id: str) -> int:
        raw = self._reading(native_id)
        return (blocks(raw)[1] or 0) + on_its_way(raw.get("memory_stats") or {})

    def _reading(self, native_id: str) -> Raw:
        """At once (one-shot): the engine's usual answer waits a second or two for a second reading."""
        with self.connection.control(reading=True) as api:
            return dict(api.stats(native_id, stream=False, one_shot=True))

    def cpu_time(self, native_id: str) -> float:
        raw = self._reading(native_id)
        return float(((raw.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage") or 0) / 1e9

    def _help_to_end(self, seen: EngineEvent) -> None:
        """Another process ends this container: our unread connections must not delay it."""
        fatal = seen.action == "kill" and seen.attributes.get("signal") in ("9", "15")
        wires = self.wires.of(seen.native_id) if fatal else []
        if wires:
            timer = threading.Timer(1, self._cut_if_it_runs, [seen.native_id, wires])
            timer.daemon = True
            timer.start()

    def _cut_if_it_runs(self, native_id: str, wires: list[Wire]) -> None:
        """Cut those of before only: by now it may have been started again, with new ones."""
        with suppress(Unreachable):
            if self._runs(native_id):
                for wire in wires:
                    wire.shutdown()

    def _open(self, path: str, query: dict[str, str]) -> Wire:
        """Begin an endless answer and take over its connection."""
        with self.connection.streams(CALL) as api:
            url = f"{api.base_url}/v{api.api_version}{path}"
            response = api.get(url, params=query, stream=True)
            if response.status_code >= 400:
                with closing(response):
                    raise _refused(response)
            if "Content-Length" in response.headers:
                with closing(response):
                    raise Unreachable("The engine's answer made no sense.", response.text[:200])
            return Wire(response)

    def _lines(self, wire: Wire, stop: Stop, silence: float = float("inf")) -> Iterator[Raw | None]:
        """The objects as they come, and None once a second. Ends with the stream or ``stop()``.

        Raises TimedOut after ``silence`` seconds without a byte, Unreachable when it breaks off.
        """
        lines, heard = JsonLines(wire.chunked), time.monotonic()
        while not stop() and not lines.ended:
            with self.connection.failing():
                data = _piece(wire, heard + silence)
                found = list(lines.feed(data)) if data else [None]
                if data == b"":
                    raise Unreachable("The connection to the engine broke.", "end of stream")
            if data:
                self.health.note_ok()
                heard = time.monotonic()
            yield from found

    def _runs(self, native_id: str) -> bool:
        try:
            with self.connection.control(reading=True) as api:
                return state(api.inspect_container(native_id)).status in _ALIVE
        except NotFound:
            return False


def _piece(wire: Wire, until: float) -> bytes | None:
    """What arrives within a second, else None. Raises TimeoutError after ``until``."""
    try:
        return wire.recv(_TICK)
    except TimeoutError:
        if time.monotonic() > until:
            raise
        return None


def _refused(response: Any) -> Exception:
    """Our error for an error answer to a stream."""
    kind = response.headers.get("Content-Type", "")
    try:
        text = str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        return refusal(response.status_code, response.text, is_json=False)
    return refusal(response.status_code, text, is_json="json" in kind, reading=True)
