"""Signing in and out, links that are good once, the brake on guessing, and the profile."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db.models import F

from sandboxes.access import signin_path
from sandboxes.models import Brake, Event, User
from sandboxes.views import throttle

from .conftest import browser, refusals, text

pytestmark = pytest.mark.django_db
RIGHT = {"username": "alice", "password": "alice's password"}
WRONG = {"username": "alice", "password": "guess"}


def is_in(client):
    return client.get("/profile/").status_code == 200


def test_sign_in_and_out(alice, anonymous):
    response = anonymous.post("/sign-in/", RIGHT)
    assert (response.status_code, response.headers["Location"]) == (303, "/sandboxes/")
    assert is_in(anonymous)
    page = anonymous.post("/sign-out/", follow=True)
    assert "You are signed out." in text(page)
    assert not is_in(anonymous)
    assert list(Event.objects.values_list("action", flat=True)) == ["user.sign_out", "user.sign_in"]


def test_nobody_gets_no_session_by_signing_out(anonymous):
    for _ in range(3):
        assert anonymous.post("/sign-out/").status_code == 303
    assert not Session.objects.exists()


def test_a_new_session_key_at_sign_in(alice, anonymous):
    anonymous.get("/sign-in/")
    anonymous.cookies[settings.SESSION_COOKIE_NAME] = "planted"
    anonymous.post("/sign-in/", RIGHT)
    assert anonymous.cookies[settings.SESSION_COOKIE_NAME].value != "planted"


def test_wrong_password_and_unknown_name_look_alike(alice, anonymous):
    wrong = anonymous.post("/sign-in/", WRONG)
    unknown = anonymous.post("/sign-in/", {"username": "nobody", "password": "guess"})
    assert wrong.status_code == unknown.status_code == 422
    assert "do not go together" in text(wrong)
    assert plain(wrong).replace("alice", "nobody") == plain(unknown)
    assert [event.actor_name for event in refusals("user.sign_in")] == ["", "alice"]


def plain(response):
    """The page's middle without the form's token, which is new each time."""
    return re.sub(r'csrfmiddlewaretoken" value="[^"]+"', "", text(response).partition("<main")[2])


def test_a_password_typed_as_the_name_is_not_on_record(alice, anonymous):
    anonymous.post("/sign-in/", {"username": "my secret", "password": ""})
    anonymous.post("/sign-in/", {"username": "my secret", "password": "x"})
    assert "my secret" not in repr([vars(event) for event in Event.objects.all()])


def test_after_ten_wrong_tries_even_the_right_one_waits(alice, anonymous):
    for _ in range(10):
        assert anonymous.post("/sign-in/", WRONG).status_code == 422
    page = anonymous.post("/sign-in/", RIGHT)
    assert page.status_code == 429
    assert "Too many tries" in text(page)
    assert not is_in(anonymous)


@pytest.mark.parametrize(("whose", "most"), [
    (r"^sign-in:\w+:.", 10), (r"^sign-in:\w+$", 50), (r"^sign-in:at:", 300),
], ids=["a name at an address", "a name", "an address"])  # fmt: skip
def test_each_figure_holds_for_ten_minutes(alice, anonymous, whose, most):
    anonymous.post("/sign-in/", WRONG)
    counted = Brake.objects.exclude(key__startswith="sign-in:at:") if most == 10 else Brake.objects
    assert counted.filter(key__regex=whose).update(count=most - 1) == 1
    assert [anonymous.post("/sign-in/", WRONG).status_code for _ in range(2)] == [422, 429]
    Brake.objects.update(until=F("until") - timedelta(minutes=9))
    assert anonymous.post("/sign-in/", WRONG).status_code == 429
    Brake.objects.update(until=F("until") - timedelta(minutes=1))
    assert anonymous.post("/sign-in/", WRONG).status_code == 422


def test_somebody_elses_tries_from_elsewhere_do_not_lock_one_out(alice, anonymous):
    for _ in range(12):
        anonymous.post("/sign-in/", WRONG, REMOTE_ADDR="192.0.2.7")
    assert anonymous.post("/sign-in/", RIGHT).status_code == 303


def tries(count, username="alice", client=None, **more):
    """Wrong passwords, each from another address unless it is given; the statuses that came back."""
    client = client or browser()
    return [
        client.post("/sign-in/", {"username": username, "password": "guess"},
                    **{"REMOTE_ADDR": f"198.51.{number // 200}.{number % 200}"} | more).status_code
        for number in range(count)
    ]  # fmt: skip


def test_guesses_at_one_name_from_everywhere_come_to_an_end(alice, anonymous, monkeypatch):
    monkeypatch.setattr(throttle, "OF_NAME", 20)
    assert tries(25) == [422] * 20 + [429] * 5
    assert anonymous.post("/sign-in/", RIGHT).status_code == 429


@pytest.mark.parametrize("spell", [
    lambda number: " " * number + "alice", lambda number: "alice" + "\u3000" * number,
    lambda number: "".join(chr(ord(one) + 0xFEE0) if number >> at & 1 else one
                           for at, one in enumerate("alice")),
], ids=["blanks before", "blanks behind", "wide letters"])  # fmt: skip
def test_however_a_name_is_spelt_it_is_one_name(alice, anonymous, spell):
    answers = [
        anonymous.post("/sign-in/", {"username": spell(number), "password": "guess"}).status_code
        for number in range(12)
    ]
    assert answers == [422] * 10 + [429] * 2


def test_but_lock_nobody_out_of_a_browser_they_have_used(alice, anonymous, monkeypatch):
    monkeypatch.setattr(throttle, "OF_NAME", 20)
    anonymous.post("/sign-in/", RIGHT)
    anonymous.post("/sign-out/")
    tries(25)
    assert anonymous.post("/sign-in/", RIGHT).status_code == 303


def test_a_browser_that_is_known_may_not_guess_more_than_others(alice, bob, anonymous):
    anonymous.post("/sign-in/", RIGHT)
    anonymous.post("/sign-out/")
    assert tries(12, client=anonymous) == [422] * 10 + [429] * 2


def test_one_address_cannot_try_a_password_on_everybody(alice, anonymous, monkeypatch):
    monkeypatch.setattr(throttle, "OF_ADDRESS", 20)
    found = [tries(1, f"person-{number}", REMOTE_ADDR="192.0.2.7")[0] for number in range(22)]
    assert found == [422] * 20 + [429] * 2
    assert anonymous.post("/sign-in/", RIGHT, REMOTE_ADDR="192.0.2.7").status_code == 429
    assert anonymous.post("/sign-in/", RIGHT).status_code == 303


def test_right_passwords_of_a_whole_class_are_no_guesses(alice, monkeypatch):
    monkeypatch.setattr(throttle, "OF_ADDRESS", 5)
    assert {browser().post("/sign-in/", RIGHT).status_code for _ in range(12)} == {303}


@pytest.mark.parametrize(("to", "where"), [
    ("/images/", "/images/"), ("https://evil.example/", "/sandboxes/"), ("//evil.example", "/sandboxes/"),
    ("javascript:alert(1)", "/sandboxes/"), ("\x00", "/sandboxes/"),
])  # fmt: skip
def test_after_signing_in_one_is_where_one_was_going_but_never_off_the_site(to, where, alice, anonymous):
    assert anonymous.post("/sign-in/", RIGHT | {"next": to}).headers["Location"] == where


def test_whoever_is_in_needs_no_sign_in_page(as_alice):
    assert as_alice.get("/sign-in/").status_code == 302


def test_a_link_shows_a_button_and_only_the_button_signs_in(alice, anonymous):
    path = signin_path(alice)
    for _ in range(2):
        page = anonymous.get(path)
        assert page.status_code == 200
        assert "signs you in as" in text(page)
        assert "no-store" in page.headers["Cache-Control"]
        assert not is_in(anonymous)
    assert anonymous.post(path).status_code == 303
    assert is_in(anonymous)
    assert Event.objects.get(action="user.sign_in").detail == {"by": "link"}


def test_a_link_is_good_once_and_then_says_so(alice, anonymous):
    path = signin_path(alice)
    anonymous.post(path)
    for response in (browser().get(path), browser().post(path)):
        assert response.status_code == 410
        assert "does not work any more" in text(response)
        assert "Ask an admin for a new one" in text(response)


@pytest.mark.parametrize(
    "path", ["/sign-in/MQ/x-y/", "/sign-in/zzz/abc-def/", "/sign-in/%00/%00/", "/sign-in/MQ/" + "a" * 500]
)
def test_a_link_that_never_was(path, anonymous):
    assert anonymous.get(path).status_code in {404, 410}
    assert anonymous.post(path).status_code in {404, 410}


def test_a_link_of_somebody_switched_off(alice, anonymous):
    path = signin_path(alice)
    User.objects.update(is_active=False)
    assert anonymous.post(path).status_code == 410


def test_fields_of_the_password_are_called_as_elsewhere(as_alice):
    page = as_alice.get("/profile/").content.decode()
    for label in ("Current password", "New password", "New password again"):
        assert f">{label}</label>" in page


def test_profile_is_saved(alice, as_alice):
    response = as_alice.post(
        "/profile/", {"form": "about", "first_name": "Ada", "last_name": "", "email": "ada@example.org"}
    )
    assert response.status_code == 303
    alice.refresh_from_db()
    assert (alice.first_name, alice.email) == ("Ada", "ada@example.org")


def test_profile_cannot_raise_oneself(alice, as_alice):
    wish = {"is_staff": "on", "is_superuser": "1", "quota_sandboxes": "999", "username": "root"}
    as_alice.post("/profile/", {"form": "about"} | wish)
    alice.refresh_from_db()
    assert not alice.is_staff
    assert not alice.is_superuser
    assert (alice.quota_sandboxes, alice.username) == (None, "alice")


def test_a_wrong_address_is_said_at_its_field(as_alice):
    page = as_alice.post("/profile/", {"form": "about", "email": "nonsense"})
    assert page.status_code == 422
    assert 'id="id_email-error"' in text(page)


NEW = {"form": "password", "new_password1": "a long new one", "new_password2": "a long new one"}


def test_whoever_came_by_link_sets_a_password_without_an_old_one(alice, as_alice):
    alice.set_unusable_password()
    alice.save()
    client = browser(alice)
    assert "Set a password" in text(client.get("/profile/"))
    assert client.post("/profile/", NEW).status_code == 303
    assert is_in(client)
    alice.refresh_from_db()
    assert alice.check_password("a long new one")
    assert Event.objects.filter(action="user.password", actor_name="alice").exists()


def test_changing_it_asks_for_the_old_one_and_ends_other_sessions(alice, as_alice):
    other = browser(alice)
    assert as_alice.post("/profile/", NEW).status_code == 422
    assert as_alice.post("/profile/", NEW | {"old_password": RIGHT["password"]}).status_code == 303
    assert is_in(as_alice)
    assert not is_in(other)


@pytest.mark.parametrize(
    ("first", "second"), [("short", "short"), ("a long new one", "another"), ("12345678", "12345678")]
)
def test_a_poor_password_is_said_at_its_field(first, second, alice, as_alice):
    alice.set_unusable_password()
    alice.save()
    page = browser(alice).post("/profile/", NEW | {"new_password1": first, "new_password2": second})
    assert page.status_code == 422
    assert 'id="id_new_password2-error"' in text(page)


def test_usage_is_shown_against_the_quota(alice, running, as_alice):
    alice.quota_sandboxes = 3
    alice.save()
    page = text(as_alice.get("/profile/"))
    assert "1 of 3" in page
    assert "512 MB of 8 GB" in page


def test_menu_for_staff_only(as_alice, as_prof):
    assert "/admin/" not in text(as_alice.get("/profile/"))
    assert "/admin/" in text(as_prof.get("/profile/"))


def test_tries_at_another_web_process_count_as_well(alice, anonymous):
    """Nothing of it is in a process' memory: what another one has counted is in the database."""
    tries(10, client=anonymous, REMOTE_ADDR="127.0.0.1")
    cache.clear()
    assert anonymous.post("/sign-in/", RIGHT).status_code == 429
