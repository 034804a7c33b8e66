"""Who does what on the server's command line, and what it was started with, is on record."""

from __future__ import annotations

import io
import os
import re

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from sandboxes import environment
from sandboxes.engine.base import Unreachable
from sandboxes.labs.models import Course
from sandboxes.lifecycle import chain, configured, snapshots, work
from sandboxes.management.origin import console
from sandboxes.models import Event, Image, Lease, Outcome, Sandbox, User

pytestmark = pytest.mark.django_db


def say(*words):
    out = io.StringIO()
    call_command(*words, stdout=out, stderr=out)
    return out.getvalue()


def told(action):
    return [
        (event.outcome, event.target_name)
        for event in Event.objects.filter(action=action, actor_name=console().name).order_by("id")
    ]


def test_bootstrap(engine, settings):
    said = say("bootstrap")
    assert told("user.add") == [("ok", "admin")]
    assert told("user.link") == [("ok", "admin")]
    assert ("ok", settings.SANDBOX_STARTER) in told("image.add")
    added = Event.objects.get(action="user.add").changes
    assert (added["is_superuser"], added["password"]) == ([None, True], [None, snapshots.HIDDEN])
    link = re.search(r"/sign-in/\S+/(\S+)/", said).group(1)
    assert link not in repr([vars(event) for event in Event.objects.all()])
    count = len(told("image.add"))
    say("bootstrap")
    assert (len(told("image.add")), len(told("user.add"))) == (count, 1)


def test_a_sign_in_link(alice):
    say("signin_link", "alice")
    assert told("user.link") == [("ok", "alice")]


def test_an_account_made_with_djangos_own_command(monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "a long pass phrase")
    say("createsuperuser", "--noinput", "--username", "boss", "--email", "boss@example.org")
    assert told("user.add") == [("ok", "boss")]
    assert "phrase" not in repr([vars(event) for event in Event.objects.all()])


def test_a_password_set_with_djangos_own_command(alice, monkeypatch):
    monkeypatch.setattr("getpass.getpass", lambda **_: "a long pass phrase")
    say("changepassword", "alice")
    assert told("user.password") == [("ok", "alice")]


@pytest.mark.django_db(transaction=True)
def test_where_it_cannot_be_written_nothing_is_made(monkeypatch, alice):
    def broken(self, *args, **options):
        raise DatabaseError("no room")

    monkeypatch.setattr(Event, "save", broken)
    monkeypatch.setattr("getpass.getpass", lambda **_: "a long pass phrase")
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "a long pass phrase")
    for words in (
        ("createsuperuser", "--noinput", "--username", "boss", "--email", "b@example.org"),
        ("changepassword", "alice"),
        ("signin_link", "alice"),
        ("bootstrap",),
    ):
        with pytest.raises(DatabaseError, match="no room"):
            say(*words)
    assert list(User.objects.values_list("username", "password")) == [("alice", alice.password)]
    assert not Image.objects.exists()


def test_the_sample_course_is_made_for_its_instructor(engine, prof):
    say("sample_course", "--instructor", "prof")
    event = Event.objects.get(action="course.create")
    assert (event.actor_kind, event.on_behalf) == ("console", "prof")
    assert event.target_name == Course.objects.get().title
    assert Event.objects.filter(action="template.create", actor_kind="console").count() == 3


def test_shutdown_and_each_removal(pool, launch):
    launch(name="first")
    assert work.drain(10)
    say("shutdown", "--yes")
    assert told("server.stop") == [("requested", ""), ("ok", "")]
    assert [outcome for outcome, _ in told("sandbox.remove")] == ["requested", "ok"]


def test_a_shutdown_that_leaves_something_has_failed(pool, launch, engine):
    launch(name="first")
    assert work.drain(10)
    engine.fail["remove"] = [Unreachable("The engine does not answer.")]
    with pytest.raises(CommandError):
        say("shutdown", "--yes")
    assert Event.objects.filter(action="server.stop").first().detail == {"sandboxes": 1, "left": 1}
    assert Sandbox.objects.present().exists()


def test_a_look_at_the_chain(alice):
    say("signin_link", "alice")
    chain.seal()
    assert "1 events" in say("audit", "verify")
    event = Event.objects.get(action="audit.verify")
    assert (event.outcome, event.detail) == (Outcome.OK, {"count": 1, "number": 1})


# -- settings -----------------------------------------------------------------------------------


@pytest.fixture
def started(monkeypatch):
    """``started(SANDBOX_X="1")``: what the next start with these variables puts on record."""
    for name in list(os.environ):
        if name.startswith("SANDBOX_") or name in ("DATABASE_URL", "REDIS_URL"):
            monkeypatch.delenv(name)

    def start(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        count = Event.objects.count()
        configured.note()
        return [event.changes for event in Event.objects.filter(action="settings.change")][
            : Event.objects.count() - count
        ]

    start()
    return start


def test_the_same_settings_are_no_news(started):
    assert started() == []
    assert started(SANDBOX_WAVE="4") != []
    assert started(SANDBOX_WAVE="4") == []


def test_other_values_are_told_before_and_after(started):
    started(SANDBOX_QUOTA_SANDBOXES="3", SANDBOX_HOSTS="lab.example.org")
    assert started(SANDBOX_QUOTA_SANDBOXES="5") == [{"SANDBOX_QUOTA_SANDBOXES": ["3", "5"]}]


@pytest.mark.parametrize("name", [
    "SANDBOX_METRICS_TOKEN", "SANDBOX_SECRET_KEY", "DATABASE_URL", "SANDBOX_EMAIL_URL", "SANDBOX_UNKNOWN",
])  # fmt: skip
def test_of_secrets_and_of_what_is_not_ours_only_the_name(name, started):
    assert started(**{name: "canary-71f3"}) == [{name: [None, snapshots.HIDDEN]}]
    assert started(**{name: "canary-9a4e"}) == [{name: [snapshots.HIDDEN, snapshots.HIDDEN]}]
    text = repr([vars(one) for one in [*Event.objects.all(), *Lease.objects.all()]])
    assert "canary" not in text


def test_another_secret_in_the_same_file_is_news_too(started, monkeypatch):
    for value in ("canary-71f3", "canary-9a4e"):
        monkeypatch.setitem(environment.FROM_FILES, "DATABASE_URL", value)
        (told,) = started(DATABASE_URL_FILE="/run/secrets/url")
        assert told["DATABASE_URL"][1] == snapshots.HIDDEN
    assert "canary" not in repr([vars(one) for one in [*Event.objects.all(), *Lease.objects.all()]])


def test_another_audit_key_is_one_change_and_not_all_of_them(started, settings):
    started(SANDBOX_METRICS_TOKEN="canary-71f3")
    settings.SANDBOX_AUDIT_KEY = "ab" * 32
    assert started() == [{"SANDBOX_AUDIT_KEY": [snapshots.HIDDEN, snapshots.HIDDEN]}]
    assert started() == []


def test_every_variable_that_is_read_is_known(settings):
    assert {"SANDBOX_WAVE", "SANDBOX_HOSTS", "DATABASE_URL", "SANDBOX_AUDIT_KEY"} <= settings.SANDBOX_READ
