"""Who may open and press what: every route, for a stranger to the site, the owner, another user and staff."""

from __future__ import annotations

import pytest
from django.urls import URLPattern, get_resolver, reverse

from sandboxes.models import Command, Event, Outcome, Recording, Sandbox
from tests.fakes.recordings import taped

from .conftest import HTMX, browser, text

pytestmark = pytest.mark.django_db

OPEN = {"sign_in", "sign_out", "sign_in_link", "healthz", "readyz", "metrics",
        "admin_door", "admin_sign_out", "admin_password"}  # fmt: skip
"""What needs no session."""

# name: (method, anonymous, owner, stranger, staff)
ROUTES = {
    "home": ("get", 302, 302, 302, 302),
    "sandbox_list": ("get", 302, 200, 200, 200),
    "sandbox_rows": ("get", 302, 200, 200, 200),
    "sandbox_new": ("get", 302, 200, 200, 200),
    "sandbox_act_many": ("post", 302, 303, 303, 303),
    "sandbox_detail": ("get", 302, 200, 404, 200),
    "sandbox_part": ("get", 302, 200, 404, 200),
    "sandbox_act": ("post", 302, 303, 404, 303),
    "command_run": ("post", 302, 303, 404, 303),
    "command_detail": ("get", 302, 200, 404, 200),
    "command_cancel": ("post", 302, 303, 404, 303),
    "command_rerun": ("post", 302, 303, 404, 303),
    "command_output": ("get", 302, 200, 404, 200),
    "recording_list": ("get", 302, 200, 404, 404),
    "recording_replay": ("get", 302, 200, 404, 404),
    "recording_cast": ("get", 302, 200, 404, 404),
    "recording_download": ("get", 302, 200, 404, 404),
    "image_list": ("get", 302, 200, 200, 200),
    "image_part": ("get", 302, 200, 200, 200),
    "image_pull": ("post", 302, 403, 403, 303),
    "profile": ("get", 302, 200, 200, 200),
    "system": ("get", 302, 403, 403, 200),
}
HIDING = [name for name, row in ROUTES.items() if row[3] == 404]
WHO = ("anonymous", "alice", "bob", "prof")


def address(name: str, sandbox: Sandbox, command: Command) -> str:
    """The route's address for this sandbox and command."""
    known = {
        "pk": sandbox.pk if not name.startswith("image") else sandbox.image_id,
        "command": command.pk,
        "recording": Recording.objects.values_list("pk", flat=True).first(),
        "action": "pause",
        "name": {"sandbox_part": "facts"}.get(name, "stdout"),
    }
    pattern = next(one for one in routes() if one.name == name)
    return reverse(name, kwargs={key: known[key] for key in pattern.pattern.converters})


def routes() -> list[URLPattern]:
    return [one for one in get_resolver().url_patterns if isinstance(one, URLPattern)]


@pytest.fixture
def command(running):
    taped(running)
    return Command.objects.create(sandbox=running, argv=["true"], text="true", time_limit=60)


def test_every_route_is_in_the_matrix():
    assert {one.name for one in routes()} == set(ROUTES) | OPEN


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("name", ROUTES)
def test_route(name, who, running, command, request):
    method, *statuses = ROUTES[name]
    user = None if who == "anonymous" else request.getfixturevalue(who)
    data = {"command": "true", "ids": running.pk, "action": "pause"} if method == "post" else None
    response = getattr(browser(user), method)(address(name, running, command), data)
    assert response.status_code == statuses[WHO.index(who)]
    if who == "anonymous":
        assert response.headers["Location"].startswith("/sign-in/")


@pytest.mark.parametrize("name", [name for name, (method, *_) in ROUTES.items() if method == "post"])
def test_a_change_is_never_made_by_get(name, running, command, alice):
    before = Sandbox.objects.get().changed_at
    assert browser(alice).get(address(name, running, command)).status_code == 405
    assert Sandbox.objects.get().changed_at == before


@pytest.mark.parametrize("name", [name for name, (method, *_) in ROUTES.items() if method == "post"])
def test_a_change_needs_the_token(name, running, command, alice):
    response = browser(alice, enforce_csrf_checks=True).post(
        address(name, running, command), {"ids": running.pk}
    )
    assert response.status_code == 403
    assert "too old" in response.content.decode()
    running.refresh_from_db()
    assert running.status == "running"


@pytest.mark.parametrize("path", ["sandbox_new", "profile", "sign_in", "sign_out"])
def test_forms_need_the_token_too(path, alice, engine):
    assert browser(alice, enforce_csrf_checks=True).post(reverse(path), {}).status_code == 403


@pytest.mark.parametrize("name", [name for name, row in ROUTES.items() if row[2] == 200])
def test_private_pages_are_kept_nowhere(name, running, command, alice):
    response = browser(alice).get(address(name, running, command))
    assert "no-store" in response.headers["Cache-Control"]


def test_an_act_on_a_strangers_selection_touches_nothing(running, as_bob):
    response = as_bob.post(reverse("sandbox_act_many"), {"ids": running.pk, "action": "remove"}, follow=True)
    assert "Nothing was selected" in response.content.decode()
    running.refresh_from_db()
    assert running.status == "running"


def test_missing_and_forbidden_look_alike(running, as_bob):
    foreign = as_bob.get(reverse("sandbox_detail", args=[running.pk]))
    missing = as_bob.get(reverse("sandbox_detail", args=["sb_2222222222"]))
    assert foreign.status_code == missing.status_code == 404
    assert text(foreign).partition("<main")[2] == text(missing).partition("<main")[2]


def test_a_fragment_asked_for_after_the_session_ended_leads_the_page_to_sign_in(anonymous):
    response = anonymous.get(reverse("sandbox_list"), **HTMX)
    assert (response.status_code, response.headers["HX-Redirect"]) == (401, reverse("sign_in"))


def test_a_switched_off_person_is_out(alice, running):
    client = browser(alice)
    type(alice).objects.update(is_active=False)
    assert client.get(reverse("sandbox_list")).status_code == 302


def test_policy_lets_no_inline_script_or_style_run(as_alice, running):
    for url in (
        reverse("sandbox_list"),
        reverse("sandbox_detail", args=[running.pk]),
        reverse("sandbox_new"),
    ):
        response = as_alice.get(url)
        policy, page = response.headers["Content-Security-Policy"], response.content.decode()
        assert "unsafe" not in policy
        assert "nonce-" in policy
        for forbidden in (" style=", "hx-on", " onclick", "javascript:", "hx-vals='js"):
            assert forbidden not in page
        assert page.count("<script") == page.count('nonce="') > 2


@pytest.mark.parametrize("name", HIDING)
def test_wanting_what_is_not_theirs_is_on_record(name, running, command, bob):
    """As if missing to them; by name, address and path to the auditor."""
    path = address(name, running, command)
    getattr(browser(bob), ROUTES[name][0])(path)
    event = Event.objects.get(outcome=Outcome.REFUSED)
    assert (event.actor_name, event.sandbox_id, event.detail) == ("bob", running.pk, {"path": path})
    assert event.action == {"sandbox_act": "sandbox.pause", "command_run": "command.run",
                            "command_rerun": "command.run", "command_cancel": "command.cancel",
                            "recording_list": "recording.watch", "recording_replay": "recording.watch",
                            "recording_cast": "recording.watch", "recording_download": "recording.download",
                            }.get(name, "sandbox.view")  # fmt: skip


def test_somebody_elses_in_a_selection_and_a_missing_one_are_on_record(running, bob):
    guest = browser(bob)
    guest.post(reverse("sandbox_act_many"), {"action": "pause", "ids": [running.pk]})
    guest.get(reverse("sandbox_detail", args=["sb_nothinghere"]))
    missing, foreign = Event.objects.filter(outcome=Outcome.REFUSED)
    assert (foreign.action, foreign.sandbox_id) == ("sandbox.pause", running.pk)
    assert (missing.action, missing.sandbox_id) == ("sandbox.view", "")
    assert missing.detail["path"].endswith("sb_nothinghere/")
