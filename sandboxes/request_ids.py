"""The id of one request or one socket: taken from X-Request-ID where it is safe, else made; in the logs.

A proxy's id is taken over so that its log, ours and the audit trail can be laid side by side.
"""

from __future__ import annotations

import logging
import re
import secrets
from contextvars import ContextVar
from typing import Any

HEADER = "X-Request-ID"
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
current: ContextVar[str] = ContextVar("request_id", default="")
"""Of what this thread or task works for; empty for what nobody asked for."""


def accept(told: str) -> str:
    """What the other end calls it, if that is 8 to 64 letters, digits, dots, dashes; else a new one."""
    return told if _SAFE.fullmatch(told) else secrets.token_hex(8)


def told(scope: Any) -> Any:
    """What the answer to a socket's handshake says beside it."""
    return [(HEADER.lower().encode(), str(scope.get("request_id", "")).encode())]


class Sockets:
    """ASGI wrapper: gives each socket an id, as the middleware does for requests."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        asked = dict(scope["headers"]).get(HEADER.lower().encode(), b"").decode("latin-1")
        scope["request_id"] = accept(asked)
        current.set(scope["request_id"])
        await self.application(scope, receive, send)


class InLog(logging.Filter):
    """Gives every line of the log ``request``: the id in brackets, with a blank before; or nothing."""

    def filter(self, record: logging.LogRecord) -> bool:
        known = current.get() or getattr(getattr(record, "request", None), "request_id", "")
        record.request_note = f" [{known}]" if known else ""
        return True
