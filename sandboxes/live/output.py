"""The output of commands under way, from worker threads to whoever watches, without any queue.

Of each stream the last 64 KiB are kept while the command runs. A follower reads from there at its
own pace: who is too slow, or comes late, is told which bytes were skipped. All of it (up to the cap)
is in the command's record when it has ended.
"""

from __future__ import annotations

import asyncio
import threading
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from . import hub

KEPT = 64 * 1024
FRAME = 32 * 1024
"""Bytes kept of a stream, and most bytes of one frame."""
PACE = 0.05
"""Seconds between two frames to one follower."""
RATE, BURST = 256 * 1024, 256 * 1024
"""Bytes a second that one follower gets, and how many at once: nobody reads faster than that."""
LAST_WORD = 1.0
"""Seconds for which the news that a command ended waits for its output to be sent."""
AFTERWARDS = 5.0
"""Seconds for which an ended command's output is still here."""

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]


@dataclass
class _Stream:
    start: int = 0
    data: bytearray = field(default_factory=bytearray)

    @property
    def head(self) -> int:
        return self.start + len(self.data)

    def add(self, data: bytes) -> None:
        self.data += data
        extra = len(self.data) - KEPT
        if extra > 0:
            del self.data[:extra]
            self.start += extra


@dataclass
class _Command:
    sandbox_id: str
    streams: dict[str, _Stream] = field(default_factory=dict)
    ended: float | None = None


_commands: dict[str, _Command] = {}
_followers: dict[str, set[Follower]] = {}
_lock = threading.Lock()


def publish(command_id: str, sandbox_id: str, stream: str, data: bytes) -> None:
    """Hand on bytes of a command's ``stdout`` or ``stderr``. From any thread; never waits."""
    here = hub.running()
    if here is None:
        return
    with _lock:
        command = _commands.setdefault(command_id, _Command(sandbox_id))
        command.streams.setdefault(stream, _Stream()).add(data)
    if command_id in _followers:
        _soon(here, _wake, command_id)


def finished(command_id: str, sandbox_id: str) -> None:
    """Say that a command's record changed: it ended. From any thread; never waits."""
    here = hub.running()
    with _lock:
        command = _commands.get(command_id)
        if command is not None:
            command.ended = time.monotonic()
        if here is None:
            _commands.pop(command_id, None)
    if here is not None:
        _soon(here, _finish, here, command_id, sandbox_id)


def is_known(command_id: str) -> bool:
    """Whether this process has its output in memory."""
    with _lock:
        return command_id in _commands


def tidy() -> None:
    """Forget what ended a while ago; called once a second."""
    before = time.monotonic() - AFTERWARDS
    with _lock:
        for pk in [pk for pk, one in _commands.items() if one.ended is not None and one.ended < before]:
            del _commands[pk]


class Follower:
    """One page that reads one command's output. For the event loop's thread.

    ``sending`` is its page's: of all it follows one frame at a time waits for room on its line.
    """

    def __init__(self, command_id: str, sandbox_id: str, send: Send, sending: asyncio.Lock) -> None:
        self.command_id, self.sandbox_id = command_id, sandbox_id
        self._send = send
        self._at: dict[str, int] = {}
        self._news = asyncio.Event()
        self._left, self._filled = float(BURST), time.monotonic()
        self._sending = sending
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Replay what is in memory, then go on with what comes."""
        _followers.setdefault(self.command_id, set()).add(self)
        self._news.set()
        self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        """Send nothing more."""
        members = _followers.get(self.command_id, set())
        members.discard(self)
        if not members:
            _followers.pop(self.command_id, None)
        if self._task is not None:
            self._task.cancel()

    def wake(self) -> None:
        self._news.set()

    async def finish(self) -> None:
        """Send what is left in memory, at once: the command has ended."""
        async with self._sending:
            while message := self._next(FRAME):
                await self._send(message)

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            async with self._sending:
                message = self._next(self._allowance())
                if message is not None:
                    await self._send(message)
                    self._news.set()  # there may be more
            await asyncio.sleep(PACE)

    def _allowance(self) -> int:
        now = time.monotonic()
        self._left = min(BURST, self._left + (now - self._filled) * RATE)
        self._filled = now
        return int(min(self._left, FRAME))

    def _next(self, most: int) -> Message | None:
        """The next frame, of the stream that waits longest; None when there is nothing new."""
        with _lock:
            command = _commands.get(self.command_id)
            if command is None or command.sandbox_id != self.sandbox_id:
                return None
            waiting = [(self._at.get(name, 0), name) for name, one in command.streams.items()]
            for at, name in sorted(waiting):
                if at < command.streams[name].head:
                    return self._cut(name, command.streams[name], at, most)
        return None

    def _cut(self, name: str, stream: _Stream, at: int, most: int) -> Message:
        about = {"command": self.command_id, "stream": name}
        if at < stream.start:
            self._at[name] = stream.start
            return {"type": "output_skipped", **about, "from": at, "to": stream.start}
        begin = at - stream.start
        data = bytes(stream.data[begin : begin + max(most, 1024)])
        self._at[name] = at + len(data)
        self._left -= len(data)
        return {"type": "output", **about, "offset": at, "data": b64encode(data).decode()}


def _wake(command_id: str) -> None:
    for follower in _followers.get(command_id, ()):
        follower.wake()


def _finish(here: hub.Hub, command_id: str, sandbox_id: str) -> None:
    here.do(_conclude(here, command_id, sandbox_id))


async def _conclude(here: hub.Hub, command_id: str, sandbox_id: str) -> None:
    """The rest of the output first, then that the record changed; who does not read keeps nobody."""
    ends = [asyncio.ensure_future(one.finish()) for one in _followers.get(command_id, ())]
    if ends:
        await asyncio.wait(ends, timeout=LAST_WORD)
    here.rooms.tell({"type": "command", "id": command_id}, f"sandbox-{sandbox_id}")


def _soon(here: hub.Hub, call: Callable[..., None], *args: Any) -> None:
    try:
        here.loop.call_soon_threadsafe(call, *args)
    except RuntimeError:
        return  # the loop is closed: the process ends


hub.each_second(tidy)
