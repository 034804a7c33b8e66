"""manage.py bootstrap, signin_link and shutdown, on the engine in memory."""

from __future__ import annotations

import io
import re
import sys

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from sandboxes.engine.base import ContainerSpec, Unreachable
from sandboxes.lifecycle import work
from sandboxes.models import Event, Image, Sandbox, Status, User

LINK = re.compile(r"(\S+)(/sign-in/\S+/\S+/)")


def say(name: str, *arguments: str) -> str:
    """What a command prints."""
    out = io.StringIO()
    call_command(name, *arguments, stdout=out, stderr=out)
    return out.getvalue()


def sign_in(path: str) -> bool:
    """Whether following a link and confirming it signs somebody in."""
    client = Client()
    client.get(path)
    client.post(path)
    return "_auth_user_id" in client.session


# --- bootstrap ---------------------------------------------------------------------------------


@pytest.mark.django_db
def test_bootstrap_fills_the_catalogue_and_builds_the_starter_image(engine, settings):
    say("bootstrap")
    assert Image.objects.get(reference=settings.SANDBOX_STARTER).is_here
    assert Image.objects.filter(reference="node:20-alpine").exists()


@pytest.mark.django_db
def test_first_admin_gets_a_link_that_is_good_once(engine):
    said = say("bootstrap", "--base-url", "http://127.0.0.1:9000")
    found = LINK.search(said)
    assert found
    base, path = found.groups()
    assert base == "http://127.0.0.1:9000"
    admin = User.objects.get(username="admin")
    assert (admin.is_superuser, admin.is_staff) == (True, True)
    assert not admin.has_usable_password()
    assert sign_in(path)
    assert not sign_in(path)


@pytest.mark.django_db
def test_link_is_offered_until_the_admin_has_a_password(engine):
    """Who has signed in by a link alone has no other way in once their session is over."""
    say("bootstrap")
    for _ in range(2):
        link = LINK.search(say("bootstrap"))
        assert link
        assert sign_in(link.group(2))
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_admin_with_a_password_is_told_the_command_that_makes_a_link(engine, root):
    assert not LINK.search(said := say("bootstrap"))
    assert "Lost your way in? .venv/bin/python manage.py signin_link root\n" in said
    elsewhere = say("bootstrap", "--base-url", "http://127.0.0.1:9000")
    assert "signin_link root --base-url http://127.0.0.1:9000\n" in elsewhere


@pytest.mark.django_db
def test_link_is_for_an_admin_whom_it_lets_in(engine, root):
    root.is_active = False
    root.save()
    second = User.objects.create(username="second", is_superuser=True)
    second.set_unusable_password()
    second.save()
    link = LINK.search(say("bootstrap"))
    assert link
    assert sign_in(link.group(2))


@pytest.mark.django_db
def test_page_of_a_used_link_says_what_can_be_typed_on_the_server(engine):
    link = LINK.search(say("bootstrap"))
    assert link
    assert sign_in(link.group(2))
    page = Client().get(link.group(2)).content.decode()
    assert "<code>.venv/bin/python manage.py signin_link NAME</code>" in page


@pytest.mark.django_db
def test_install_with_an_admin_gets_no_other(engine, root):
    say("bootstrap")
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_bootstrap_leaves_the_catalogue_as_the_admins_have_it(engine):
    say("bootstrap")
    Image.objects.filter(reference="node:20-alpine").update(enabled=False, title="Node")
    say("bootstrap")
    node = Image.objects.get(reference="node:20-alpine")
    assert (node.enabled, node.title) == (False, "Node")


@pytest.mark.django_db
def test_engine_that_is_away_costs_a_warning_and_no_more(engine):
    engine.away = Unreachable("The engine does not answer.")
    said = say("bootstrap")
    assert "no starter image yet: The engine does not answer." in said
    assert LINK.search(said)


@pytest.mark.django_db
def test_nobody_is_served_what_changed_while_nothing_of_ours_ran(engine, running, settings):
    """The host was restarted: one has ended, one is there that nobody knows."""
    settings.SANDBOX_ORPHAN_GRACE = 0
    engine.kill_by_hand(running.native_id)
    orphan = engine.create(ContainerSpec("sb_nobodys", running.image_reference, 1 << 26, 1, 64))
    said = say("bootstrap")
    assert "records put right by what the engine has: accepted 1, orphans 1" in said
    running.refresh_from_db()
    assert (running.status, running.exit_code) == (Status.STOPPED, 137)
    assert orphan not in {one.native_id for one in engine.list()}
    assert Event.objects.filter(action="engine.exit", sandbox_id=running.pk).exists()
    assert "put right" not in say("bootstrap")


@pytest.mark.django_db
def test_records_stay_as_they_are_while_the_engine_is_away(engine, running):
    engine.kill_by_hand(running.native_id)
    engine.away = Unreachable("The engine does not answer.")
    assert "records are not compared with the engine yet: The engine" in say("bootstrap")
    running.refresh_from_db()
    assert running.status == Status.RUNNING


# --- signin_link -------------------------------------------------------------------------------


@pytest.mark.django_db
def test_link_for_a_user_signs_that_user_in(alice):
    found = LINK.search(say("signin_link", "alice"))
    assert found
    assert sign_in(found.group(2))


@pytest.mark.django_db
def test_there_is_no_link_for_nobody():
    with pytest.raises(CommandError, match="no user 'nobody'"):
        say("signin_link", "nobody")


@pytest.mark.django_db
def test_there_is_no_link_for_somebody_who_may_not_sign_in(alice):
    alice.is_active = False
    alice.save()
    with pytest.raises(CommandError, match="not active"):
        say("signin_link", "alice")


# --- shutdown ----------------------------------------------------------------------------------


@pytest.fixture
def answer(monkeypatch):
    """A person at the keyboard who gives this answer; what they were asked is in the list."""
    asked: list[str] = []

    def answer(text: str) -> list[str]:
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
        monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or text)
        return asked

    return answer


@pytest.fixture
def two(pool, launch):
    """Two running sandboxes."""
    launch(name="first")
    launch(name="second")
    assert work.drain(10)


def statuses() -> set[str]:
    """The statuses there are."""
    return set(Sandbox.objects.values_list("status", flat=True))


def test_shutdown_removes_every_sandbox_and_says_so_line_by_line(two, engine):
    lines = say("shutdown", "--yes").splitlines()
    assert statuses() == {Status.REMOVED}
    assert not engine.containers
    assert [line[:5] for line in lines] == ["[1/2]", "[2/2]"]


def test_shutdown_is_on_record_with_its_reason(two):
    say("shutdown", "--yes")
    assert {box.status_reason for box in Sandbox.objects.all()} == {"shutdown"}
    assert Event.objects.filter(action="sandbox.remove", actor_kind="console").exists()


def test_shutdown_asks_a_person_and_takes_no_for_an_answer(two, answer):
    asked = answer("")
    with pytest.raises(CommandError, match=r"Nothing was removed\."):
        say("shutdown")
    assert asked == ["Remove 2 sandboxes? [y/N] "]
    assert Status.REMOVED not in statuses()


def test_shutdown_takes_yes_for_an_answer(two, answer):
    answer("y")
    say("shutdown")
    assert statuses() == {Status.REMOVED}


def test_shutdown_without_a_person_needs_to_be_told(two):
    with pytest.raises(CommandError, match="--yes"):
        say("shutdown")
    assert Status.REMOVED not in statuses()


@pytest.mark.django_db
def test_shutdown_of_nothing_asks_nothing():
    assert say("shutdown") == "There are no sandboxes.\n"


def test_shutdown_lists_what_could_not_be_removed_and_fails(two, engine):
    engine.fail["remove"] = [Unreachable("The engine does not answer.")]
    with pytest.raises(CommandError, match="1 could not be removed") as failure:
        say("shutdown", "--yes")
    left = Sandbox.objects.exclude(status=Status.REMOVED).get()
    assert left.pk in str(failure.value)


def test_grace_lets_what_runs_end_by_itself_first(two, engine, settings):
    settings.SANDBOX_STOP_GRACE = 2  # so that it is put back after the test
    say("shutdown", "--yes", "--grace", "5")
    assert settings.SANDBOX_STOP_GRACE == 5
    assert [call[0] for call in engine.calls].count("stop") == 2
    assert statuses() == {Status.REMOVED}
