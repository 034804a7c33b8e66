"""Small tools the engine tests share: a maker of sandboxes, and ways to run, collect and race."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from sandboxes.engine.base import ContainerSpec, EngineEvent
from tests.fakes.engine import STARTER

INSTALL = f"test-{secrets.token_hex(4)}"
MIB = 1 << 20


@dataclass
class Sandboxes:
    """Makes containers on one engine and removes them when the test is over."""

    engine: Any
    made: list[str]

    def spec(self, **changes: Any) -> ContainerSpec:
        """A spec with small limits and an id of its own."""
        fresh = ContainerSpec(f"sb_{secrets.token_hex(5)}", STARTER, 64 * MIB, 0.5, 64)
        return replace(fresh, **changes)

    def created(self, spec: ContainerSpec | None = None, **changes: Any) -> str:
        native_id: str = self.engine.create(spec or self.spec(**changes))
        self.made.append(native_id)
        return native_id

    def running(self, **changes: Any) -> str:
        native_id = self.created(**changes)
        self.engine.start(native_id)
        return native_id

    def clear(self) -> None:
        for native_id in self.made:
            self.engine.remove(native_id)


def run(engine: Any, native_id: str, *argv: str, **options: Any) -> tuple[bytes, bytes, int | None]:
    """An exec to its end: stdout, stderr, exit code."""
    with closing(engine.exec(native_id, argv, **options)) as stream:
        parts: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
        for name, data in stream:
            parts[name].append(data)
        return b"".join(parts["stdout"]), b"".join(parts["stderr"]), stream.exit_code()


def collect(
    engine: Any, since: float, enough: Callable[[list[EngineEvent]], bool], seconds: float = 10
) -> list[EngineEvent]:
    """Events from ``since`` on until there are enough (or the time is over)."""
    found: list[EngineEvent] = []
    end = time.monotonic() + seconds
    events = engine.events(since, lambda: enough(found) or time.monotonic() > end)
    with closing(events):
        for event in events:
            found.append(event)
            if enough(found):
                break
    return found


def together(count: int, work: Callable[[], Any]) -> list[Any]:
    """What ``count`` threads get that do ``work`` at the same moment; errors are results."""
    gate = threading.Barrier(count)

    def one(_: int) -> Any:
        gate.wait()
        try:
            return work()
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


async def read_until(terminal: Any, wanted: bytes, seconds: float = 20) -> bytes:
    """Read a terminal until ``wanted`` has appeared or it has ended."""
    seen = b""
    async with asyncio.timeout(seconds):
        while wanted not in seen:
            data = await terminal.read()
            if not data:
                break
            seen += data
    return seen
