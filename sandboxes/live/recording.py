"""One terminal's recording as its reader sees it: takes bytes and never waits.

``output``, ``typed``, ``resized`` and ``stop`` are for the event loop; ``work`` is for the writing
thread. Between them is a queue of bounded size; what does not fit is counted, and a remark in the
recording says how much is missing. It knows no database: whoever made it is told of its end.
"""

from __future__ import annotations

import errno
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from sandboxes.units import format_size

from .recording_format import OUTPUT, REMARK, SIZE, TYPED, CastFile, Full, Text
from .recording_writer import FLUSH, Writer, writer

BOUND = 8 * 1024 * 1024
"""Bytes that may wait for the disk."""
MUCH = 256 * 1024
"""Waiting bytes from which on the thread is woken at once."""
EACH = 120
"""What an item in the queue takes beside its bytes."""
TOGETHER = 0.004
"""Seconds within which output counts as one event."""

ENDED, STOPPED, CAP, DISK, KILLED = "ended", "stopped", "cap", "disk", "killed"
"""Why a recording is over: its terminal is, somebody stopped it, it is full, the disk refused, or the
process that wrote it was killed."""


@dataclass(frozen=True)
class Totals:
    """How a recording came out. ``sentence`` is for people; ``bytes`` on disk, ``cast_bytes`` unpacked."""

    reason: str
    sentence: str
    bytes: int
    cast_bytes: int
    duration: float


@dataclass(frozen=True)
class _Item:
    at: float
    code: str
    data: bytes


class Recorder:
    """Feeds one CastFile. ``on_end`` is called once, from the writing thread, with the Totals."""

    def __init__(self, file: CastFile, on_end: Callable[[Totals], None], keystrokes: bool = False,
                 thread: Writer = writer) -> None:  # fmt: skip
        self.keystrokes = keystrokes
        self._file, self._on_end, self._thread = file, on_end, thread
        self._began = time.monotonic()
        self._items: deque[_Item] = deque()
        self._put = self._taken = 0  # each is written by one side only
        self._lost, self._lost_at = 0, 0.0
        self._stop: tuple[str, str] | None = None
        self._is_over = False
        self._texts = {OUTPUT: Text(), TYPED: Text()}
        thread.add(self)

    @property
    def is_over(self) -> bool:
        """Whether it takes nothing any more."""
        return self._is_over or self._stop is not None

    # -- the event loop's side --------------------------------------------------------------------

    def output(self, data: bytes) -> None:
        """The terminal printed something."""
        self._take(OUTPUT, data)

    def typed(self, data: bytes) -> None:
        """Somebody typed; kept only where the policy says so."""
        if self.keystrokes:
            self._take(TYPED, data)

    def resized(self, cols: int, rows: int) -> None:
        """The tty has another size."""
        self._append(SIZE, f"{cols}x{rows}".encode())

    def stop(self, reason: str = ENDED, sentence: str = "") -> None:
        """End it once what waits is written. Twice is once."""
        if not self.is_over:
            self._say_lost()
            self._stop = (reason, sentence)
            self._thread.tell(hurry=True)

    def _take(self, code: str, data: bytes) -> None:
        if self.is_over:
            return
        if self._put - self._taken > BOUND:
            self._lost_at = self._lost_at if self._lost else self._now()
            self._lost += len(data)
            return
        if self._lost:
            self._say_lost()
        self._append(code, data)

    def _append(self, code: str, data: bytes, at: float | None = None) -> None:
        if self.is_over:
            return
        self._items.append(_Item(self._now() if at is None else at, code, data))
        self._put += len(data) + EACH
        self._thread.tell(self._put - self._taken > MUCH)

    def _say_lost(self) -> None:
        if self._lost:
            text = f"{format_size(self._lost)} are missing here: it came faster than it could be written."
            self._append(REMARK, text.encode(), self._lost_at)
            self._lost = 0

    def _now(self) -> float:
        return time.monotonic() - self._began

    # -- the writing thread's side ----------------------------------------------------------------

    @property
    def is_late(self) -> bool:
        """Whether its last flush was long ago."""
        return time.monotonic() - self._file.flushed_at > FLUSH

    def work(self, flush: bool) -> bool:
        """Write what waits; False once it is over."""
        stop = self._stop  # looked at first: what was put before it is in the queue by now
        try:
            self._write_waiting()
            if stop is not None:
                return self._end(*stop)
            if flush:
                self._file.flush()
        except Full:
            most = format_size(self._file.most)
            return self._end(CAP, f"The recording ended here: it has reached its size of {most}.")
        except OSError as error:
            return self._fail(error)
        return True

    def _write_waiting(self) -> None:
        while self._items:
            item = self._items.popleft()
            self._taken += len(item.data) + EACH
            self._write(item.at, item.code, self._with_neighbours(item))

    def _with_neighbours(self, item: _Item) -> bytes:
        """Output that came within a moment is one event: it was one frame on every screen, too."""
        parts = [item.data]
        while item.code == OUTPUT and self._items and self._is_near(item, self._items[0]):
            more = self._items.popleft()
            self._taken += len(more.data) + EACH
            parts.append(more.data)
        return b"".join(parts) if len(parts) > 1 else item.data

    def _is_near(self, item: _Item, other: _Item) -> bool:
        return other.code == OUTPUT and other.at - item.at < TOGETHER

    def _write(self, at: float, code: str, data: bytes) -> None:
        text = self._texts[code].take(data) if code in self._texts else self._plain(at, code, data)
        if text:
            self._file.add(max(at, self._file.last), code, text)

    def _plain(self, at: float, code: str, data: bytes) -> str:
        """A size or a remark; after a gap no character goes on from before it."""
        if code == REMARK:
            self._write_rest(at)
        return data.decode()

    def _write_rest(self, at: float) -> None:
        for code, text in self._texts.items():
            if rest := text.end():
                self._file.add(max(at, self._file.last), code, rest)

    def _end(self, reason: str, sentence: str) -> bool:
        self._is_over = True
        try:
            if reason != CAP:
                self._write_rest(self._file.last)
            self._file.close(sentence, None if reason == CAP else self._now())
        except Full:
            self._file.close()
        except OSError as error:
            return self._fail(error)
        self._tell(reason, sentence)
        return False

    def _fail(self, error: OSError) -> bool:
        self._is_over = True
        self._file.drop()
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        why = "there is no room on the disk" if is_full else "the disk refused it"
        self._tell(DISK, f"The recording ended here: {why}.")
        return False

    def _tell(self, reason: str, sentence: str) -> None:
        self._items.clear()
        file = self._file
        self._on_end(Totals(reason, sentence, file.bytes, file.size, file.last))
