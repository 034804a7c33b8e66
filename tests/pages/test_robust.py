"""Nonsense in addresses and forms is a page, never a fault; error pages are pages of this site."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.test import override_settings
from django.urls import reverse

from .conftest import HTMX, browser, text

pytestmark = pytest.mark.django_db

NONSENSE = [
    "\x00",
    "\ud800",
    "%00",
    "\u202e",
    "9" * 5000,
    "-1",
    "' OR 1=1 --",
    "<script>",
    "{{7*7}}",
    "\r\nX: y",
    "🎉" * 50,
]
PATHS = ["/sandboxes/", "/sandboxes/rows/", "/sandboxes/new/", "/images/", "/profile/", "/sign-in/"]
FORM_FIELDS = (
    "name", "image", "memory", "cpus", "pids", "lifetime", "workdir", "environment", "network", "launch_key",
    "command", "time_limit", "shell", "action", "ids", "next", "form", "first_name", "email", "old_password",
)  # fmt: skip
FIELDS = ["q", "status", "owner", "sort", "page", "id", "image", "name", "next", "while"]


def wire(value):
    """As bytes of a query, half characters and all."""
    return value.encode("utf-8", "surrogatepass")


def send(client, path, data):
    """As a browser sends a form; of parts the test's client would make a field for each byte."""
    return client.post(path, urlencode(data), content_type="application/x-www-form-urlencoded")


@pytest.mark.parametrize("who", ["alice", "prof"])
@pytest.mark.parametrize("path", PATHS)
def test_nonsense_in_the_address(path, who, running, request):
    client = browser(request.getfixturevalue(who))
    for value in NONSENSE:
        response = client.get(path, {field: wire(value) for field in FIELDS})
        assert response.status_code in {200, 302}, value
        assert b"<script>alert" not in response.content


@pytest.mark.parametrize("value", NONSENSE)
def test_nonsense_in_forms(value, running, as_alice):
    data = {name: wire(value) for name in FORM_FIELDS}
    for path in ("/sandboxes/new/", f"/sandboxes/{running.pk}/commands/", "/sandboxes/act/", "/profile/",
                 f"/sandboxes/{running.pk}/extend/"):  # fmt: skip
        assert send(as_alice, path, data).status_code < 500, path
    names = {"username": wire(value), "password": wire(value)}
    assert send(browser(), "/sign-in/", names).status_code < 500


def test_nonsense_in_htmx_headers(running, as_alice):
    for value in ("\x00", "x" * 9000, "http://[::1", "javascript:1", "?" + "a&" * 900):
        headers = {"HTTP_HX_CURRENT_URL": value, "HTTP_HX_TARGET": value, "HTTP_HX_TRIGGER": value}
        assert as_alice.get("/sandboxes/", **headers, **HTMX).status_code == 200
        response = as_alice.post(
            "/sandboxes/act/", {"action": "extend", "ids": running.pk}, **headers, **HTMX
        )
        assert response.status_code < 500


@pytest.mark.parametrize("path", [
    "/sandboxes/sb_%00/", "/sandboxes/sb_../", "/sandboxes/sb_UPPER/", "/sandboxes/sb_" + "a" * 400 + "/",
    "/sandboxes/cmd_2222222222/", "/sandboxes/sb_2222222222/commands/cmd_2/", "/images/0/pull/x", "/%ff%fe/",
])  # fmt: skip
def test_addresses_of_nothing(path, as_alice):
    assert as_alice.get(path).status_code == 404


def test_too_many_fields_is_a_page_that_says_so(as_alice):
    response = as_alice.post("/sandboxes/new/", {f"f{n}": "x" for n in range(3000)})
    assert response.status_code == 400
    assert "could not be read" in text(response)


def test_too_large_a_form_is_a_page_that_says_so(as_alice):
    response = as_alice.post(
        "/sandboxes/new/", "environment=" + "x" * 3_000_000, content_type="application/x-www-form-urlencoded"
    )
    assert response.status_code == 400


def test_a_form_that_is_no_form(as_alice):
    response = as_alice.post(
        "/sandboxes/new/", b"\xff\x00--x", content_type="multipart/form-data; boundary=x"
    )
    assert response.status_code in {400, 422}


def test_pages_for_what_is_not_there_or_not_allowed(as_alice, image):
    missing = as_alice.get("/nothing/")
    assert (missing.status_code, "Not here" in text(missing)) == (404, True)
    refused = as_alice.post(reverse("image_pull", args=[image.pk]))
    assert (refused.status_code, "You may not open this" in text(refused)) == (403, True)
    assert "All sandboxes" in text(missing)


def test_somebody_unknown_gets_the_same_pages(anonymous):
    assert "Not here" in text(anonymous.get("/nothing/"))


@override_settings(DEBUG=False)
def test_a_fault_of_ours_is_a_calm_page_without_a_trace(as_alice, monkeypatch):
    monkeypatch.setattr("sandboxes.views.fleet.counts", lambda *_: 1 / 0)
    as_alice.raise_request_exception = False
    response = as_alice.get("/sandboxes/")
    assert response.status_code == 500
    assert "It is our fault" in text(response)
    assert "ZeroDivisionError" not in text(response)
