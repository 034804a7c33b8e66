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
from django.http import HttpRequest, HttpResponse

from sandboxes.live.lanes import Lanes

ALL, EACH, NOBODYS = 40, 12, 24
"""Requests that are answered at a time: in all, of one session, of all who have none."""
PATIENCE = 10.0
"""Seconds for which one waits for its turn."""
BUSY = "Too much is asked for at once. Try again in a moment."
HEALTH = ("/healthz", "/readyz", "/metrics")
HEADERS = {
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

    async def get_response_async(self, request: HttpRequest) -> Any:
        """The answer, made in the thread of this request once it has its turn."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(PATIENCE):
                    await stack.enter_async_context(self._lane(request))
                    await stack.enter_async_context(self._all.of(""))
            except TimeoutError:
                return HttpResponse(BUSY, status=503, content_type="text/plain", headers=self._headers())
            return await self._answer(request)

    async def _answer(self, request: HttpRequest) -> Any:
        """It is over when its thread is, also where nobody waits for the answer any more."""
        work = asyncio.ensure_future(sync_to_async(self.get_response, thread_sensitive=True)(request))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            while not work.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([work])
            raise

    def _lane(self, request: HttpRequest) -> contextlib.AbstractAsyncContextManager[None]:
        session = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
        if session or request.path.startswith(HEALTH):
            return self._each.of(session)
        return self._nobodys.of("")

    def _headers(self) -> dict[str, str]:
        return HEADERS | {"Permissions-Policy": settings.PERMISSIONS_POLICY}
