"""What every socket has: a known person, bounded input, a polite end, and nothing that piles up.

Text frames are JSON objects with a ``type``. Whatever else arrives is answered by an error frame,
never by an exception. Messages for the page go through an outbox that keeps the latest of a kind.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Collection
from typing import Any

from autobahn.exception import Disconnected
from channels.db import database_sync_to_async
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from sandboxes import access, request_ids
from sandboxes.lifecycle import origins, refusals
from sandboxes.lifecycle.audit import Origin
from sandboxes.lifecycle.refusals import Refused
from sandboxes.live import hub
from sandboxes.live.guard import Entry
from sandboxes.models import Sandbox

Message = dict[str, Any]
TEXT_LIMIT = 64 * 1024
BREATH = 0.1
"""Seconds between two rounds of the outbox."""
LAST_WORD = 0.5
"""Seconds for which a goodbye waits for room on the line."""

BAD_JSON = "That was not a JSON object with a type."
BAD_TYPE = "That is not known here."
TOO_BIG = "That was too big: a text frame holds at most 64 KiB."
TOO_FAST = "That was too much at once; slow down."
TOO_MANY = "You have {} pages and terminals open here already. Close some, then reload this one."
NOT_FOUND = refusals.MISSING.message


class SocketConsumer(AsyncWebsocketConsumer):
    """One socket of a signed-in person. Subclasses override ``opened``, ``closed``, ``got``, ``got_bytes``.

    ``rate`` text frames a second are taken in the long run, ``burst`` at once.
    """

    rate = 200.0
    burst = 400.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user: Any = None
        self.sandbox: Sandbox | None = None
        self.entry: Entry | None = None
        self.hub: hub.Hub
        self.is_over = self.is_sent_away = False
        self.outbox = Outbox(self._send_safely)
        self.bucket = Bucket(self.rate, self.burst)
        self.typing = Bucket(1000.0, 2000.0)

    # -- for subclasses ---------------------------------------------------------------------------

    async def opened(self, sandbox: Sandbox | None) -> None:
        """The socket has been accepted; ``sandbox`` is the one of its path, which this person may see."""

    async def closed(self) -> None:
        """The socket is gone; called once, for sockets that were opened only."""

    async def got(self, message: Message) -> None:
        """A JSON object whose ``type`` is a string."""
        await self.error("bad_type", BAD_TYPE)

    async def got_bytes(self, data: bytes) -> None:
        """A binary frame."""
        await self.error("bad_type", BAD_TYPE)

    def deliver(self, message: Message) -> None:
        """A message from the hub; see live.rooms.Receiver."""
        self.outbox.put(message)

    async def send_json(self, message: Message) -> None:
        """Send one JSON frame at once."""
        await self.send(text_data=json.dumps(message, separators=(",", ":")))

    async def error(self, code: str, sentence: str) -> None:
        """Answer a frame that cannot be used; the refusal is on record."""
        await self.send_json({"type": "error", "code": code, "message": sentence})
        await self._note("socket.frame", Refused(code, sentence), self.sandbox)

    async def goodbye(self, reason: str, code: str = "signed_out", close: int = 4401) -> None:
        """Say why, then close. Nothing happens when it is closed already."""
        if self.is_over:
            return
        self.is_over = self.is_sent_away = True
        with contextlib.suppress(TimeoutError):  # who does not read is closed all the same
            async with asyncio.timeout(LAST_WORD):
                await self._send_safely({"type": "goodbye", "code": code, "reason": reason})
        await self._close_safely(close)

    async def reconnect(self) -> None:
        """Close it so that the page opens it anew, with the rights its person has now."""
        if not self.is_over:
            self.is_over = True
            await self._close_safely(1012)

    def unwatch(self, ids: Collection[str]) -> None:
        """Send nothing more about these sandboxes."""

    async def let_type(self, may: bool) -> None:
        """From now on its person may type, or may not any more; only terminals care."""

    def origin(self) -> Origin:
        """Who acts through this socket, and from where."""
        return origins.of_scope(self.scope, self.user)

    # -- Channels ---------------------------------------------------------------------------------

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve it; whatever ended that, a killed task included, leaves nothing of it behind."""
        try:
            await self.serve(scope, receive, polite(send))
        finally:
            if self.entry is not None:
                self.hub.do(self.disconnect(1006))

    async def serve(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle its messages until it is closed."""
        await super().__call__(scope, receive, send)

    async def connect(self) -> None:
        """Steps: 1. a person we know, else 403  2. their sandbox, if any  3. room for it  4. be guarded."""
        self.user = self.scope.get("user")
        if self.user is None or not self.user.is_authenticated or not self.user.is_active:
            await self.close()
            return
        hidden = await self._find_sandbox()
        await self.accept(headers=request_ids.told(self.scope))
        if hidden is not None:
            await self.goodbye(NOT_FOUND, "not_found", 4404)
            await self._note("sandbox.view", refusals.hidden(hidden), hidden.sandbox)
            return
        self.hub = hub.current()
        if self._has_enough():
            refusal = Refused("", TOO_MANY.format(settings.SANDBOX_USER_SOCKETS))
            await self.goodbye(refusal.message, "too_many", 4429)
            await self._note("socket.open", refusal, self.sandbox)
            return
        self.entry = self._enter()
        self.outbox.start()
        await self.opened(self.sandbox)

    async def disconnect(self, code: int) -> None:
        was_open, self.is_over = self.entry is not None, True
        self.outbox.end()
        if self.entry is not None:
            self.hub.guard.leave(self.entry)
            self.hub.rooms.leave(self)
            self.entry = None
        if was_open:
            await self.closed()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.is_over or self.entry is None:
            return
        if bytes_data is not None:
            if self.typing.take(1 + len(bytes_data) / 4096):
                await self.got_bytes(bytes_data)
            else:
                await self._slow_down(self.typing)
        elif not self.bucket.take():
            await self._slow_down(self.bucket)
        elif len(text_data or "") > TEXT_LIMIT:
            await self.error("too_big", TOO_BIG)
        else:
            await self._parse(text_data or "")

    # -- inside -----------------------------------------------------------------------------------

    async def _find_sandbox(self) -> access.Hidden | None:
        """Find the sandbox of the path, if it names one; gives what was hidden where it is not theirs."""
        sandbox_id = self.scope["url_route"]["kwargs"].get("sandbox_id")
        if sandbox_id is None:
            return None
        try:
            self.sandbox = await database_sync_to_async(access.get_sandbox)(self.user, sandbox_id)
        except access.Hidden as hidden:
            return hidden
        return None

    async def _note(self, action: str, refusal: Refused, sandbox: Sandbox | None) -> None:
        """Put a refusal on record, in bounds: a frame costs its sender nothing."""
        write = database_sync_to_async(refusals.note)
        await write(action, self.origin(), refusal, sandbox, path=self.scope.get("path", "")[:200])

    def _has_enough(self) -> bool:
        """Whether its person has as many sockets in this process as one may have."""
        most = settings.SANDBOX_USER_SOCKETS
        return 0 < most <= self.hub.guard.count(self.user.pk)

    def _enter(self) -> Entry:
        session = self.scope.get("session")
        key = getattr(session, "session_key", None) or ""
        entry = Entry(self, self.user.pk, key, self.user.is_staff, self.sandbox.pk if self.sandbox else None)
        self.hub.guard.enter(entry)
        return entry

    async def _slow_down(self, bucket: Bucket) -> None:
        """Say so once; who goes on regardless is shown the door."""
        if bucket.refused == 1:
            await self.error("too_fast", TOO_FAST)
        elif bucket.refused > 50 * bucket.burst:
            await self.goodbye(TOO_FAST, "too_fast", 4429)

    async def _parse(self, text: str) -> None:
        try:
            message = json.loads(text)
            json.dumps(message, ensure_ascii=False).encode()  # a lone surrogate is no text
        except (ValueError, RecursionError):
            message = None
        if isinstance(message, dict) and isinstance(message.get("type"), str):
            await self.got(message)
        else:
            await self.error("bad_json", BAD_JSON)

    async def _close_safely(self, code: int) -> None:
        try:
            await self.close(code=code)
        except Exception:
            return  # the other side was faster

    async def _send_safely(self, message: Message) -> None:
        try:
            await self.send_json(message)
        except Exception:
            self.outbox.end()  # it is closed; disconnect() follows


class Gone(StopConsumer):
    """The other side went away before it could be told; there is nothing left to serve."""


def polite(send: Any) -> Any:
    """``send`` that ends its consumer quietly where the connection is closed already.

    A page may go at any moment, also between our look and our word; that is no fault to be logged.
    """

    async def sent(message: dict[str, Any]) -> None:
        try:
            await send(message)
        except (Disconnected, OSError) as error:  # OSError: what the ASGI specification asks servers for
            raise Gone from error

    return sent


class Outbox:
    """Messages on their way to one page: the latest of a kind, at most ten rounds a second."""

    LIMIT = 1000

    def __init__(self, send: Any) -> None:
        self._send = send
        self._waiting: dict[tuple[str, Any], Message] = {}
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    def end(self) -> None:
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self._task = None

    def put(self, message: Message) -> None:
        """Keep it until it is sent, in the place of an earlier one about the same."""
        key = message["type"], message.get("id")
        if "rows" in message and key in self._waiting:
            message = message | {"rows": self._waiting[key]["rows"] | message["rows"]}
        self._waiting[key] = message
        if len(self._waiting) > self.LIMIT:
            self._waiting.pop(next(iter(self._waiting)))
        self._news.set()

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            batch, self._waiting = self._waiting, {}
            for message in batch.values():
                await self._send(message)
            await asyncio.sleep(BREATH)


class Bucket:
    """How many frames may come: ``burst`` at once, ``rate`` a second.

    ``refused`` counts those too many, until the sender has paused long enough to fill half of it.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst, self.refused = rate, burst, 0
        self._left, self._at = burst, time.monotonic()

    def take(self, count: float = 1.0) -> bool:
        """Whether a frame that counts as ``count`` may come."""
        now = time.monotonic()
        self._left = min(self.burst, self._left + (now - self._at) * self.rate)
        self._at = now
        if self._left < count:
            self.refused += 1
            return False
        if self._left >= self.burst / 2:
            self.refused = 0
        self._left -= count
        return True


class Nowhere(AsyncWebsocketConsumer):
    """A path that leads nowhere: refused before it is accepted."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await super().__call__(scope, receive, polite(send))

    async def connect(self) -> None:
        await self.close()
