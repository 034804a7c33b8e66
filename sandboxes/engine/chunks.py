"""Reads an endless HTTP answer piece by piece: chunked transfer coding, then one JSON per line.

Done here because the HTTP library can only block on such an answer; whoever reads an event stream
must be able to look up every second.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .base import Unreachable

_LONGEST_LINE = 16 << 20


class Dechunker:
    """Takes the chunk sizes out of what is fed. ``ended`` once the last chunk has been seen."""

    def __init__(self) -> None:
        self._pending = b""
        self._left = 0
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        """The payload in ``data``. Raises Unreachable when it is not chunked."""
        self._pending += data
        out = bytearray()
        while self._pending and not self.ended:
            if self._left:
                self._take_payload(out)
            elif not self._read_size():
                break
        return bytes(out)

    def _take_payload(self, out: bytearray) -> None:
        piece, self._pending = self._pending[: self._left], self._pending[self._left :]
        self._left -= len(piece)
        out += piece

    def _read_size(self) -> bool:
        """Read one size line; False while it is incomplete."""
        line, found, rest = self._pending.removeprefix(b"\r\n").partition(b"\r\n")
        if not found:
            if len(line) > 64:
                raise Unreachable("The engine's answer made no sense.", repr(line[:64]))
            return False
        try:
            self._left = int(line.split(b";")[0], 16)
        except ValueError:
            raise Unreachable("The engine's answer made no sense.", repr(line[:64])) from None
        self._pending, self.ended = rest, self._left == 0
        return True


class JsonLines:
    """Feed it bytes, get the objects of the complete lines back."""

    def __init__(self, chunked: bool) -> None:
        self._chunks = Dechunker() if chunked else None
        self._line = b""

    @property
    def ended(self) -> bool:
        """Whether the sender has said that this is all."""
        return self._chunks is not None and self._chunks.ended

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Raises Unreachable when a line is no JSON object."""
        self._line += self._chunks.feed(data) if self._chunks else data
        *lines, self._line = self._line.split(b"\n")
        if len(self._line) > _LONGEST_LINE:
            raise Unreachable("The engine's answer made no sense.", "an endless line")
        yield from (parse(line) for line in lines if line.strip())


def parse(line: bytes) -> dict[str, Any]:
    """One line as a JSON object. Raises Unreachable when it is none."""
    try:
        found = json.loads(line)
    except ValueError as error:
        raise Unreachable("The engine's answer made no sense.", repr(line[:200])) from error
    if not isinstance(found, dict):
        raise Unreachable("The engine's answer made no sense.", repr(line[:200]))
    return found
