"""The bounded pools in which engine work is done, so that no request waits for it.

It knows nothing of sandboxes. Threads are daemons: what a dying process leaves half done the next
round of the cleanup loop repairs, so leaving is never a matter of waiting for ever.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from typing import Any

from django.conf import settings
from django.db import connection

from sandboxes import request_ids

from . import process

log = logging.getLogger(__name__)

ASIDE = {"pulls": 4, "saves": 4}
"""Pools of what may take minutes, so that no action waits for it, and how many at a time.

Of a pull the engine itself fetches several layers at once; saves are workspaces of labs that close.
"""

CONNECTION_IDLE = 0.5
"""Seconds without work after which a thread lets go of its database connection."""
FINISH = 8.0
"""Seconds that a process which ends waits for what it has begun."""


over = threading.Event()
"""Set whenever a job of a pool is over; who waits for it clears it before looking."""


class Pool:
    """At most ``size`` threads that take jobs in order; a thread is made when all others are busy."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._unfinished = 0

    def submit(self, fn: Callable[..., Any], *args: Any) -> Future[Any]:
        """Have ``fn(*args)`` done by a thread; its result or error is in the Future."""
        future: Future[Any] = Future()
        with self._lock:
            self._unfinished += 1
            if self._threads < min(self._unfinished, self.size):
                self._threads += 1
                name = f"{self.name}-{self._threads}"
                threading.Thread(target=self._serve, name=name, daemon=True).start()
        asked_by = request_ids.current.get()
        self._jobs.put(lambda: self._do(future, fn, args, asked_by))
        return future

    def is_idle(self) -> bool:
        """Whether nothing is under way or waiting."""
        return self._unfinished == 0

    def _serve(self) -> None:
        """Do jobs as they come. The database connection is kept as long as there is work to do."""
        while True:
            try:
                job = self._jobs.get(timeout=CONNECTION_IDLE)
            except queue.Empty:
                connection.close()
                job = self._jobs.get()
            job()

    def _do(self, future: Future[Any], fn: Callable[..., Any], args: tuple[Any, ...], asked_by: str) -> None:
        request_ids.current.set(asked_by)
        try:
            result = fn(*args)
        except BaseException as error:  # a thread of the pool must outlive its jobs
            log.error("Work in the pool %s broke", self.name, exc_info=error)
            self._done(future.set_exception, error)
        else:
            self._done(future.set_result, result)

    def _done(self, tell: Callable[[Any], None], what: Any) -> None:
        if connection.in_atomic_block or connection.errors_occurred:
            connection.close()
        with self._lock:
            self._unfinished -= 1
        tell(what)
        over.set()


_pools: dict[tuple[int, str], Pool] = {}
_lock = threading.Lock()


def size(pool: str) -> int:
    """Threads of a pool by the settings; 0: the caller does the work itself."""
    if pool == "commands":
        return int(settings.SANDBOX_COMMAND_WORKERS)
    if pool in ASIDE:
        return ASIDE[pool] if settings.SANDBOX_WORKERS else 0
    return int(settings.SANDBOX_WORKERS)


def submit(fn: Callable[..., Any], *args: Any, pool: str = "actions") -> Future[Any]:
    """Have ``fn(*args)`` done in a pool: actions, pulls, saves or commands. Not inside a transaction.

    With no threads for the pool it is done here and now, and what it raises comes out here.
    """
    threads = size(pool)
    if not threads:
        done: Future[Any] = Future()
        done.set_result(fn(*args))
        return done
    if connection.in_atomic_block:
        raise RuntimeError("Engine work must not start inside a transaction: it would not see its row.")
    return _pool(pool, threads).submit(fn, *args)


def _pool(name: str, threads: int) -> Pool:
    key = (os.getpid(), name)
    with _lock:
        found = _pools.get(key)
        if found is None or found.size != threads:
            found = _pools[key] = Pool(name, threads)
    return found


def then(first: Future[Any], fn: Callable[..., Any], *args: Any) -> Future[Any]:
    """Once ``first`` is over, do ``fn(error or None, *args)`` in the pool for actions."""
    after: Future[Any] = Future()

    def follow(over: Future[Any]) -> None:
        submit(fn, over.exception(), *args).add_done_callback(hand_on)

    def hand_on(over: Future[Any]) -> None:
        error = over.exception()
        if error is not None:
            after.set_exception(error)
        else:
            after.set_result(over.result())

    first.add_done_callback(follow)
    return after


def outcome(job: Future[Any], seconds: float | None) -> Any:
    """What a job came to, or None when it is not over after ``seconds`` (None: however long).

    A job may end in another one, which is then followed. Raises what the job raised.
    """
    end = None if seconds is None else time.monotonic() + seconds
    result: Any = job
    while isinstance(result, Future):
        try:
            result = result.result(None if end is None else max(end - time.monotonic(), 0))
        except Late:
            return None
    return result


class Appointment:
    """Something to be done later, unless it is cancelled first."""

    def __init__(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.fn = fn
        self.args = args
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class _Clock:
    """One thread that waits for all appointments of a process; each is then kept by its own thread.

    Most are cancelled long before they are due, so making one must cost next to nothing.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._due: list[tuple[float, int, Appointment]] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="clock", daemon=True).start()

    def add(self, seconds: float, made: Appointment) -> None:
        entry = (time.monotonic() + seconds, next(self._numbers), made)
        with self._changed:
            heapq.heappush(self._due, entry)
            if self._due[0] is entry:
                self._changed.notify()

    def clear(self) -> None:
        """Cancel all there are."""
        with self._changed:
            for _, _, made in self._due:
                made.cancel()
            self._due.clear()

    def _run(self) -> None:
        while True:
            made = self._next()
            if not made.is_cancelled:
                threading.Thread(target=made.fn, args=made.args, daemon=True).start()

    def _next(self) -> Appointment:
        """Wait for the first one that is due."""
        with self._changed:
            while not self._due or self._due[0][0] > time.monotonic():
                self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
            return heapq.heappop(self._due)[2]


_clocks: dict[int, _Clock] = {}


def later(seconds: float, fn: Callable[..., Any], *args: Any) -> Appointment:
    """Do ``fn(*args)`` after a while in a thread of its own, unless what comes back is cancelled."""
    with _lock:
        clock = _clocks.get(os.getpid()) or _clocks.setdefault(os.getpid(), _Clock())
    made = Appointment(fn, args)
    clock.add(seconds, made)
    return made


def cancel_all() -> None:
    """Cancel every appointment of this process."""
    for clock in list(_clocks.values()):
        clock.clear()


def drain(seconds: float) -> bool:
    """Wait until this process' pools have nothing left to do; False when time ran out first."""
    end = time.monotonic() + seconds
    while not all(pool.is_idle() for (pid, _), pool in list(_pools.items()) if pid == os.getpid()):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


process.at_exit(lambda: drain(FINISH))
