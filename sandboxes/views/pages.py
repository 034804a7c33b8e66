"""The ASGI application for HTTP: middlewares and view of a request run in one go, in its thread.

They are synchronous. Django's own would take each step of each middleware from the loop to that thread and
back by itself, which costs more than a small page does.

A request has a thread and a database connection of its own, so there is a bound on how many are answered at a
time, and a lower one on how many of one person; more wait on the loop, which costs nothing, for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.db import close_old_connections
from django.http import HttpRequest
from django.http.cookie import parse_cookie

from sandboxes.live.lanes import Lanes

ALL, EACH, NOBODYS = 40, 12, 24
"""Requests that are answered at a time: in all, of one session, of all who have none."""
PATIENCE = 10.0
"""Seconds for which one waits for its turn."""
BUSY = "Too much is asked for at once. Try again in a moment."
HEALTH = ("/healthz", "/readyz", "/metrics")
TURN = "sandboxes.turn"
HEADERS = {
    "Content-Type": "text/plain; charset=utf-8",
    "Retry-After": "5",
    "Cache-Control": "no-store, private",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
}
"""Of an answer that no middleware sees."""


class Pages(ASGIHandler):
    """As ``django.core.asgi.get_asgi_application`` gives it, but for the above. Needs ``django.setup()``."""

    def __init__(self) -> None:
        super().__init__()
        self._all, self._each, self._nobodys = Lanes(ALL), Lanes(EACH), Lanes(NOBODYS)

    def load_middleware(self, is_async: bool = False) -> None:
        """As for WSGI."""
        super().load_middleware(is_async=False)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answered once it has its turn, which comes before it has a thread, and ends with the view."""
        async with contextlib.AsyncExitStack() as turn:
            try:
                async with asyncio.timeout(PATIENCE):
                    await turn.enter_async_context(self._lane(scope))
                    await turn.enter_async_context(self._all.of(""))
            except TimeoutError:
                return await _tell_busy(send)
            return await super().__call__(scope | {TURN: turn}, receive, send)

    async def get_response_async(self, request: Any) -> Any:
        """The answer, made in the thread of this request; it may be read as slowly as its reader likes."""
        try:
            return await self._answer(request)
        finally:
            await request.scope[TURN].aclose()

    async def _answer(self, request: HttpRequest) -> Any:
        """It is over when its thread is, also where nobody waits for the answer any more."""
        work = asyncio.ensure_future(sync_to_async(self._make, thread_sensitive=True)(request))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            while not work.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([work])
            raise

    def _make(self, request: HttpRequest) -> Any:
        try:
            return self.get_response(request)
        finally:
            close_old_connections()  # or a slow reader would keep one

    def _lane(self, scope: Any) -> contextlib.AbstractAsyncContextManager[None]:
        cookies = b"; ".join(value for name, value in scope["headers"] if name == b"cookie")
        session = parse_cookie(cookies.decode("latin-1")).get(settings.SESSION_COOKIE_NAME, "")
        if session or scope["path"].startswith(HEALTH):
            return self._each.of(session)
        return self._nobodys.of("")


async def _tell_busy(send: Any) -> None:
    headers = HEADERS | {"Permissions-Policy": settings.PERMISSIONS_POLICY}
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 503, "headers": raw})
    await send({"type": "http.response.body", "body": BUSY.encode()})
