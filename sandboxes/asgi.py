"""Sockets and pages of one server process: who may open a socket, which one, and the hub behind them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sandboxes.settings")

import django

django.setup(set_prefix=False)  # before anything that needs the models

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.urls import re_path
from django.utils.module_loading import import_string

from sandboxes import access
from sandboxes.consumers.base import Nowhere
from sandboxes.consumers.calm import Calm
from sandboxes.consumers.fleet import FleetConsumer
from sandboxes.consumers.origin import OwnOrigin
from sandboxes.consumers.pacing import paced
from sandboxes.consumers.sandbox import SandboxConsumer
from sandboxes.consumers.terminal import TerminalConsumer
from sandboxes.engine import get_engine
from sandboxes.lifecycle import process, watch
from sandboxes.live import hub
from sandboxes.request_ids import Sockets
from sandboxes.views.pages import Pages

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


_ONE = r"^ws/sandboxes/(?P<sandbox_id>\w+)/"
_NAME = r"(?P<name>[a-z0-9][a-z0-9-]{0,19})"
paths: dict[str, Any] = {
    r"^ws/sandboxes/$": FleetConsumer.as_asgi(),
    rf"{_ONE}$": SandboxConsumer.as_asgi(),
    rf"{_ONE}terminals/{_NAME}/$": TerminalConsumer.as_asgi(),
} | (import_string(settings.SANDBOX_ROUTES) if settings.SANDBOX_ROUTES else {})
paths[r""] = Nowhere.as_asgi()  # the last: everything else
routes: list[Any] = [re_path(pattern, consumer) for pattern, consumer in paths.items()]
sockets: Any = Sockets(Calm(AuthMiddlewareStack(OwnOrigin(URLRouter(routes)))))
router: Any = ProtocolTypeRouter({"http": Pages(), "websocket": sockets})


def make_hub() -> hub.Hub:
    """The hub with what it may not know of: lifecycle, and who may see what."""
    return hub.Hub(get_engine, on_engine_event=watch.handle, on_start=process.hold, may_see=may_see,
                   may_type=may_type, learn=access.learn)  # fmt: skip


def may_see(user: Any, sandbox: Any) -> bool:
    """The gate's answer, for sockets that are open already."""
    return access.can(user, sandbox, access.VIEW)


def may_type(user: Any, sandbox: Any) -> bool:
    """The same for typing in its terminals."""
    return access.can(user, sandbox, access.TYPE)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """One connection. The first of any kind starts the hub: not every server tells of its start."""
    hub.ensure(make_hub)
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    else:
        async with paced(send) as send:
            await router(scope, receive, send)


async def lifespan(receive: Receive, send: Send) -> None:
    """Answers servers that tell when they start and end (daphne does not)."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            hub.end()
            await asyncio.to_thread(process.say_farewell)  # such servers may end without atexit
            await send({"type": "lifespan.shutdown.complete"})
            return
