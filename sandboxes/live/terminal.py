"""One interactive shell that belongs to the server: read once, numbered, shown to many viewers.

It knows no database: who opens, ends and records it is passed in. The reader stops when even the
viewer that is furthest on is a window behind, so that nothing unseen is lost and nothing grows.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Any

from sandboxes.engine.base import EngineError, TerminalStream

from .ending import UNKNOWN, Ending, Hooks
from .recording import Recorder
from .ring import Ring
from .tasks import Tasks, tried
from .viewers import FRAME, WINDOW, Viewer, Viewers

log = logging.getLogger(__name__)

KEPT = 1024 * 1024
"""Bytes of output kept for replay."""
SMALL = 1024
"""A chunk below this goes out at once; from here on more is gathered first."""
GATHER = 0.002
"""Seconds for which a large chunk waits for its neighbours."""
INPUT_BOUND = 1024 * 1024
"""Bytes typed that the shell has not taken yet."""
PIECE = 64 * 1024
"""Most typed bytes that are handed over at once."""
APART = 0.05
"""Seconds between two sizes that the tty and the viewers are told."""
LEADS = 0.25
"""Seconds for which the one who typed leads before another may."""
CODE = 1.0
"""Seconds for which the exit code is waited for; meanwhile the viewers see nothing happen."""
LET_GO = 4.0
"""Seconds after which the stream is closed when ending the processes did not end it."""
SENT_AWAY = 20.0
"""Seconds at most that a shell lives on after its last viewer lost the right to it."""


class TooMuch(Exception):
    """More was typed than the program takes."""


class LiveTerminal:
    """A shell under way. All methods are for the event loop it was made on."""

    def __init__(self, shell: str, stream: TerminalStream, hooks: Hooks, grace: float,
                 recorder: Recorder | None = None) -> None:  # fmt: skip
        self.shell = shell
        self.recorder = recorder
        """What keeps all it shows; set from the start, or by its owner later."""
        self.ring = Ring(KEPT)
        self.size = (0, 0)
        self.ending: Ending | None = None
        self.over = asyncio.Event()
        """Set once its viewers have been told that it ended."""
        self.recorded = asyncio.Event()
        """Set once its end is written down too: its name is free."""
        self._stream, self._hooks, self._grace = stream, hooks, grace
        self._seen = 0
        self._room = asyncio.Event()
        self._input = bytearray()
        self._is_fitting = self._is_redrawing = False
        self._led = 0.0
        self._writing: asyncio.Task[None] | None = None
        left = asyncio.get_running_loop().call_later(grace, self._left)  # who asked for it may be gone
        self._alone: asyncio.TimerHandle | None = left
        self._do = Tasks().do
        self.viewers = Viewers(self._do)
        self.record: Any = None
        self.recording: Any = None
        self.presence: Any = None
        self.before: dict[str, Any] = {}
        """What its greeting says of the shell before it."""
        self.typed_at = 0.0
        """When somebody typed in it last, in seconds since the epoch."""
        self._reader = self._do(self._run())

    # -- viewers ----------------------------------------------------------------------------------

    async def attach(self, viewer: Viewer, offset: int | None, shell: str) -> None:
        """Let a viewer in: say where it begins, replay from there, and go on live.

        ``offset`` is honoured when it is of this very shell and still kept.
        """
        ring = self.ring
        resumed = offset is not None and shell == self.shell and ring.start <= offset <= ring.head
        start = offset if resumed and offset is not None else ring.start
        viewer.place(start)
        if resumed:
            self._note_seen(start)  # its acknowledgement may have been lost with its connection
        self._stay()
        self.viewers.append(viewer)
        viewer.hold()  # nothing may overtake the greeting
        self._fit(but=viewer)
        await viewer.send_json(self._greeting(viewer, start, resumed))
        viewer.release()
        viewer.flush(ring)
        self.viewers.tell_who(but=viewer)
        self.viewers.tell_beside()
        if self.over.is_set():
            await viewer.send_json(self._last_words())

    def _greeting(self, viewer: Viewer, start: int, resumed: bool) -> dict[str, Any]:
        return {"type": "attached", "shell": self.shell, "offset": start, "head": self.ring.head,
                "resumed": resumed, "grace": round(self._grace), "viewers": len(self.viewers),
                "cols": self.size[0], "rows": self.size[1],
                **self.viewers.part_of(viewer), **self.before}  # fmt: skip

    def detach(self, viewer: Viewer, sent_away: bool = False) -> None:
        """A viewer has left; the shell goes on for a while, for less where they may not come back."""
        if viewer not in self.viewers:
            return
        self.viewers.remove(viewer)
        viewer.stop()
        self.viewers.tell_beside()
        if self.viewers:
            self._fit()
            self.viewers.tell_who()
        elif self.ending is None:
            grace = min(self._grace, SENT_AWAY) if sent_away else self._grace
            self._alone = asyncio.get_running_loop().call_later(grace, self._left)

    def _stay(self) -> None:
        if self._alone is not None:
            self._alone.cancel()
            self._alone = None

    def _left(self) -> None:
        if not self.viewers:
            self.end(Ending("left", "Nobody was watching any more, so the shell was ended.", again=True))

    def tell(self, message: dict[str, Any], but: Viewer | None = None) -> None:
        """Send one message to every viewer, soon; none waits for another."""
        self.viewers.tell(message, but)

    def acknowledge(self, viewer: Viewer, offset: int) -> None:
        """A viewer has drawn up to ``offset``: it gets more, and perhaps so does the reader."""
        viewer.acknowledge(offset)
        self._note_seen(viewer.acked)
        viewer.flush(self.ring)

    def _note_seen(self, offset: int) -> None:
        self._seen = max(self._seen, offset)
        self._room.set()

    # -- size -------------------------------------------------------------------------------------

    def resize(self, viewer: Viewer, cols: int, rows: int) -> None:
        """A viewer's window changed; the tty is as large as the smallest of them."""
        viewer.cols, viewer.rows = cols, rows
        self._fit()

    def let_type(self, viewer: Viewer, may: bool) -> None:
        """A viewer may type from now on, or only watch."""
        viewer.only_watches = not may
        viewer.answers = viewer.is_owner
        if self.viewers:
            self._fit()
            self.viewers.tell_who()

    def _fit(self, but: Viewer | None = None) -> None:
        shaping = [viewer for viewer in self.viewers if not viewer.only_watches] or self.viewers
        cols = min(viewer.cols for viewer in shaping)
        rows = min(viewer.rows for viewer in shaping)
        if (cols, rows) != self.size:
            self.size = (cols, rows)
            if not self._is_fitting:
                self._do(self._settle(but))

    async def _settle(self, but: Viewer | None) -> None:
        """Tell the tty and the viewers, the first at once; of many sizes in a moment only the last."""
        self._is_fitting, told = True, None
        while told != self.size:
            told = cols, rows = self.size
            self.tell({"type": "size", "cols": cols, "rows": rows}, but)
            but = None
            if self.recorder is not None:
                self.recorder.resized(cols, rows)
            await self._apply(cols, rows)
            await asyncio.sleep(APART)
        self._is_fitting = False

    async def _apply(self, cols: int, rows: int) -> None:
        with contextlib.suppress(EngineError):
            await self._stream.resize(cols, rows)

    def redraw(self) -> None:
        """Have a full-screen program draw itself anew: a row less, and back."""
        if not self._is_redrawing:
            self._do(self._nudge())

    async def _nudge(self) -> None:
        self._is_redrawing = True
        cols, rows = self.size
        await self._apply(cols, max(rows - 1, 1))
        await asyncio.sleep(APART)
        await self._apply(*self.size)
        self._is_redrawing = False

    # -- input ------------------------------------------------------------------------------------

    def type(self, viewer: Viewer, data: bytes) -> None:
        """Hand typed bytes to the shell. Raises TooMuch when it does not take them.

        Whoever types leads: only the leader's page may answer a program's questions to the tty.
        """
        if len(self._input) + len(data) > INPUT_BOUND:
            raise TooMuch
        self._lead(viewer)
        self.typed_at = time.time()
        self._input += data
        if self.recorder is not None:
            self.recorder.typed(data)
        self._hooks.typed()
        if self._writing is None:
            self._writing = self._do(self._write())
            if self._writing.done():
                self._writing = None

    def _lead(self, viewer: Viewer) -> None:
        leads = self.viewers[:1] == [viewer] and viewer.answers
        if viewer in self.viewers and not leads:
            if (now := time.monotonic()) < self._led + LEADS:
                return
            self._led, viewer.answers = now, True
            self.viewers.remove(viewer)
            self.viewers.insert(0, viewer)
            self.viewers.tell_who()

    async def _write(self) -> None:
        try:
            while self._input:
                piece = bytes(self._input[:PIECE])
                await self._stream.write(piece)
                del self._input[: len(piece)]
        except EngineError:
            self._input.clear()  # the reader sees the end too, and says why
        finally:
            self._writing = None

    # -- output -----------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            await self._read()
        except EngineError as error:
            log.info("A terminal's stream broke: %s", error.detail or error)
        except Exception:
            log.exception("A terminal could not be read")
        await self._conclude()

    async def _read(self) -> None:
        while True:
            await self._credit()
            data = await self._stream.read(FRAME)
            if not data:
                return
            self._show(data if len(data) < SMALL else await self._gather(data))

    async def _credit(self) -> None:
        while self.ring.head - self._seen >= WINDOW and self.ending is None:
            self._room.clear()
            await self._room.wait()

    async def _gather(self, data: bytes) -> bytes:
        """A large chunk takes its neighbours along: one frame instead of many."""
        parts, size, waited = [data], len(data), False
        while size < FRAME:
            more = self._stream.read_nowait(FRAME - size)
            if more:
                parts.append(more)
                size += len(more)
            elif more is None and not waited:
                waited = True
                await asyncio.sleep(GATHER)
            else:
                break
        return b"".join(parts)

    def _show(self, data: bytes) -> None:
        self.ring.add(data)
        for viewer in self.viewers:
            viewer.flush(self.ring)
        if self.recorder is not None:
            self.recorder.output(data)

    # -- the end ----------------------------------------------------------------------------------

    def end(self, ending: Ending) -> None:
        """End the shell and all it started, for the reason given. Twice is once."""
        if self.ending is not None:
            return
        self.ending = ending
        self._room.set()
        self._do(self._end())

    async def _end(self) -> None:
        self._do(self._kill())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), LET_GO)
        self._stream.close()

    async def _kill(self) -> None:
        await tried(self._hooks.kill())

    async def _conclude(self) -> None:
        """The stream is over: say why, write it down, and leave no process behind."""
        if self.ending is None:
            code = await self._code()
            why = await tried(self._hooks.explain(code)) or Ending(*UNKNOWN, again=True, exit_code=code)
            if self.ending is None:
                self.ending = why
                self._do(self._kill())
        self._stay()
        if self.recorder is not None:
            self.recorder.stop(sentence=self.ending.sentence)
        await self._flushed()
        self.tell(self._last_words())
        self.over.set()
        self._stream.close()
        assert self.ending is not None
        await tried(self._hooks.ended(self.ending))
        self.recorded.set()

    def _last_words(self) -> dict[str, Any]:
        ending = self.ending
        assert ending is not None
        return {"type": "ended", "reason": ending.reason, "sentence": ending.sentence,
                "again": ending.again, "exit_code": ending.exit_code}  # fmt: skip

    async def _code(self) -> int | None:
        """None as well when it is not known soon: the stream was cut, and the shell may live on."""
        with contextlib.suppress(EngineError, TimeoutError):
            return await asyncio.wait_for(self._stream.exit_code(), CODE)
        return None

    async def _flushed(self) -> None:
        """Give the last bytes a moment to reach those who keep up."""
        for _ in range(20):
            if all(viewer.sent == self.ring.head for viewer in self.viewers):
                return
            await asyncio.sleep(0.05)
