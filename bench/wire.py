"""A WebSocket client that adds next to nothing: what is measured should be the server.

Only what a bench of our own server needs: no extensions, no TLS.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
from urllib.parse import urlsplit

MORE, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Closed(Exception):
    """The server closed the connection."""


class Wire:
    """One socket, for ``async with``; ``recv`` gives bytes for a binary frame and str for a text one."""

    def __init__(self, url: str, origin: str, cookies: str) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._head = (
            f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nOrigin: {origin}\r\n"
            f"Cookie: {cookies}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        ).encode()
        self._mask = secrets.token_bytes(4)
        self._came = bytearray()

    async def __aenter__(self) -> Wire:
        self._sock = socket.create_connection(self._address)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock.setblocking(False)
        self._loop = asyncio.get_running_loop()
        await self._loop.sock_sendall(self._sock, self._head)
        while (end := self._came.find(b"\r\n\r\n")) < 0:
            await self._more()
        if b" 101 " not in self._came[:40]:
            raise Closed(self._came[:end].decode("latin-1"))
        del self._came[: end + 4]
        return self

    async def __aexit__(self, *failure: object) -> None:
        self._sock.close()

    async def send(self, data: bytes | str) -> None:
        """One whole message."""
        kind, payload = (BINARY, data) if isinstance(data, bytes) else (TEXT, data.encode())
        await self.send_raw(framed(kind, payload, self._mask))

    async def send_raw(self, data: bytes) -> None:
        """Bytes as they are: frames made by hand, or none."""
        await self._loop.sock_sendall(self._sock, data)

    async def recv(self) -> bytes | str:
        """The next frame's payload. Raises Closed."""
        while True:
            kind, payload = await self.frame()
            if kind == CLOSE:
                raise Closed
            if kind in (TEXT, BINARY):
                return payload.decode() if kind == TEXT else payload

    async def frame(self) -> tuple[int, bytes]:
        """The next frame of any kind. Raises Closed without one."""
        while not (found := self._cut()):
            await self._more()
        return found

    async def _more(self) -> None:
        data = await self._loop.sock_recv(self._sock, 256 * 1024)
        if not data:
            raise Closed
        self._came += data

    def _cut(self) -> tuple[int, bytes] | None:
        """Take one whole frame from what came."""
        came = self._came
        if len(came) < 10 and (len(came) < 2 or len(came) < 2 + (came[1] if came[1] < 126 else 8)):
            return None
        begin, size = 2, came[1]
        if size == 126:
            begin, (size,) = 4, struct.unpack_from(">H", came, 2)
        elif size == 127:
            begin, (size,) = 10, struct.unpack_from(">Q", came, 2)
        if len(came) < begin + size:
            return None
        kind, payload = came[0] & 15, bytes(memoryview(came)[begin : begin + size])
        del came[: begin + size]
        return kind, payload


def framed(kind: int, payload: bytes, mask: bytes, end: bool = True) -> bytes:
    """One masked frame; not the ``end`` of its message: MORE follows."""
    size, first = len(payload), (0x80 if end else 0) | kind
    if size < 126:
        head = bytes([first, 0x80 | size])
    elif size < 1 << 16:
        head = struct.pack(">BBH", first, 0xFE, size)
    else:
        head = struct.pack(">BBQ", first, 0xFF, size)
    key = (mask * (size // 4 + 1))[:size]
    return head + mask + (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(size)
