"""What runs inside a FakeEngine's containers: scripted execs and a toy shell on a toy tty."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

PROMPT = b"$ "
HOLD = "trap : EXIT; "
"""What a shell is told before a command, see lifecycle.execution.held; it changes no outcome."""


@dataclass(frozen=True)
class Script:
    """What an exec does: write ``chunks``, then end with ``code``.

    ``hold`` seconds pass between the last chunk and the end; ``hold=None`` means it ends only when
    it is killed, cancelled with its container, or released by ``FakeExec.finish``.
    """

    chunks: Sequence[tuple[str, bytes]] = ()
    code: int = 0
    hold: float | None = 0.0


def script_for(argv: Sequence[str], scripts: dict[tuple[str, ...], Script]) -> Script:
    """The script of ``argv``: exact match, then by program name, then a few built-in programs."""
    plain = [word.removeprefix(HOLD) for word in argv]
    exact = scripts.get(tuple(plain)) or scripts.get((plain[0],))
    return exact or builtin(plain)


def builtin(argv: Sequence[str]) -> Script:
    program, rest = argv[0], list(argv[1:])
    if program == "true":
        return Script()
    if program == "false":
        return Script(code=1)
    if program == "echo":
        return Script((("stdout", " ".join(rest).encode() + b"\n"),))
    if program == "sleep":
        return Script(hold=float(rest[0]))
    if program == "sh" and rest[:1] == ["-c"]:
        return shell_line(rest[1])
    return Script((("stderr", f"{program}: program not found\n".encode()),), 127)


def shell_line(line: str) -> Script:
    """Understands ``echo WORDS [>&2]``, ``exit N`` and ``sleep N``, joined by ``;``. No more."""
    chunks: list[tuple[str, bytes]] = []
    code, hold = 0, 0.0
    for step in (part.strip() for part in line.split(";")):
        word, _, rest = step.partition(" ")
        if word == "echo":
            name = "stderr" if rest.endswith(">&2") else "stdout"
            chunks.append((name, rest.removesuffix(">&2").strip().encode() + b"\n"))
        elif word == "sleep":
            hold += float(rest)
        elif word == "exit":
            code = int(rest or 0)
            break
        else:
            code = 127
    return Script(tuple(chunks), code, hold)


class FakeExec:
    """A scripted exec: an ExecStream."""

    def __init__(self, exec_id: str, marker: str, script: Script, on_end: Callable[[int], None]):
        self.exec_id = exec_id
        self.marker = marker
        self.closed = False
        self._script = script
        self._code: int | None = None
        self._over = threading.Event()
        self._on_end = on_end
        if script.hold == 0:
            self.finish(script.code)

    @property
    def running(self) -> bool:
        return not self._over.is_set()

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        yield from self._script.chunks
        if not self._over.wait(self._script.hold):
            self.finish(self._script.code)

    def finish(self, code: int) -> None:
        """End the process with ``code``; a second end changes nothing."""
        if self.running:
            self._code = code
            self._over.set()
            self._on_end(code)

    def exit_code(self) -> int | None:
        return self._code

    def close(self) -> None:
        self.closed = True


class FakeTerminal:
    """A toy shell on a toy tty: a TerminalStream.

    It echoes, and knows ``exit [N]``, ``stty size``, ``echo WORDS``; ctrl-C drops the line. Tests
    may also push output with ``feed`` from any thread. While ``frozen`` (paused container) input
    waits. ``sizes`` lists every (cols, rows) it was given; ``written`` all input.
    """

    def __init__(self, exec_id: str, marker: str, cols: int, rows: int, prompt: bytes = PROMPT):
        self.exec_id = exec_id
        self.marker = marker
        self.sizes = [(cols, rows)]
        self.written = b""
        self.closed = False
        self.frozen = False
        self.never_began = False
        self._prompt = prompt
        self._line = b""
        self._waiting = b""
        self._out = bytearray(prompt)
        self._code: int | None = None
        self._ended = False
        self._lock = threading.Lock()

    @property
    def running(self) -> bool:
        return not self._ended

    def feed(self, data: bytes) -> None:
        """Let the shell print ``data``."""
        with self._lock:
            self._out += data

    def finish(self, code: int) -> None:
        if not self._ended:
            self._code = code
            self._ended = True

    def freeze(self, frozen: bool) -> None:
        self.frozen = frozen
        if not frozen:
            waiting, self._waiting = self._waiting, b""
            self._take(waiting)

    async def read(self, limit: int = 65536) -> bytes:
        while (data := self.read_nowait(limit)) is None:
            await asyncio.sleep(0.002)
        return data

    def read_nowait(self, limit: int) -> bytes | None:
        with self._lock:
            data = bytes(self._out[:limit])
            del self._out[:limit]
        if data:
            return data
        return b"" if self._ended or self.closed else None

    async def write(self, data: bytes) -> None:
        self.written += data
        if self.frozen:
            self._waiting += data
        else:
            self._take(data)

    async def resize(self, cols: int, rows: int) -> None:
        if self.running:
            self.sizes.append((cols, rows))

    async def exit_code(self) -> int | None:
        return self._code

    def close(self) -> None:
        self.closed = True

    def _take(self, data: bytes) -> None:
        for byte in (data[at : at + 1] for at in range(len(data))):
            if self.running:
                self._key(byte)

    def _key(self, byte: bytes) -> None:
        if byte == b"\x03":
            self._line = b""
            self.feed(b"^C\r\n" + self._prompt)
        elif byte in b"\r\n":
            line, self._line = self._line, b""
            self.feed(b"\r\n")
            self._run(line.decode(errors="replace").strip())
        else:
            self._line += byte
            self.feed(byte)

    def _run(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word == "exit":
            self.finish(int(rest or 0))
            return
        cols, rows = self.sizes[-1]
        if line == "stty size":
            self.feed(f"{rows} {cols}\r\n".encode())
        elif word == "echo":
            self.feed(rest.encode() + b"\r\n")
        elif word:
            self.feed(f"sh: {word}: not found\r\n".encode())
        self.feed(self._prompt)


def wait_until(fact: Callable[[], bool], seconds: float = 20.0) -> bool:
    """True once ``fact()`` holds, False when it did not within ``seconds``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if fact():
            return True
        time.sleep(0.005)
    return fact()
