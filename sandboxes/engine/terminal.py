"""Terminals: a tty exec's connection on the event loop, without a thread of its own.

A bare socket (unix or TCP) is read by the loop. TLS and SSH connections cannot be; for those each
waiting read has a thread, from an executor that nothing else uses.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Protocol

from .arrival import Arrival
from .base import EngineError, NotFound, TerminalStream, Unreachable
from .connection import Connection
from .exec_stream import ENGINE_COMPLAINT, Execs, not_started, wait_for_exit
from .marks import check_marker
from .wire import Wire

_TRIES = 10
_LARGEST = 500


class Pipe(Protocol):
    """Bytes both ways on the event loop."""

    async def recv(self, limit: int) -> bytes: ...
    def recv_nowait(self, limit: int) -> bytes | None: ...
    async def send(self, data: bytes) -> None: ...
    def close(self) -> None: ...


class LoopPipe:
    """A bare socket, read and written by the event loop. One task reads, and waits for one thing."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._users = 0
        self._waits: Arrival | None = None
        self._limit = 0
        self._watcher: asyncio.AbstractEventLoop | None = None
        wire.sock.setblocking(False)

    async def recv(self, limit: int) -> bytes:
        if self._wire.closed:
            return b""
        with self._using():
            data = self.recv_nowait(limit)
            return await self._arrival(limit) if data is None else data

    def recv_nowait(self, limit: int) -> bytes | None:
        try:
            return bytes(self._wire.sock.recv(limit))
        except BlockingIOError:
            return None

    def _arrival(self, limit: int) -> Arrival:
        """The socket stays watched between two reads; registering it each time costs two calls."""
        loop = asyncio.get_running_loop()
        self._waits, self._limit = Arrival(loop), limit
        if self._watcher is None:
            self._watcher = loop
            loop.add_reader(self._wire.sock, self._readable)
        return self._waits

    def _readable(self) -> None:
        """Called by the loop. Nobody waits: stop looking, or the loop would never rest."""
        waits = self._waits
        if waits is None or waits.done():
            return self._unwatch()
        try:
            data = self.recv_nowait(self._limit)
        except OSError as error:
            self._unwatch()
            return waits.fail(error)
        if data is not None:
            self._waits = None
            waits.come(data)
        return None

    def _unwatch(self) -> None:
        if self._watcher is not None:
            self._watcher.remove_reader(self._wire.sock)
            self._watcher = None

    def _let_go(self) -> None:
        self._unwatch()
        self._wire.close()

    async def send(self, data: bytes) -> None:
        with self._using():
            await asyncio.get_running_loop().sock_sendall(self._wire.sock, data)

    def close(self) -> None:
        """A read under way gets its end first; the file is let go by the last user."""
        self._wire.shutdown()
        if not self._users:
            self._let_go()

    @contextlib.contextmanager
    def _using(self) -> Iterator[None]:
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if self._wire.closed and not self._users:
                self._let_go()


class ThreadPipe:
    """A TLS or SSH connection, read and written in threads of ``executor``."""

    def __init__(self, wire: Wire, executor: Executor) -> None:
        self._wire = wire
        self._executor = executor

    async def recv(self, limit: int) -> bytes:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._wire.sock.recv, limit)

    def recv_nowait(self, limit: int) -> bytes | None:
        return None

    async def send(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, self._wire.sock.sendall, data)

    def close(self) -> None:
        self._wire.close()


class Terminal:
    """A TerminalStream. Belongs to one event loop; only ``close`` waits for nothing."""

    def __init__(
        self,
        connection: Connection,
        exec_id: str,
        head: bytes,
        pipe: Pipe,
        executor: Executor,
        program: str,
    ) -> None:
        self.exec_id = exec_id
        self._connection = connection
        self._head = head
        self._pipe = pipe
        self._executor = executor
        self._program = program
        self._first = True
        self.never_began = False
        self._wanted = self._size = (0, 0)
        self._writing = asyncio.Lock()
        self._resizing = asyncio.Lock()

    async def read(self, limit: int = 65536) -> bytes:
        if self._head:
            data, self._head = self._head[:limit], self._head[limit:]
        else:
            with _broken():
                data = await self._pipe.recv(limit)
        return self._well_said(data)

    def read_nowait(self, limit: int) -> bytes | None:
        if self._head or self._first:
            return None
        with _broken():
            return self._pipe.recv_nowait(limit)

    async def write(self, data: bytes) -> None:
        async with self._writing:
            with _broken():
                await self._pipe.send(data)

    async def resize(self, cols: int, rows: int) -> None:
        """Of many sizes that come at once only the last is passed on."""
        self._wanted = clamp(cols, rows)
        async with self._resizing:
            wanted = self._wanted
            if wanted != self._size:
                await self._threaded(lambda: apply_size(self._connection, self.exec_id, *wanted))
                self._size = wanted

    async def exit_code(self) -> int | None:
        code: int | None = await self._threaded(lambda: wait_for_exit(self._connection, self.exec_id))
        return code

    def close(self) -> None:
        self._pipe.close()

    def _well_said(self, data: bytes) -> bytes:
        """A shell that could not be started leaves the engine's text; say it better."""
        first, self._first = self._first, False
        if first and data.startswith(ENGINE_COMPLAINT):
            self.never_began = True
            return not_started(self._program, data).replace("\n", "\r\n").encode()
        return data

    async def _threaded[T](self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


@contextlib.contextmanager
def _broken() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unreachable("The connection to the engine broke.", str(error)) from error


def clamp(cols: int, rows: int) -> tuple[int, int]:
    """A size every program survives: 1 to 500 each way (the engine would take -1 and 70000)."""
    return max(1, min(cols, _LARGEST)), max(1, min(rows, _LARGEST))


def apply_size(connection: Connection, exec_id: str, cols: int, rows: int) -> None:
    """Resize; the engine refuses until the shell has begun, and again once it has ended."""
    for attempt in range(_TRIES):
        try:
            with connection.control() as api:
                return api.exec_resize(exec_id, height=rows, width=cols)
        except Unreachable:
            raise
        except EngineError:
            if not _is_starting(connection, exec_id):
                return
            time.sleep(0.01 * (attempt + 1))


def _is_starting(connection: Connection, exec_id: str) -> bool:
    try:
        with connection.control(reading=True) as api:
            return api.exec_inspect(exec_id)["ExitCode"] is None
    except NotFound:
        return False


class Terminals(Execs):
    """The part of the Engine that opens terminals."""

    terminal_threads: Executor
    wrapped_threads: Executor

    async def open_terminal(
        self,
        native_id: str,
        argv: Sequence[str],
        *,
        cols: int,
        rows: int,
        marker: str,
        environment: dict[str, str] | None = None,
        workdir: str = "",
    ) -> TerminalStream:
        wanted = {"TERM": "xterm-256color"} | (environment or {})
        size = clamp(cols, rows)

        def prepare() -> tuple[str, Wire]:
            exec_id, wire = self.open_exec(
                native_id, argv, wanted, workdir, marker=check_marker(marker), tty=True
            )
            try:
                apply_size(self.connection, exec_id, *size)
            except EngineError:
                wire.close()
                raise
            return exec_id, wire

        loop = asyncio.get_running_loop()
        opening = loop.run_in_executor(self.terminal_threads, prepare)
        try:
            exec_id, wire = await asyncio.shield(opening)
        except asyncio.CancelledError:  # nobody will take it: close it when it comes
            opening.add_done_callback(_close_unclaimed)
            raise
        return self._terminal(exec_id, wire, argv[0], size)

    def _terminal(self, exec_id: str, wire: Wire, program: str, size: tuple[int, int]) -> TerminalStream:
        pipe: Pipe = LoopPipe(wire) if wire.plain else ThreadPipe(wire, self.wrapped_threads)
        made = Terminal(self.connection, exec_id, wire.head, pipe, self.terminal_threads, program)
        made._wanted = made._size = size
        return made


def _close_unclaimed(opening: asyncio.Future[tuple[str, Wire]]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result()[1].close()
