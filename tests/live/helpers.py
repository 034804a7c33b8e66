"""A socket as the tests hold it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from channels.testing import WebsocketCommunicator
from django.test import Client

from sandboxes.models import Event, Outcome

Frame = dict[str, Any]


class Socket:
    """One socket: the frames it got, and how it ended."""

    def __init__(self, communicator: WebsocketCommunicator, client: Client) -> None:
        self.communicator = communicator
        self.client = client
        self.is_open = False
        self.code: int | None = None

    async def connect(self) -> None:
        self.is_open, self.code = await self.communicator.connect(timeout=20)

    async def send(self, message: Any) -> None:
        text = message if isinstance(message, str) else json.dumps(message)
        await self.communicator.send_input({"type": "websocket.receive", "text": text})

    async def next(self, kind: str = "", seconds: float = 20) -> Frame:
        """The next frame (of this type), or {"closed": code}; raises TimeoutError."""
        until = time.monotonic() + seconds
        while True:
            frame = await self._receive(until - time.monotonic())
            if not kind or frame.get("type") == kind or "closed" in frame:
                return frame

    async def first(self) -> Frame:
        """Its first text frame; bytes of a terminal are passed over."""
        while True:
            got = await self.communicator.receive_output(timeout=20)
            if got.get("text"):
                frame: Frame = json.loads(got["text"])
                return frame

    async def _receive(self, seconds: float) -> Frame:
        got = await self.communicator.receive_output(timeout=max(seconds, 0.001))
        if got["type"] == "websocket.close":
            self.is_open, self.code = False, got.get("code")
            await self.communicator.disconnect(timeout=20)  # as a server tells it
            return {"closed": self.code}
        frame: Frame = json.loads(got["text"])
        return frame

    async def send_bytes(self, data: bytes) -> None:
        await self.communicator.send_to(bytes_data=data)

    async def quiet(self, seconds: float, *kinds: str) -> bool:
        """Whether no frame (of these types) comes for so long."""
        return not [one for one in await self.gather(seconds) if not kinds or one.get("type") in kinds]

    async def gather(self, seconds: float) -> list[Frame]:
        until, frames = time.monotonic() + seconds, []
        while (left := until - time.monotonic()) > 0:
            if not await self.communicator.receive_nothing(min(left, 0.05), 0.01):
                frames.append(await self._receive(1))
        return frames

    async def close(self) -> None:
        """Close it; where a test waited in vain, its application was cancelled, and says so here."""
        if self.is_open:
            with suppress(asyncio.CancelledError, TimeoutError):
                await self.communicator.disconnect(timeout=20)
        self.is_open = False


class TerminalPage:
    """A terminal's page: the bytes it got, and the control frames."""

    def __init__(self, socket: Socket) -> None:
        self.socket, self.bytes, self.code = socket, b"", socket.code
        self.frames: list[Frame] = []
        self.start, self._acked = -1, 0

    async def read(self, until: bytes | None = None, kind: str = "", seconds: float = 20) -> Any:
        """Take frames until the bytes hold ``until``, or a frame of ``kind`` comes (returned)."""
        async with asyncio.timeout(seconds):
            while True:
                if until is not None and until in self.bytes:
                    return self.bytes
                got = await self.read_one(seconds)
                if kind and got.get("type") == kind:
                    return got

    async def read_one(self, seconds: float = 20) -> Frame:
        """The next frame: of bytes ({"type": "bytes"}), of control, or that it was closed."""
        got = await self.socket.communicator.receive_output(timeout=seconds)
        if got.get("bytes") is not None:
            self.bytes += got["bytes"]
            await self.acknowledge()
            return {"type": "bytes"}
        if got["type"] == "websocket.close":
            self.socket.is_open, self.code = False, got.get("code")
            self.frames.append({"type": "closed"})
        else:
            self.frames.append(json.loads(got["text"]))
            if self.frames[-1]["type"] == "attached":
                self.start = self._acked = self.frames[-1]["offset"]
        return self.frames[-1]

    async def acknowledge(self) -> None:
        """Say so for every 64 KiB, as a page does."""
        at = self.start + len(self.bytes)
        if self.start >= 0 and at - self._acked >= 65536:
            self._acked = at
            await self.send({"type": "ack", "offset": at})

    async def type(self, data: bytes) -> None:
        await self.socket.communicator.send_to(bytes_data=data)

    async def send(self, message: Any) -> None:
        await self.socket.send(message)

    async def run(self, command: str, until: bytes, seconds: float = 10) -> Any:
        """Type a line and read until its answer; what the shell echoes must not hold it."""
        await self.type(command.encode() + b"\r")
        return await self.read(until=until, seconds=seconds)

    async def leave(self) -> None:
        await self.socket.close()


async def eventually(fact: Callable[[], Any], seconds: float = 20) -> bool:
    """Wait until something is so, without blocking the loop."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = fact()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return True
        await asyncio.sleep(0.02)
    return False


async def refused() -> tuple[str, str, str, str] | None:
    """The first refusal that comes on record: action, who, which sandbox, which field."""
    rows = Event.objects.filter(outcome=Outcome.REFUSED).order_by("id")
    await eventually(rows.aexists)
    event = await rows.afirst()
    return event and (event.action, event.actor_name, event.sandbox_id, event.detail.get("field", ""))
