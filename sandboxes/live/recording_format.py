"""asciicast v2, written and read: a JSON header line, then a line ``[seconds, code, text]`` an event.

Codes: ``o`` output, ``i`` typed, ``r`` a new size ("100x30"), ``m`` a remark of ours. On disk it is
gzip whose every second ends on a byte (a sync flush), so that a file that was cut off can be read.
"""

from __future__ import annotations

import codecs
import json
import os
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OUTPUT, TYPED, SIZE, REMARK = "o", "i", "r", "m"
BITS = 16 + 13
"""gzip with a window of 8 KiB: many recordings are written at once, and each keeps its window."""
MEMORY, LEVEL = 6, 2
PIECE = 64 * 1024
ROOM = 256
"""Bytes below the most there may be that are kept for the last remark."""


class Full(Exception):
    """The recording has reached its size."""


class Text:
    """Bytes as text however they are cut into pieces; what is no UTF-8 becomes U+FFFD."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def take(self, data: bytes) -> str:
        """The text that is complete by now; the start of a character waits for its rest."""
        return self._decoder.decode(data)

    def end(self) -> str:
        """What waited in vain."""
        text = self._decoder.decode(b"", True)
        self._decoder.reset()
        return text


def header(cols: int, rows: int, at: float, title: str, shell: str) -> bytes:
    """The first line; ``at`` in seconds since 1970."""
    return _line({"version": 2, "width": cols, "height": rows, "timestamp": int(at), "title": title,
                  "env": {"TERM": "xterm-256color", "SHELL": shell}})  # fmt: skip


def event(at: float, code: str, text: str) -> bytes:
    """One event's line; ``at`` in seconds since the start."""
    return f'[{at:.6f}, "{code}", '.encode() + _line(text)[:-1] + b"]\n"


def _line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


class CastFile:
    """A recording being written. For one thread at a time; every method may raise OSError.

    ``most`` bounds ``size``, the bytes of the cast; ``bytes`` of them lie on disk, compressed.
    """

    def __init__(self, path: Path, head: bytes, most: int) -> None:
        """Make the file, mode 0600, with its first line on disk. Raises OSError, leaving nothing behind."""
        self.path, self.most = path, most
        self.size = self.bytes = 0
        self.last = 0.0
        self.flushed_at = time.monotonic()
        self._gzip = zlib.compressobj(LEVEL, zlib.DEFLATED, BITS, MEMORY)
        self._is_dirty = False
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            self._put(head)
            self.flush()
        except OSError:
            self.discard()
            raise

    def add(self, at: float, code: str, text: str) -> None:
        """Append an event. Raises Full when it would not fit: then only ``close`` may follow."""
        line = event(at, code, text)
        if self.size + len(line) > self.most - ROOM:
            raise Full
        self.last = at
        self._put(line)

    def flush(self) -> None:
        """Have everything so far on disk, readable whatever happens next."""
        if self._is_dirty:
            self._write(self._gzip.flush(zlib.Z_SYNC_FLUSH))
            self._is_dirty = False
        self.flushed_at = time.monotonic()

    def close(self, remark: str = "", at: float | None = None) -> None:
        """End it properly, with a last word. Nothing of it stays open, whatever is raised."""
        try:
            if remark:
                self.last = self.last if at is None else max(at, self.last)
                self._put(event(self.last, REMARK, remark))
            self._write(self._gzip.flush(zlib.Z_FINISH))
        finally:
            self.drop()

    def drop(self) -> None:
        """Let go of it as it is: readable up to the last flush."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def discard(self) -> None:
        """Let go of it and remove it."""
        self.drop()
        self.path.unlink(missing_ok=True)

    def _put(self, line: bytes) -> None:
        self.size += len(line)
        self._is_dirty = True
        self._write(self._gzip.compress(line))

    def _write(self, data: bytes) -> None:
        """All of it; a disk that takes a part only is asked again, and then says why."""
        view = memoryview(data)
        while view:
            done = os.write(self._fd, view)
            self.bytes += done
            view = view[done:]


# -- reading ------------------------------------------------------------------------------------


def read(path: Path) -> Iterator[bytes]:
    """The cast, in pieces of whole lines, as far as it is readable. Raises OSError."""
    rest = b""
    with path.open("rb") as file:
        for piece in _unpacked(file):
            whole, newline, tail = piece.rpartition(b"\n")
            if newline:
                yield rest + whole + newline
                rest = tail
            else:
                rest += tail


def _unpacked(file: Any) -> Iterator[bytes]:
    gzip = zlib.decompressobj(31)
    while not gzip.eof and (data := file.read(PIECE)):
        try:
            while data and not gzip.eof:
                piece = gzip.decompress(data, 16 * PIECE)
                data = gzip.unconsumed_tail
                yield piece
        except zlib.error:
            return


def measure(path: Path) -> tuple[float, int]:
    """Seconds up to the last event, and the bytes of the cast. Raises OSError."""
    last, size = b"", 0
    for piece in read(path):
        size += len(piece)
        last = piece[piece.rfind(b"\n", 0, -1) + 1 :]
    try:
        at = json.loads(last)[0]
    except (ValueError, KeyError, IndexError, TypeError):
        at = 0.0
    return float(at), size
