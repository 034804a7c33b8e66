"""The terminals of this process by sandbox and name; opening one twice opens it once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from .terminal import LiveTerminal

Key = tuple[str, str]
"""Sandbox id and terminal name."""
PATIENCE = 5.0
"""Seconds for which a new terminal waits until its predecessor's end is written down."""


class Registry:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._open: dict[Key, asyncio.Task[LiveTerminal]] = {}
        self._watchers: set[asyncio.Task[None]] = set()

    async def get(self, key: Key, make: Callable[[], Awaitable[LiveTerminal]]) -> LiveTerminal:
        """The terminal of that name, made by ``make`` when there is none. Raises what ``make`` raises.

        The making is not undone when the first who asked goes away: a second may be waiting.
        """
        task = self._open.get(key)
        if task is None or _is_over(task):
            task = self._open[key] = asyncio.ensure_future(self._make(key[0], task, make))
            watcher = asyncio.ensure_future(self._watch(key, task))
            self._watchers.add(watcher)
            watcher.add_done_callback(self._watchers.discard)
        return await asyncio.shield(task)

    async def _make(
        self,
        sandbox_id: str,
        before: asyncio.Task[LiveTerminal] | None,
        make: Callable[[], Awaitable[LiveTerminal]],
    ) -> LiveTerminal:
        await _gone(before)
        made = await make()
        made.viewers.beside = lambda: [one.viewers for one in self.of(sandbox_id) if one is not made]
        return made

    async def _watch(self, key: Key, task: asyncio.Task[LiveTerminal]) -> None:
        """Forget it once it is over and on record, and tell the sandbox's other terminals of both."""
        try:
            terminal = await task
            self._tell_names(key[0])
            await terminal.over.wait()
            self._tell_names(key[0])
            await terminal.recorded.wait()
        except Exception:
            pass  # whoever asked has it
        if self._open.get(key) is task:
            del self._open[key]

    def _tell_names(self, sandbox_id: str) -> None:
        self.tell(sandbox_id, {"type": "terminals", "names": self.names(sandbox_id)})

    def names(self, sandbox_id: str) -> list[str]:
        """The open terminals of a sandbox, in the order in which they were opened."""
        return [
            name for (sandbox, name), task in self._open.items() if sandbox == sandbox_id and _is_up(task)
        ]

    def of(self, sandbox_id: str) -> list[LiveTerminal]:
        found = (task for (sandbox, _), task in self._open.items() if sandbox == sandbox_id)
        return [task.result() for task in found if _is_up(task)]

    def up(self) -> list[tuple[str, LiveTerminal]]:
        """All open terminals, each with its sandbox's id."""
        return [(sandbox, task.result()) for (sandbox, _), task in self._open.items() if _is_up(task)]

    def find(self, key: Key) -> LiveTerminal | None:
        """The terminal of that name if it is open: for who only looks."""
        task = self._open.get(key)
        return task.result() if task is not None and _is_up(task) else None

    def tell(self, sandbox_id: str, message: dict[str, Any]) -> None:
        """Send a message to every viewer of every terminal of a sandbox."""
        for terminal in self.of(sandbox_id):
            terminal.tell(message)


async def _gone(before: asyncio.Task[LiveTerminal] | None) -> None:
    """Wait until the one before of that name is off the record."""
    if before is not None and not before.cancelled() and before.exception() is None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(before.result().recorded.wait(), PATIENCE)


def _is_over(task: asyncio.Task[LiveTerminal]) -> bool:
    return task.done() and not _is_up(task)


def _is_up(task: asyncio.Task[LiveTerminal]) -> bool:
    if not task.done() or task.cancelled() or task.exception() is not None:
        return False
    return task.result().ending is None


registry = Registry()
