"""One id from the proxy's log through ours to the trail, and who asked from where."""

from __future__ import annotations

import logging

import pytest
from channels.testing import WebsocketCommunicator
from django.test import RequestFactory

from sandboxes import request_ids
from sandboxes.asgi import application
from sandboxes.lifecycle import origins
from sandboxes.live import hub
from sandboxes.models import Event
from tests.pages.conftest import browser

RIGHT = {"username": "alice", "password": "alice's password"}


@pytest.mark.parametrize("told", ["01hx-9.z_Z", "a" * 64, "5f0c8e3e-19c5-4a49-8a3e-0d7c7e1b2a11"])
def test_a_safe_id_is_taken_over(told):
    assert request_ids.accept(told) == told


@pytest.mark.parametrize("told", [
    "", "short", "a" * 65, "with blank1", "=cmd|calc", "<script>12345", "line\nbreak1", "-option-1",
    "äöü-12345",
])  # fmt: skip
def test_any_other_is_replaced(told):
    made = request_ids.accept(told)
    assert made != told
    assert request_ids.accept(made) == made
    assert made != request_ids.accept(told)


@pytest.mark.django_db
def test_the_answer_and_the_event_have_the_requests_id(client, alice):
    answer = client.post(
        "/sign-in/", RIGHT, headers={"X-Request-ID": "proxy-0001", "User-Agent": "Reader/1\x01"}
    )
    assert answer.headers["X-Request-ID"] == "proxy-0001"
    event = Event.objects.get(action="user.sign_in")
    assert (event.request_id, event.user_agent) == ("proxy-0001", "Reader/1\\u0001")


@pytest.mark.django_db
def test_every_request_has_an_id_of_its_own(client):
    ids = {client.get("/sign-in/").headers["X-Request-ID"] for _ in range(3)}
    assert len(ids) == 3
    assert client.get("/nowhere/").headers["X-Request-ID"]


@pytest.mark.django_db
def test_what_a_request_set_going_has_its_id_too(running, alice):
    answer = browser(alice).post(f"/sandboxes/{running.pk}/pause/")
    found = Event.objects.filter(request_id=answer.headers["X-Request-ID"]).order_by("id")
    assert list(found.values_list("action", "outcome")) == [
        ("sandbox.pause", "requested"), ("sandbox.pause", "ok"),
    ]  # fmt: skip


@pytest.mark.django_db
def test_the_log_names_the_request(client, caplog):
    caplog.handler.addFilter(request_ids.InLog())
    with caplog.at_level(logging.WARNING, "django.request"):
        client.get("/nowhere/", headers={"X-Request-ID": "proxy-0002"})
    logging.getLogger("sandboxes").warning("by itself")
    assert [record.request_note for record in caplog.records] == [" [proxy-0002]", ""]


@pytest.mark.django_db(transaction=True)
async def test_a_socket_has_one_id_and_tells_it(running):
    headers = [(b"origin", b"http://evil.example"), (b"host", b"testserver"),
               (b"x-request-id", b"proxy-0003"), (b"user-agent", b"Reader/2")]  # fmt: skip
    socket = WebsocketCommunicator(application, "/ws/sandboxes/", headers)
    try:
        await socket.connect(timeout=20)
        await socket.disconnect(timeout=20)
    finally:
        hub.end()  # which the first connection of a process starts
    event = await Event.objects.aget(action="socket.open")
    assert (event.request_id, event.user_agent) == ("proxy-0003", "Reader/2")


@pytest.mark.parametrize(("proxies", "told", "address"), [
    (0, "203.0.113.9", "127.0.0.1"),
    (1, "203.0.113.9", "203.0.113.9"),
    (1, "6.6.6.6, 203.0.113.9", "203.0.113.9"),
    (2, "6.6.6.6, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
    (1, "", "127.0.0.1"),
    (1, "nonsense", None),
    (2, "203.0.113.9", "127.0.0.1"),
])  # fmt: skip
def test_behind_proxies_of_ours_the_visitors_address_counts(proxies, told, address, settings):
    settings.SANDBOX_PROXIES = proxies
    headers = {"X-Forwarded-For": told} if told else {}
    request = RequestFactory().get("/", REMOTE_ADDR="127.0.0.1", headers=headers)
    assert origins.address(request) == address
    pairs = [(b"x-forwarded-for", told.encode())] if told else []
    scope = {"client": ("127.0.0.1", 1), "headers": pairs}
    assert origins.of_scope(scope, None).address == address
