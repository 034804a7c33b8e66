"""Parses the engine's multiplexed output: an 8-byte header, then that many bytes of one stream.

Source: Docker Engine API v1.41, "Attach to a container", stream format. Nothing is assumed about
where the pieces that arrive are cut.
"""

from __future__ import annotations

from collections.abc import Iterator

from .base import Unreachable

_HEADER = 8
_NAMES = {1: "stdout", 2: "stderr", 3: "stderr"}  # 3 is the engine's own complaint


class FrameParser:
    """Feed it what arrives, get ``("stdout" | "stderr", bytes)`` back, byte-exact and in order.

    A frame's payload is handed on as it arrives, not gathered, so memory stays bounded.
    """

    def __init__(self) -> None:
        self._header = b""
        self._name = ""
        self._left = 0

    def feed(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        """Raises Unreachable when it is no such stream."""
        at, end = 0, len(data)
        while at < end:
            if self._left:
                piece = data[at : at + self._left]
                self._left -= len(piece)
                at += len(piece)
                yield self._name, piece
            else:
                at = self._read_header(data, at)

    def finish(self) -> None:
        """Call at the end. Raises Unreachable when the stream broke off inside a frame."""
        if self._left or self._header:
            raise Unreachable("The engine's stream broke off.", "end of stream inside a frame")

    def _read_header(self, data: bytes, at: int) -> int:
        wanted = _HEADER - len(self._header)
        self._header += data[at : at + wanted]
        if len(self._header) == _HEADER:
            kind, self._left = self._header[0], int.from_bytes(self._header[4:], "big")
            if kind not in _NAMES or self._header[1:4] != b"\0\0\0":
                raise Unreachable("The engine's answer made no sense.", repr(self._header))
            self._name, self._header = _NAMES[kind], b""
        return at + wanted
