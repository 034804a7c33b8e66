"""Sockets through the whole application, as a browser of the cast would open them."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.test import Client

from sandboxes.asgi import application
from sandboxes.engine import set_engine
from sandboxes.engine.base import EngineError
from sandboxes.engine.docker_engine import DockerEngine
from sandboxes.live import hub
from tests import recording
from tests.fakes.engine import STARTER
from tests.live.helpers import Socket, TerminalPage

OURS = "http://testserver"
INSTALL = f"test-{secrets.token_hex(4)}"


@pytest.fixture
async def open_socket(engine: Any, transactional_db: None) -> AsyncIterator[Callable[..., Any]]:
    """``await open_socket("/ws/sandboxes/", alice)``: a Socket, connected or refused; closed at the end."""
    opened: list[Socket] = []

    async def connect(path: str, user: Any = None, client: Client | None = None, **headers: str) -> Socket:
        client = client or Client()
        if user is not None:
            await sync_to_async(client.force_login)(user)
        cookies = "; ".join(f"{name}={one.value}" for name, one in client.cookies.items())
        wanted = {"origin": OURS, "host": "testserver", "cookie": cookies} | headers
        pairs = [(name.encode(), value.encode()) for name, value in wanted.items() if value]
        socket = Socket(WebsocketCommunicator(application, path, pairs), client)
        opened.append(socket)
        await socket.connect()
        return socket

    try:
        yield connect
        for socket in opened:
            await socket.close()
    finally:
        hub.end()


@pytest.fixture
def open_terminal(open_socket: Callable[..., Any]) -> Callable[..., Any]:
    """``await open_terminal(sandbox.pk, alice)``: a page of a terminal."""

    async def connect(
        sandbox_id: str, user: Any, name: str = "main", query: str = "cols=80&rows=24"
    ) -> TerminalPage:
        return TerminalPage(await open_socket(f"/ws/sandboxes/{sandbox_id}/terminals/{name}/?{query}", user))

    return connect


@pytest.fixture
def real_engine() -> Iterator[DockerEngine]:
    """The real engine as the process-wide one; its containers are gone afterwards."""
    made = DockerEngine(INSTALL, network=INSTALL)
    try:
        made.ping()
        made.build_starter(STARTER)
    except EngineError as error:
        refuse(f"no usable Docker Engine: {error} ({error.detail})")
    set_engine(made)
    yield made
    for one in made.list():
        made.remove(one.native_id)
    recording.put_away(INSTALL)
    made.close()


def refuse(reason: str) -> None:
    """Skip on a developer's machine; in CI nothing may be skipped."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
