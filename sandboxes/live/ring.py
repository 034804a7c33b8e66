"""The last bytes of a stream, each with its number; it forgets the oldest and never grows."""

from __future__ import annotations

import time
from collections import deque

BLOCK = 16 * 1024
"""Small chunks are kept together up to this size: a program may well write byte by byte."""


class Ring:
    """Bytes ``start`` to ``head`` of a stream, at most ``capacity`` of them (rounded up by one chunk).

    They are kept in blocks, which are dropped whole: adding costs the same however full it is.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.start = 0
        self.head = 0
        self.added_at = 0.0
        """When bytes were added last, in seconds since the epoch."""
        self._block = min(BLOCK, capacity // 16)
        self._blocks: deque[bytes | bytearray] = deque()

    def add(self, data: bytes) -> None:
        """Append bytes; the oldest go when there is no room."""
        last = self._blocks[-1] if self._blocks else b""
        if isinstance(last, bytearray) and len(last) + len(data) <= self._block:
            last += data
        else:
            self._blocks.append(data if len(data) >= self._block else bytearray(data))
        self.head += len(data)
        self.added_at = time.time()
        while self.head - self.start > self.capacity and len(self._blocks) > 1:
            self.start += len(self._blocks.popleft())

    def read(self, offset: int, limit: int) -> bytes:
        """Up to ``limit`` bytes from ``offset`` on. Raises ValueError outside of what is kept."""
        if not self.start <= offset <= self.head:
            raise ValueError(f"byte {offset} is not kept ({self.start} to {self.head})")
        tail, last = self.head - offset, self._blocks[-1] if self._blocks else b""
        if tail > min(len(last), limit):
            return self._collect(offset, limit)
        if tail == len(last) and isinstance(last, bytes):
            return last  # what has just come, without a copy
        return bytes(last[len(last) - tail :])

    def _collect(self, offset: int, limit: int) -> bytes:
        parts: list[bytes | bytearray] = []
        at, end = self.start, offset + limit
        for block in self._blocks:
            if at >= end:
                break
            if at + len(block) > offset:
                parts.append(block[max(offset - at, 0) : end - at])
            at += len(block)
        return b"".join(parts)
