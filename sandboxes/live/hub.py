"""What a web process does for its open pages, in one place: started once, on the event loop.

It knows the engine and reads the models; what changes anything is passed in as a callback. Nothing
blocks the loop: the database is read in one thread of its own, the engine in others.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from django.contrib.auth.signals import user_logged_out
from django.db import DatabaseError, connection

from sandboxes.engine.base import Engine, EngineError, EngineEvent

from . import relay
from .events import EventReader
from .guard import SIGNED_OUT, Guard, Learn, MaySee, MayType
from .rooms import Message, Rooms
from .stats import Stats, facts
from .tail import Change, Tail

log = logging.getLogger(__name__)

TAIL, GUARD, HEALTH, NUMBERS, PING = 0.5, 1.0, 1.0, 1.0, 5.0
"""Seconds between two rounds of each."""

_current: Hub | None = None
_on_event: list[Callable[[EngineEvent], None]] = []
_on_back: list[Callable[[], None]] = []
_each_second: list[Callable[[], None]] = []


class Hub:
    """One event loop's hub. Everything public is for the loop's own thread, unless it says otherwise."""

    def __init__(
        self,
        engine: Callable[[], Engine],
        *,
        on_engine_event: Callable[[EngineEvent], None],
        on_start: Callable[[], None],
        may_see: MaySee,
        may_type: MayType | None = None,
        learn: Learn | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.engine = engine
        self.rooms = Rooms()
        self.guard = Guard(may_see, may_type, learn)
        self.stats = Stats(engine, lambda ids: self.read(facts, ids))
        self._id = secrets.token_hex(8)
        self._tail = Tail()
        self._events = EventReader(engine, self._hear, on_engine_event)
        self._on_start = on_start
        self._tasks: set[asyncio.Task[Any]] = set()
        self._database = ThreadPoolExecutor(1, thread_name_prefix="live-database")
        self._pings = ThreadPoolExecutor(1, thread_name_prefix="live-ping")
        self._pinged = 0.0
        self._health: Message = self.engine_frame()

    def start(self) -> None:
        """Begin: events, health, tail, guard. Returns at once."""
        user_logged_out.connect(_signed_out)
        self._events.start()
        self.do(self.read(self._on_start))
        self.do(_every(TAIL, self._follow_tail))
        self.do(_every(GUARD, self._check))
        self.do(_every(HEALTH, self._watch_health))
        self.do(_every(NUMBERS, self._go_round))
        if relay.is_there():
            self.do(relay.listen(self._relayed))

    def stop(self) -> None:
        """End what was begun; waits a few seconds for threads at work."""
        for task in self._tasks:
            if not self.loop.is_closed():
                task.cancel()
        self.stats.stop()
        self._events.stop()
        self._database.submit(lambda: connection.close())  # this thread's own, not the caller's
        self._database.shutdown(cancel_futures=False)
        self._pings.shutdown(wait=False)

    def do(self, work: Any) -> None:
        """Run a coroutine beside everything else; its failure is logged."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            log.error("The hub's work failed", exc_info=task.exception())

    async def read[T](self, work: Callable[..., T], *args: Any) -> T:
        """Do blocking work with the database in the hub's own thread."""
        return await self.loop.run_in_executor(self._database, _with_database, work, args)

    # -- nudges -----------------------------------------------------------------------------------

    def nudge(self, nudge: relay.Nudge) -> None:
        """Something changed, says this process: tell its pages, and the other processes."""
        self._tell(nudge)
        if relay.is_there():
            self.do(_relay(nudge | {"hub": self._id}))

    def _relayed(self, nudge: relay.Nudge) -> None:
        if nudge.get("hub") != self._id:
            self._tell(nudge)

    def _tell(self, nudge: relay.Nudge) -> None:
        if nudge["kind"] == "topics":
            return self.rooms.tell(nudge["message"], *nudge["topics"])
        kind, pk, owner = nudge["kind"], nudge["id"], nudge["owner"]
        self._tail.note_told((kind, pk))
        if kind == "sandbox":
            self.stats.changed(pk)
            self.rooms.tell_of_sandbox(pk, owner)
        else:
            self.rooms.tell_of_image(pk)
        return None

    async def _go_round(self) -> None:
        for call in list(_each_second):
            _safely(call)
        await self.stats.round()

    async def _follow_tail(self) -> None:
        if not self.guard.entries:
            return self._tail.rest()
        changes: list[Change] = await self.read(self._tail.read)
        for (kind, pk), owner, _ in self._tail.fresh(changes):
            self._tell({"kind": kind, "id": pk, "owner": owner})
        return None

    # -- who may still be there -------------------------------------------------------------------

    async def _check(self) -> None:
        if self.guard.entries:
            for verdict in await self.read(self.guard.check, list(self.guard.entries)):
                self.do(verdict.carry_out())

    def sign_out(self, session_key: str) -> None:
        """This session is over: close its sockets now, without waiting for the next round."""
        for entry in self.guard.of_session(session_key):
            self.do(entry.consumer.goodbye(SIGNED_OUT, "signed_out", 4401))

    # -- the engine -------------------------------------------------------------------------------

    def engine_frame(self) -> Message:
        """What pages are told of the engine's health."""
        health = getattr(self.engine(), "health", None)
        since = getattr(health, "unreachable_since", None)
        return {"type": "engine", "unreachable_since": since.isoformat() if since else None}

    async def _watch_health(self) -> None:
        is_away = self._health["unreachable_since"] is not None
        if is_away or (self.guard.entries and time.monotonic() - self._pinged > PING):
            self._pinged = time.monotonic()
            await self.loop.run_in_executor(self._pings, self._ping)
        seen, self._health = self._health, self.engine_frame()
        if seen != self._health:
            self.rooms.tell(self._health, "all")
        if is_away and self._health["unreachable_since"] is None:
            self._back()

    def _ping(self) -> None:
        with suppress(EngineError):  # the engine's health has it
            self.engine().ping()

    def _back(self) -> None:
        self._events.hurry()
        self.stats.hurry()
        for call in list(_on_back):
            _safely(call)

    def _hear(self, event: EngineEvent) -> None:
        """Called in the events' thread."""
        with suppress(RuntimeError):  # the loop is closed: the process ends
            self.loop.call_soon_threadsafe(self._pass_on, event)

    def _pass_on(self, event: EngineEvent) -> None:
        for call in list(_on_event):
            _safely(call, event)


# -- the process' one hub -------------------------------------------------------------------------


def ensure(make: Callable[[], Hub]) -> Hub:
    """The hub of the running loop, made and started if there is none yet. A process has one loop."""
    global _current
    if _current is None or _current.loop is not asyncio.get_running_loop():
        end()
        _current = make()
        _current.start()
    return _current


def current() -> Hub:
    """The hub that the application has started."""
    if _current is None:
        raise RuntimeError("No hub yet: sockets are served through sandboxes.asgi.application.")
    return _current


def running() -> Hub | None:
    """The hub of this process, if it has one: for any thread."""
    hub = _current
    return None if hub is None or hub.loop.is_closed() else hub


def end() -> None:
    """Stop the hub, if there is one."""
    global _current
    hub, _current = _current, None
    if hub is not None:
        hub.stop()


def listen(call: Callable[[EngineEvent], None]) -> Callable[[], None]:
    """Have ``call(event)`` called on the loop for every event of the engine; returns the way out."""
    _on_event.append(call)
    return lambda: _on_event.remove(call)


def on_engine_back(call: Callable[[], None]) -> Callable[[], None]:
    """Have ``call()`` called on the loop when the engine answers again; returns the way out."""
    _on_back.append(call)
    return lambda: _on_back.remove(call)


def each_second(call: Callable[[], None]) -> None:
    """Have ``call()`` called on the loop once a second."""
    _each_second.append(call)


# -- small parts ----------------------------------------------------------------------------------


def _signed_out(sender: Any, request: Any, **kwargs: Any) -> None:
    """Django's signal, in any thread: the session is about to be flushed."""
    hub, key = running(), getattr(getattr(request, "session", None), "session_key", None)
    if hub is not None and key:
        hub.loop.call_soon_threadsafe(hub.sign_out, key)


async def _every(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await work()
        except Exception as error:
            log.warning("A round of the hub failed: %s: %s", type(error).__name__, error)
        await asyncio.sleep(seconds)


async def _relay(nudge: relay.Nudge) -> None:
    try:
        await relay.send(nudge)
    except Exception as error:
        log.debug("A nudge did not reach the other processes: %s", error)


def _safely(call: Callable[..., None], *args: Any) -> None:
    try:
        call(*args)
    except Exception:
        log.exception("A listener of the hub failed")


def _with_database[T](work: Callable[..., T], args: tuple[Any, ...]) -> T:
    """A connection that failed is not used again."""
    try:
        return work(*args)
    except DatabaseError:
        connection.close()
        raise
