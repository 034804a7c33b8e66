"""One viewer of a terminal: a cursor into its ring, a credit, and a way to send."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from .ring import Ring

WINDOW = 512 * 1024
"""Bytes that may be on the way to one viewer unacknowledged."""
RESUME = 128 * 1024
"""A viewer that was stopped gets more once fewer than this are unacknowledged."""
FRAME = 128 * 1024


class Viewer:
    """Sends what the ring has beyond its cursor, as far as its credit goes.

    ``name`` tells people apart, ``shown`` is what the others read. ``answers``: a program's questions
    may be answered by its page; the owner's may, others' once they have typed.
    ``send_bytes`` and ``send_json`` write to its socket. A slow one never stops anybody else: it
    falls behind, and is told of the gap when what it misses is no longer kept.
    """

    def __init__(
        self,
        name: str,
        send_bytes: Callable[[bytes], Awaitable[None]],
        send_json: Callable[[dict[str, Any]], Awaitable[None]],
        cols: int,
        rows: int,
        only_watches: bool = False,
        shown: str = "",
        is_owner: bool = True,
    ) -> None:
        self.name, self.shown = name, shown or name
        self.only_watches = only_watches
        self.is_owner = self.answers = is_owner
        self.send_bytes, self.send_json = send_bytes, send_json
        self.cols, self.rows = cols, rows
        self.sent = self.acked = 0
        self._stopped = False
        self._held = False
        self._sending: asyncio.Task[None] | None = None

    def place(self, offset: int) -> None:
        """Begin at this byte."""
        self.sent = self.acked = offset

    def acknowledge(self, offset: int) -> None:
        """It has drawn everything up to ``offset``; nobody has drawn what was not sent: that is ignored."""
        if offset <= self.sent:
            self.acked = max(self.acked, offset)
        if self.sent - self.acked < RESUME:
            self._stopped = False

    def hold(self) -> None:
        """Send no bytes for now."""
        self._held = True

    def release(self) -> None:
        """Bytes may be sent again."""
        self._held = False

    def stop(self) -> None:
        """It has left: nothing more is sent to it."""
        self._held = True
        if self._sending is not None:
            self._sending.cancel()

    @property
    def has_credit(self) -> bool:
        if self.sent - self.acked >= WINDOW:
            self._stopped = True
        return not self._stopped

    def flush(self, ring: Ring) -> None:
        """Send what there is, without a turn of the loop when the socket takes it at once."""
        if self._held or self._sending is not None or self.sent == ring.head or not self.has_credit:
            return
        task = asyncio.Task(self._send(ring), loop=asyncio.get_running_loop(), eager_start=True)
        if task.done():
            self._sent(task)
        else:
            self._sending = task
            task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending = None
        if not task.cancelled():
            task.exception()  # a socket that broke: its consumer's disconnect follows

    async def _send(self, ring: Ring) -> None:
        while self.sent < ring.head and self.has_credit:
            if self.sent < ring.start:
                lost, self.sent = self.sent, ring.start
                self.acked = max(self.acked, ring.start)
                await self.send_json({"type": "gap", "from": lost, "to": ring.start})
            data = ring.read(self.sent, FRAME)
            self.sent += len(data)
            await self.send_bytes(data)


class Viewers(list[Viewer]):
    """Everybody who looks at one shell, whoever typed last first; ``do`` has a coroutine run by itself."""

    def __init__(self, do: Callable[[Awaitable[None]], Any]) -> None:
        super().__init__()
        self._do = do
        self.beside: Callable[[], list[Viewers]] = list
        """Who looks at the other shells of the same sandbox; its registry knows them."""

    def tell(self, message: dict[str, Any], but: Viewer | None = None) -> None:
        """Send one message to every viewer, soon; none waits for another."""
        for viewer in list(self):
            if viewer is not but:
                self._do(viewer.send_json(message))

    def tell_who(self, but: Viewer | None = None) -> None:
        """Tell each who is here."""
        for viewer in list(self):
            if viewer is not but:
                self._do(viewer.send_json({"type": "viewers", "count": len(self)} | self.part_of(viewer)))

    def tell_beside(self) -> None:
        """Who looks here is news at the sandbox's other shells too."""
        for others in self.beside():
            others.tell_who()

    def part_of(self, viewer: Viewer) -> dict[str, Any]:
        """What it is among all of them; ``others`` names who looks at any shell of the sandbox.

        Who leads answers a program's questions; nobody does who only looks on, or a program could type
        with the hands of whoever comes to see it.
        """
        leader = next((one for one in self if one.answers and not one.only_watches), None)
        around = [one for viewers in (self, *self.beside()) for one in viewers]
        others = sorted({one.shown for one in around if one.name != viewer.name})
        return {"leader": viewer is leader, "answers": viewer.answers, "others": others}
