"""The ASGI application for HTTP: middlewares and view of a request run in one go, in its thread.

They are synchronous. Django's own would take each step of each middleware from the loop to that thread and
back by itself, which costs more than a small page does.
"""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest


class Pages(ASGIHandler):
    """As ``django.core.asgi.get_asgi_application`` gives it, but for the above. Needs ``django.setup()``."""

    def load_middleware(self, is_async: bool = False) -> None:
        """As for WSGI."""
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> Any:
        """The answer, made in the thread of this request."""
        return await sync_to_async(self.get_response, thread_sensitive=True)(request)
