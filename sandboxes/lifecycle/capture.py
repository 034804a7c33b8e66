"""Keeps the beginning and the end of a stream of bytes, and counts all of it."""

from __future__ import annotations

from collections import deque


class Capture:
    """The first half of ``cap`` bytes and the last half; in between bytes are counted and let go."""

    def __init__(self, cap: int) -> None:
        self._head_cap = cap - cap // 2
        self._tail_cap = cap // 2
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self.total = 0

    def add(self, data: bytes) -> None:
        """Take the next bytes; any size."""
        self.total += len(data)
        room = self._head_cap - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if data:
            self._add_to_tail(data[-self._tail_cap :] if self._tail_cap else b"")

    def _add_to_tail(self, data: bytes) -> None:
        self._tail.append(data)
        self._tail_size += len(data)
        while self._tail_size - len(self._tail[0]) >= self._tail_cap and len(self._tail) > 1:
            self._tail_size -= len(self._tail.popleft())

    @property
    def kept(self) -> bytes:
        """What is kept, head and tail in one."""
        tail = b"".join(self._tail)
        return bytes(self._head) + tail[max(len(tail) - self._tail_cap, 0) :]

    @property
    def head(self) -> int:
        """After how many of the kept bytes some are left out; 0 when none are."""
        return len(self._head) if self.total > self._head_cap + self._tail_cap else 0
