"""Sockets while the database or Redis is away: they close with "try again later", and one line says why."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

from sandboxes.away import is_away

log = logging.getLogger(__name__)

LATER = 1013
"""The protocol's own code for it; pages come again by themselves."""


class Calm:
    """ASGI wrapper. A socket that was not open yet is refused; its page comes again as well."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        try:
            await self.application(scope, receive, send)
        except Exception as error:
            if not is_away(error):
                raise
            reason = (str(error) or type(error).__name__).splitlines()[0]
            log.warning("A socket was sent away for now: %s", reason)
            with suppress(Exception):  # it may be closed already
                await send({"type": "websocket.close", "code": LATER})
