"""Runs programs in a container: one-shot execs with both streams apart.

The connection is taken from the HTTP library and read here (see ``wire``): byte-exact whatever way
it is cut, and without a limit on silence.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from .base import (
    Conflict,
    ContainerStatus,
    EngineError,
    ExecFacts,
    NotFound,
    Unreachable,
)
from .connection import CALL, Connection
from .frames import FrameParser
from .keys import detach_keys, is_ours
from .marks import mark
from .starts import Starts
from .translate import state
from .wire import Wire, Wires

ENGINE_COMPLAINT = b"OCI runtime exec failed"
LONGEST_COMPLAINT = 16 * 1024
"""Bytes; what is longer is a program's own output."""
Frame = tuple[str, bytes]
CANNOT_RUN, MISSING = NOT_STARTED = (126, 127)

_PATIENCE = 2.0


class DockerExec:
    """An ExecStream over one hijacked connection. ``close`` may be called from any thread."""

    def __init__(self, connection: Connection, exec_id: str, wire: Wire, program: str) -> None:
        self.exec_id = exec_id
        self._connection = connection
        self._wire = wire
        self._program = program
        self._is_missing = False

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        frames = self._frames()
        for name, data in frames:
            if data.startswith(ENGINE_COMPLAINT):
                yield from self._complaint((name, data), frames)
                return
            yield name, data
            break
        yield from frames

    def exit_code(self) -> int | None:
        """127 for a program that is not there, as a shell says it; engines say 126 or 127."""
        code = wait_for_exit(self._connection, self.exec_id)
        return MISSING if self._is_missing and code == CANNOT_RUN else code

    def close(self) -> None:
        self._wire.close()

    def _frames(self) -> Iterator[tuple[str, bytes]]:
        parser = FrameParser()
        while data := self._wire.recv():
            yield from parser.feed(data)
        if not self._wire.closed:
            parser.finish()

    def _complaint(self, first: Frame, frames: Iterator[Frame]) -> Iterator[Frame]:
        """The engine writes its own failure to start a program into the output; say it better.

        It says a few lines. What goes on is a program that begins with its words, and is not gathered.
        """
        held, size = [first], len(first[1])
        while size <= LONGEST_COMPLAINT and (more := next(frames, None)):
            held.append(more)
            size += len(more[1])
        if size <= LONGEST_COMPLAINT and self.exit_code() in NOT_STARTED:
            text = b"".join(data for _, data in held)
            self._is_missing = is_missing(text)
            yield "stderr", not_started(self._program, text).encode()
        else:
            yield from held
            yield from frames


def not_started(program: str, text: bytes) -> str:
    """A sentence for people about a program that could not be started."""
    if b"chdir to cwd" in text:
        return "The working directory cannot be entered.\n"
    if b"permission denied" in text:
        return f"{program}: this is not a program, or may not be run\n"
    if is_missing(text):
        return f"{program}: program not found\n"
    if b"resource temporarily unavailable" in text:
        return f"{program}: no room for another process\n"
    return f"{program}: could not be started\n"


def is_missing(text: bytes) -> bool:
    """Whether the engine's complaint means that the program is not there."""
    absent = b"executable file not found" in text or b"no such file" in text
    return absent and b"chdir to cwd" not in text and b"permission denied" not in text


def wait_for_exit(connection: Connection, exec_id: str) -> int | None:
    """The exit code; None when the process still runs after 2 s."""
    end = time.monotonic() + _PATIENCE
    pause = 0.002
    while True:
        with connection.control(reading=True) as api:
            found = api.exec_inspect(exec_id)
            if not found["Running"]:
                code: int | None = found["ExitCode"]
                return code
        if time.monotonic() > end:
            return None
        time.sleep(pause)
        pause = min(2 * pause, 0.1)


def wait_for_start(connection: Connection, exec_id: str, seconds: float = 5.0) -> None:
    """Return once the engine has started the program, or failed to, or after so long."""
    end = time.monotonic() + seconds
    with suppress(NotFound):
        while time.monotonic() < end:
            with connection.control(reading=True) as api:
                found = api.exec_inspect(exec_id)
            if found["Pid"] or found["ExitCode"] is not None:
                return
            time.sleep(0.005)


class Begun:
    """The latest execs of this process by their marker, and when they began (monotonic seconds)."""

    def __init__(self, most: int = 2000) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._known: dict[str, tuple[str, float]] = {}

    def note(self, marker: str, exec_id: str) -> None:
        with self._lock:
            self._known[marker] = (exec_id, time.monotonic())
            if len(self._known) > self._most:
                self._known.pop(next(iter(self._known)))

    def get(self, marker: str) -> tuple[str, float] | None:
        return self._known.get(marker)


class Execs:
    """The part of the Engine that runs programs."""

    connection: Connection
    wires: Wires
    starts: Starts
    begun: Begun

    def exec(
        self,
        native_id: str,
        argv: Sequence[str],
        *,
        marker: str = "",
        environment: dict[str, str] | None = None,
        workdir: str = "",
    ) -> DockerExec:
        exec_id, wire = self.open_exec(native_id, argv, environment or {}, workdir, marker=marker)
        return DockerExec(self.connection, exec_id, wire, argv[0])

    def describe_exec(self, exec_id: str) -> ExecFacts:
        with self.connection.control(reading=True) as api:
            found = api.exec_inspect(exec_id)
            program = found["ProcessConfig"]["entrypoint"]
            return ExecFacts(program, is_ours(found.get("DetachKeys")))

    def open_exec(
        self,
        native_id: str,
        argv: Sequence[str],
        environment: dict[str, str],
        workdir: str,
        *,
        marker: str = "",
        tty: bool = False,
        stdin: bool = False,
        user: str = "",
    ) -> tuple[str, Wire]:
        """Create and start an exec; its input is open with a tty or ``stdin``. Raises NotFound, Conflict."""
        more = {
            "environment": environment | (mark(marker) if marker else {}), "workdir": workdir or None,
            "user": user, "stdin": tty or stdin, "tty": tty, "detach_keys": detach_keys(marker),
        }  # fmt: skip
        with self.starts.beginning(native_id) as begun:
            with self.connection.control() as api:
                exec_id: str = api.exec_create(native_id, list(argv), **more)["Id"]
            begun.append(exec_id)
            self.begun.note(marker, exec_id)
            wire = self._start_exec(native_id, exec_id, tty)
        self.wires.add(native_id, wire)
        return exec_id, wire

    def _start_exec(self, native_id: str, exec_id: str, tty: bool) -> Wire:
        try:
            with self.connection.streams(CALL) as api:
                return Wire(api.exec_start(exec_id, tty=tty, socket=True)._response)
        except Unreachable:
            raise
        except EngineError as error:
            raise self.why_not(native_id, error) from error

    def why_not(self, native_id: str, error: EngineError) -> EngineError:
        """A container that ends between create and start gives all kinds of answers; look."""
        try:
            with self.connection.control(reading=True) as api:
                status = state(api.inspect_container(native_id)).status
        except NotFound as gone:
            return gone
        if status is ContainerStatus.PAUSED:
            return Conflict("The sandbox is paused.", error.detail)
        if status is not ContainerStatus.RUNNING:
            return Conflict("The sandbox is not running.", error.detail)
        return error
