"""One viewer's socket to one terminal: bytes both ways, control as JSON (docs/reference/websockets.md)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeGuard
from urllib.parse import parse_qs

from channels.consumer import get_handler_name
from channels.db import database_sync_to_async
from channels.exceptions import StopConsumer
from django.conf import settings
from django.db import DatabaseError

from sandboxes import access
from sandboxes.engine.base import Conflict, EngineError, EngineEvent, NotFound
from sandboxes.lifecycle import terminals
from sandboxes.lifecycle.refusals import Refused
from sandboxes.live import hub
from sandboxes.live.ending import Ending
from sandboxes.live.registry import registry
from sandboxes.live.terminal import LiveTerminal, TooMuch
from sandboxes.live.viewers import Viewer
from sandboxes.models import Sandbox, Status

from .base import SocketConsumer
from .presence import Presence
from .shells import off, open_shell

log = logging.getLogger(__name__)

INPUT_FRAME = 64 * 1024
LARGEST = 500
UNRECORDED = "This cannot be put on record just now, so it is not done. Try again in a moment."
CROWDED = "As many look at this terminal as may ({}). Try again when somebody has left."
UNOPENED = "Nobody has opened this terminal yet; it shows here as soon as somebody has."


class TerminalConsumer(SocketConsumer):
    """A viewer. Everything shared by viewers is live.terminal's."""

    rate, burst = 600.0, 1200.0  # every 64 KiB of output is acknowledged
    terminal: LiveTerminal | None = None
    viewer: Viewer | None = None
    presence: Presence | None = None
    may_type = False
    has_typed = False
    """Whether it is on record that its person types here."""

    @property
    def is_theirs(self) -> bool:
        """Whether its person owns the sandbox."""
        return self.sandbox is not None and self.sandbox.owner_id == self.user.pk

    async def serve(self, scope: Any, receive: Any, send: Any) -> None:
        """As Channels does it, without what a keystroke does not need.

        Its own way hands every message to a second task, waits for a channel layer too, and looks
        after database connections in a thread: half of an echo's time, and none of it is used here.
        """
        self.scope, self.base_send = scope, send
        with contextlib.suppress(StopConsumer):
            while True:
                message = await receive()
                await getattr(self, get_handler_name(message))(message)

    async def opened(self, sandbox: Sandbox | None) -> None:
        """The socket is accepted and the sandbox is one this user may see: find or open the shell."""
        assert sandbox is not None
        name = self.scope["url_route"]["kwargs"]["name"]
        cols, rows = self._wish("cols", 80), self._wish("rows", 24)
        self.may_type = await database_sync_to_async(access.can)(self.user, sandbox, access.TYPE)
        if name not in registry.names(sandbox.pk) and not self.may_type:
            return await self.goodbye(UNOPENED, "unopened", 4409)
        shown = await database_sync_to_async(access.name_of)(self.user, sandbox)
        try:
            terminal = await registry.get(
                (sandbox.pk, name), lambda: open_shell(sandbox, name, self.origin(), cols, rows)
            )
            self._find_room(terminal)
            await self._come(terminal)
            self._find_room(terminal)  # others came meanwhile
        except (Refused, EngineError, DatabaseError) as error:
            return await self._refuse(error)
        await self._attach(terminal, cols, rows, shown)
        if sandbox.status == Status.PAUSED:
            await self.send_json({"type": "paused"})
        return None

    def _find_room(self, terminal: LiveTerminal) -> None:
        """Raises Refused where enough look on already; its owner's pages are bounded by their sockets."""
        most = settings.SANDBOX_TERMINAL_VIEWERS
        if most and not self.is_theirs and len(terminal.viewers) >= most:
            raise Refused("name", CROWDED.format(most))

    async def _come(self, terminal: LiveTerminal) -> None:
        """On record before anything is seen."""
        presence: Presence = terminal.presence
        await presence.come(self.origin(), self.may_type)
        self.presence = presence

    async def _attach(self, terminal: LiveTerminal, cols: int, rows: int, shown: str) -> None:
        user, self.terminal = self.user.get_username(), terminal
        self.viewer = Viewer(
            user, self._send_bytes, self.send_json, cols, rows, not self.may_type, shown, self.is_theirs
        )
        self._ending = asyncio.ensure_future(self._close_when_over(terminal))
        await terminal.attach(self.viewer, self._number("offset"), self._query("shell"))
        if self.entry is not None:
            self.entry.may_type = self.may_type  # kept true by the guard from here on
        if not self.may_type:
            await self.send_json({"type": "rights", "may_type": False})
        if recorded := terminal.recording.greeting(self.user):
            await self.send_json(recorded)
        names = registry.names(self.scope["url_route"]["kwargs"]["sandbox_id"])
        await self.send_json({"type": "terminals", "names": names})

    async def let_type(self, may: bool) -> None:
        """The rule that holds changed; who only watches does not shape the window either."""
        self.may_type, self.has_typed = may, self.has_typed and may
        if self.entry is not None:
            self.entry.may_type = may
        if self.terminal is not None and self.viewer is not None:
            self.terminal.let_type(self.viewer, may)
        await self._send_safely({"type": "rights", "may_type": may})

    async def _close_when_over(self, terminal: LiveTerminal) -> None:
        await terminal.over.wait()
        await self._close_safely(1000)

    async def _send_bytes(self, data: bytes) -> None:
        await self.send(bytes_data=data)

    async def _refuse(self, error: Refused | EngineError | DatabaseError) -> None:
        if isinstance(error, DatabaseError):
            log.error("A terminal could not be put on record", exc_info=error)
            return await self.goodbye(UNRECORDED, "unreachable", 4503)
        if isinstance(error, Refused):
            code, close = {"name": ("too_many", 4429), "busy": ("busy", 4409)}.get(
                error.field, ("not_running", 4409)
            )
            return await self.goodbye(error.message, "paused" if error.offer == "resume" else code, close)
        if isinstance(error, Conflict):
            return await self.goodbye(str(error), "not_running", 4409)
        if isinstance(error, NotFound):
            return await self.goodbye("Its container is gone.", "not_running", 4409)
        return await self.goodbye(str(error), "unreachable", 4503)

    async def closed(self) -> None:
        """The socket is gone; the shell stays for a while."""
        if self.presence is not None:
            self.presence.go(self.origin())
        if self.terminal is not None and self.viewer is not None:
            self._ending.cancel()
            self.terminal.detach(self.viewer, self.is_sent_away)

    # -- what the viewer sends --------------------------------------------------------------------

    async def got_bytes(self, data: bytes) -> None:
        """Typed bytes."""
        terminal, viewer = self.terminal, self.viewer
        if terminal is None or viewer is None or terminal.ending is not None:
            return
        if not self.may_type:
            return await self.error("not_allowed", "You may watch this terminal, not type in it.")
        if len(data) > INPUT_FRAME:
            return await self.error("too_big", "A frame of input may have 64 KiB.")
        if not await self._take_over(terminal):
            return await self.send_json({"type": "error", "code": "not_recorded", "message": UNRECORDED})
        try:
            terminal.type(viewer, data)
        except TooMuch:
            await self.error("too_fast", "The program does not read what is typed; some of it was not sent.")
        return None

    async def _take_over(self, terminal: LiveTerminal) -> bool:
        """Before the first key of somebody who is not the owner: on record, once a socket and a right.

        False when it could not be written: then nothing is typed.
        """
        if not (self.has_typed or self.is_theirs):
            try:
                await off(terminals.taken_over, terminal.record, self.origin())
            except DatabaseError as error:
                log.error("Typing could not be put on record", exc_info=error)
                return False
        self.has_typed = True
        return True

    async def got(self, message: dict[str, Any]) -> None:
        """A control message."""
        act = ACTS.get(message.get("type", ""))
        if act is None:
            return await self.error("bad_type", "The message's type is ack, resize, redraw, record or close.")
        if self.terminal is not None:
            await act(self, message)
        return None

    async def _ack(self, message: dict[str, Any]) -> None:
        offset = message.get("offset")
        if isinstance(offset, int) and self.terminal and self.viewer:
            self.terminal.acknowledge(self.viewer, offset)

    async def _resize(self, message: dict[str, Any]) -> None:
        cols, rows = message.get("cols"), message.get("rows")
        if not _is_size(cols) or not _is_size(rows):
            return await self.error("bad_size", "Columns and rows are whole numbers from 1 to 500.")
        if self.terminal and self.viewer:
            self.terminal.resize(self.viewer, cols, rows)
        return None

    async def _redraw(self, message: dict[str, Any]) -> None:
        if self.terminal:
            self.terminal.redraw()

    async def _close(self, message: dict[str, Any]) -> None:
        if not self.may_type:
            return await self.error("not_allowed", "You may watch this terminal, not close it.")
        if self.terminal:
            name = self.viewer.shown if self.viewer else self.user.get_username()
            self.terminal.end(Ending("closed", f"Closed by {name}.", again=True, by=self.origin()))
        return None

    async def _record(self, message: dict[str, Any]) -> None:
        if self.terminal:
            try:
                on = message.get("on") is True
                await self.terminal.recording.switch(on, self.user, self.origin())
            except Refused as refusal:
                await self.send_json({"type": "error", "code": "not_recorded", "message": refusal.message})
                await self._note("recording.start", refusal, self.sandbox)

    # -- the query string -------------------------------------------------------------------------

    def _query(self, name: str) -> str:
        found = parse_qs(self.scope["query_string"].decode("ascii", "replace")).get(name, [""])
        return found[0]

    def _number(self, name: str) -> int | None:
        with contextlib.suppress(ValueError):
            return max(int(self._query(name)), 0)
        return None

    def _wish(self, name: str, default: int) -> int:
        return min(max(self._number(name) or default, 1), LARGEST)


ACTS: dict[str, Callable[[TerminalConsumer, dict[str, Any]], Awaitable[None]]] = {
    "ack": TerminalConsumer._ack, "resize": TerminalConsumer._resize, "redraw": TerminalConsumer._redraw,
    "record": TerminalConsumer._record, "close": TerminalConsumer._close,
}  # fmt: skip


def _frozen(event: EngineEvent) -> None:
    """Tell a sandbox's terminals that nothing moves in it now, or that it does again."""
    told = {"pause": "paused", "unpause": "resumed"}.get(event.action)
    if told:
        registry.tell(event.sandbox_id, {"type": told})


hub.listen(_frozen)


def _is_size(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST
