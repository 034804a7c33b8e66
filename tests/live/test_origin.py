"""Only our own pages may open a socket."""

from __future__ import annotations

from typing import Any

import pytest

from sandboxes.consumers.origin import is_ours
from sandboxes.models import Event, Outcome
from tests.live.helpers import refused

ORIGINS = [
    ("http://testserver", True),
    ("http://testserver:80", True),
    ("HTTP://TestServer", True),
    ("https://testserver", False),
    ("http://testserver:9999", False),
    ("http://testserver.evil.example", False),
    ("http://evil.example", False),
    ("http://user@testserver", False),
    ("http://testserver/path", False),
    ("null", False),
    ("", False),
    ("http://testserver:port", False),
    ("https://trusted.example", True),
    ("https://a.wild.example", True),
    ("http://a.wild.example", False),
]


@pytest.mark.parametrize(("origin", "accepted"), ORIGINS)
async def test_origin(open_socket: Any, alice: Any, settings: Any, origin: str, accepted: bool) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://trusted.example", "https://*.wild.example"]
    socket = await open_socket("/ws/sandboxes/", alice, origin=origin)
    assert socket.is_open is accepted
    assert await Event.objects.filter(outcome=Outcome.REFUSED).aexists() is not accepted


async def test_a_foreign_page_is_on_record_with_whose_browser_it_was(open_socket: Any, alice: Any) -> None:
    await open_socket("/ws/sandboxes/sb_x/", alice, origin="http://testserver:9999")
    assert await refused() == ("socket.open", "alice", "", "origin")
    event = await Event.objects.afirst()
    assert event
    assert event.reason.endswith("http://testserver:9999")
    assert event.detail["path"] == "/ws/sandboxes/sb_x/"


async def test_a_stranger_from_a_foreign_page_is_on_record_too(open_socket: Any) -> None:
    await open_socket("/ws/sandboxes/", origin="x" * 5000)
    assert await refused() == ("socket.open", "", "", "origin")


async def test_an_anonymous_visitor_is_refused_before_accept(open_socket: Any) -> None:
    assert not (await open_socket("/ws/sandboxes/")).is_open


async def test_a_path_that_leads_nowhere_is_refused(open_socket: Any, alice: Any) -> None:
    assert not (await open_socket("/ws/elsewhere/", alice)).is_open


def scope(origin: str, host: str, scheme: str = "ws", **more: str) -> dict[str, Any]:
    headers = {"origin": origin, "host": host} | {name.replace("_", "-"): text for name, text in more.items()}
    return {"scheme": scheme, "headers": [(name.encode(), text.encode()) for name, text in headers.items()]}


def test_the_port_is_part_of_it(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["localhost", "[::1]"]
    assert is_ours(scope("http://localhost:8000", "localhost:8000"))
    assert is_ours(scope("http://[::1]:8000", "[::1]:8000"))
    assert not is_ours(scope("http://localhost:8001", "localhost:8000"))
    assert not is_ours(scope("http://localhost", "localhost:8000"))


def test_a_host_that_is_not_ours_is_refused_though_it_agrees(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["localhost"]
    assert not is_ours(scope("http://rebound.example:8000", "rebound.example:8000"))


def test_tls_is_told_by_the_scheme_or_by_the_trusted_proxy(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["site.example"]
    ours = ("https://site.example", "site.example")
    assert is_ours(scope(*ours, scheme="wss"))
    assert not is_ours(scope(*ours, x_forwarded_proto="https"))
    settings.SECURE = True
    assert is_ours(scope(*ours, x_forwarded_proto="https"))
    assert not is_ours(scope(*ours, x_forwarded_proto="http"))
