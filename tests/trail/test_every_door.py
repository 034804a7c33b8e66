"""The other doors: the admin, sockets, the command line and the loops. Whatever acts there has a row here."""

from __future__ import annotations

import argparse
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin import site
from django.core.management import call_command, get_commands, load_command_class
from django.test import RequestFactory
from django.urls import reverse
from django.utils import timezone

from sandboxes import asgi
from sandboxes.admin import ReadOnly, Recorded
from sandboxes.consumers import terminal
from sandboxes.lifecycle import audit, chain, event_words
from sandboxes.lifecycle.transitions import TABLE
from sandboxes.models import Event, Image, Sandbox
from tests.gates.rules import admin_routes
from tests.gates.test_admin import KNOWN, PAGES

pytestmark = pytest.mark.django_db

# -- the admin ------------------------------------------------------------------------------------

BUTTONS = {
    ("sandbox", word): f"sandbox.{word}" for word, row in TABLE.items() if row.offered
} | {("image", "pull_now"): "image.pull", ("delivery", "send_again"): "webhook.resend"}  # fmt: skip
"""Actions of the admin's lists and the events they leave; deletion is each Recorded's own."""
PAGES_OF_THEIR_OWN = {
    "auth_user_password_change": "user.password",
    "sandboxes_event_export": "audit.export",
    "sandboxes_webhook_test": "webhook.test",
    "sandboxes_webhook_secret": "webhook.change",
}
"""Pages of the admin that do something, beside add, change and delete."""


def actions(one: Any, root: Any) -> set[tuple[str, str]]:
    request = RequestFactory().get("/")
    request.user = root
    return {(one.opts.model_name, name) for name in one.get_actions(request) if name != "delete_selected"}


def test_every_button_of_the_admin_has_a_row(root):
    found = set().union(*(actions(one, root) for one in site._registry.values()))
    assert found == set(BUTTONS)
    assert set(BUTTONS.values()) <= set(event_words.words())


def test_every_page_of_the_admin_that_acts_has_a_row():
    own, names = set(PAGES_OF_THEIR_OWN), {name for name, _, _ in admin_routes()}
    assert {name for name in names if not PAGES.match(name)} - KNOWN <= own
    assert own <= names
    assert set(PAGES_OF_THEIR_OWN.values()) <= set(event_words.words())


def test_what_may_be_changed_there_has_its_words():
    for one in site._registry.values():
        assert isinstance(one, ReadOnly | Recorded)
        if isinstance(one, Recorded):
            assert {f"{one.noun}.{word}" for word in ("add", "change", "remove")} <= set(event_words.words())


@pytest.mark.parametrize("action", [word for word, row in TABLE.items() if row.offered])
def test_a_button_of_the_sandbox_list(action, as_root, running, settings):
    before = {"start": "stop", "resume": "pause"}.get(action)
    changelist = reverse("admin:sandboxes_sandbox_changelist")
    for word in filter(None, [before, action]):
        as_root.post(changelist, {"action": word, "_selected_action": [running.pk]})
    outcomes = Event.objects.filter(action=f"sandbox.{action}", actor_name="root").order_by("id")
    wanted = ["ok"] if action == "extend" else ["requested", "ok"]
    assert list(outcomes.values_list("outcome", flat=True)) == wanted


def test_the_button_that_pulls(as_root, image):
    data = {"action": "pull_now", "_selected_action": [image.pk]}
    as_root.post(reverse("admin:sandboxes_image_changelist"), data)
    assert Event.objects.filter(action="image.pull", actor_name="root").count() == 2


def test_taking_the_trail_along(as_root):
    answer = as_root.post(reverse("admin:sandboxes_event_export", args=["csv"]))
    b"".join(answer.streaming_content)
    assert Event.objects.filter(action="audit.export", actor_name="root").exists()


# -- sockets --------------------------------------------------------------------------------------

FRAMES = {
    "ack": "", "resize": "", "redraw": "", "record": "recording.start", "close": "terminal.end",
}  # fmt: skip
"""What a terminal's page may send; nothing for what only concerns its own window."""
SOCKETS = {
    "FleetConsumer": "looks", "SandboxConsumer": "looks", "WallConsumer": "looks", "SeatConsumer": "looks",
    "TerminalConsumer": "terminal.open", "Nowhere": "refuses",
}  # fmt: skip
"""Kinds of sockets; keys and frames of a terminal are held in tests/live/test_terminal_trail.py."""


def test_every_socket_and_every_frame_has_a_row():
    kinds = {one.consumer_class.__name__ for one in asgi.paths.values()}
    assert kinds == set(SOCKETS)
    assert set(terminal.ACTS) == set(FRAMES)
    assert {one for one in FRAMES.values() if one} <= set(event_words.words())


# -- the command line -----------------------------------------------------------------------------

COMMANDS: dict[str, tuple[tuple[str, ...], str]] = {
    "bootstrap": ((), "user.add"),
    "signin_link": (("alice",), "user.link"),
    "createsuperuser": (("--noinput", "--username", "boss", "--email", "boss@example.org"), "user.add"),
    "changepassword": (("alice",), "user.password"),
    "sample_course": (("--instructor", "alice"), "course.create"),
    "shutdown": (("--yes",), "server.stop"),
    "audit head": ((), "audit.head"),
    "audit verify": ((), "audit.verify"),
    "audit prune": (("--before", "2025-06-01", "--archive", "{folder}/old.jsonl.gz"), "audit.prune"),
}
"""Each command, how it is called, and its event."""
SILENT = {
    "serve": "starts the loops and the web server; other settings are told by the audit loop",
    "cleanup": "what it does is on record under cleanup",
    "provision": "what it does is on record under provision",
    "audit": "the loop that seals; seals are no events",
    "audit seal": "seals are no events",
    "audit key": "prints what is public",
    "check_invariants": "looks, and changes nothing",
    "network_guard": "the host's rules, set as root, whose hands stay off the install's database",
}
"""Commands without an event of their own, and why."""


def ours() -> set[str]:
    """Every command, with its sub-commands."""
    found = set()
    for name, app in get_commands().items():
        if app in ("sandboxes", "sandboxes.labs"):
            parser = load_command_class(app, name).create_parser("manage.py", name)
            subs = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
            found |= {name, *(f"{name} {word}" for one in subs for word in one.choices)}
    return found


def test_every_command_has_a_row():
    assert ours() == set(COMMANDS) | set(SILENT)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_leaves_its_event_under_the_consoles_name(name, alice, launch, monkeypatch, tmp_path):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "a long pass phrase")
    monkeypatch.setattr("getpass.getpass", lambda **_: "a long pass phrase")
    audit.record("user.sign_in", audit.Origin.of(alice), at=timezone.now() - timedelta(days=900))
    launch(name="quiet-otter")
    chain.seal()
    words, action = COMMANDS[name]
    call_command(*name.split(), *(word.format(folder=tmp_path) for word in words))
    found = Event.objects.filter(action=action, actor_kind="console")
    assert found.exists()
    assert all(event.actor_name.endswith("(command line)") for event in found)


# -- the clock, the engine ------------------------------------------------------------------------


def test_every_action_of_the_table_has_its_word():
    assert {f"sandbox.{word}" for word in TABLE} <= set(event_words.words())


def test_nothing_is_recorded_that_has_no_word(known_actions):
    """The registry is held in every test (tests/conftest.py); here, that it holds."""
    with pytest.raises(AssertionError, match="no word"):
        audit.record("made.up", audit.SYSTEM)
    assert Image.objects.count() == Sandbox.objects.count() == 0
