"""Guessing class codes: the one who guesses waits, the class behind the same address does not."""

from __future__ import annotations

import pytest
from django.test import Client

from sandboxes.labs import guesses, joining
from sandboxes.labs.models import Course
from sandboxes.models import Brake, User
from tests.pages.conftest import browser, text

from .conftest import PROF

pytestmark = pytest.mark.django_db


@pytest.fixture
def code(course: Course) -> str:
    Course.objects.update(guests_allowed=True)
    return joining.new_code(course, PROF, 60)


@pytest.fixture
def carl(db) -> User:
    return User.objects.create_user("carl")


def arrive() -> Client:
    """A new browser that has opened the page."""
    client = Client()
    assert client.get("/join/").status_code == 200
    return client


def guess(client: Client, times: int = 1, code: str = "wrongone", **more: str) -> list[int]:
    return [client.post("/join/", {"code": code, **more}).status_code for _ in range(times)]


def test_who_guesses_waits_even_with_the_right_code(code, carl):
    for client, name in ((browser(carl), ""), (arrive(), "Greta")):
        assert guess(client, guesses.MOST) == [422] * guesses.MOST
        answer = client.post("/join/", {"code": code, "name": name})
        assert answer.status_code == 429
        assert "Wait a minute" in text(answer)


def test_the_class_behind_the_same_address_comes_in_all_the_same(code, carl):
    for _ in range(5):
        guess(arrive(), guesses.MOST)
    assert guess(arrive(), code=code, name="Greta") == [303]
    assert guess(browser(carl), code=code) == [303]


def test_beyond_the_address_cap_whoever_was_there_or_has_an_account_comes_in(code, carl, monkeypatch):
    monkeypatch.setattr(guesses, "MOST_OF_ADDRESS", 20)
    there = arrive()
    while guess(arrive()) == [422]:
        pass
    assert guess(there, code=code, name="Greta") == [303]
    assert guess(browser(carl), code=code) == [303]


@pytest.mark.parametrize("cap", ["MOST_OF_ADDRESS", "MOST_OF_ALL"])
def test_who_throws_the_cookie_away_is_stopped_by_the_cap(code, monkeypatch, cap):
    monkeypatch.setattr(guesses, cap, 20)
    answers = [guess(arrive())[0] for _ in range(40)]
    assert answers[:19] == [422] * 19
    assert set(answers[19:]) == {429}
    assert guess(arrive(), code=code, name="Greta") == [429]  # one device of its address by now


def test_what_keeps_no_cookie_is_one_device_of_its_address(code):
    assert [guess(Client())[0] for _ in range(guesses.MOST + 1)] == [422] * guesses.MOST + [429]
    other = Client(REMOTE_ADDR="192.0.2.7")
    assert guess(other, code=code, name="Greta") == [303]


def test_the_cookie_is_signed_and_not_for_scripts(code):
    cookie = Client().get("/join/").cookies[guesses.COOKIE]
    assert (bool(cookie["httponly"]), cookie["samesite"]) == (True, "Lax")
    answers = []
    for number in range(guesses.MOST + 1):
        client = Client()
        client.cookies[guesses.COOKIE] = f"made-up-{number}"
        answers += guess(client)
    assert answers[-1] == 429


def test_the_count_is_one_for_all_web_processes(code):
    """It is in the database: what another process has counted counts here."""
    client = arrive()
    guess(client)
    (key,) = Brake.objects.filter(key__startswith="join:visitor-").values_list("key", flat=True)
    Brake.objects.filter(key=key).update(count=guesses.MOST)
    assert guess(client) == [429]
