"""A request is answered in one go, in one thread, under ASGI as under WSGI."""

from __future__ import annotations

import pytest
from asgiref.sync import SyncToAsync, iscoroutinefunction, sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.test import Client
from django.urls import reverse

from sandboxes.views.pages import Pages

ENOUGH = 6
"""Times that a request goes to a thread: at its start, for itself, at its end; each middleware took two."""


async def get(path: str, client: Client) -> tuple[int, bytes]:
    """Status and body of a page as the server asks for it."""
    cookies = "; ".join(f"{one.key}={one.value}" for one in client.cookies.values())
    headers = [(b"host", b"localhost"), (b"cookie", cookies.encode())]
    scope = {"type": "http", "method": "GET", "path": path, "headers": headers, "query_string": b""}
    asked = ApplicationCommunicator(Pages(), scope)
    await asked.send_input({"type": "http.request", "body": b""})
    start = await asked.receive_output(20)
    body, more = b"", True
    while more:
        part = await asked.receive_output(20)
        body, more = body + part.get("body", b""), part.get("more_body", False)
    await asked.wait(20)
    return int(start["status"]), body


@pytest.fixture
def to_threads(monkeypatch) -> list[str]:
    """What goes from the loop to a thread."""
    taken, before = [], SyncToAsync.__call__

    async def counted(self, *args, **kwargs):
        taken.append(str(self.func))
        return await before(self, *args, **kwargs)

    monkeypatch.setattr(SyncToAsync, "__call__", counted)
    return taken


@pytest.mark.django_db(transaction=True)
async def test_a_page_goes_to_a_thread_once(client, alice, running, to_threads):
    await sync_to_async(client.force_login)(alice)
    to_threads.clear()
    status, body = await get(reverse("sandbox_list"), client)
    assert status == 200
    assert running.name.encode() in body
    assert len(to_threads) <= ENOUGH, to_threads


def test_what_is_around_the_views_is_no_coroutine():
    assert not iscoroutinefunction(Pages()._middleware_chain)
