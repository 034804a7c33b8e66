"""Saved work is kept for a stated time, and then let go of, on record."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from sandboxes.labs import files, keeping, opening, provision
from sandboxes.labs.models import Lab, Seat
from sandboxes.models import Event
from tests.pages.conftest import browser, text

from .conftest import PROF, rounds

pytestmark = pytest.mark.django_db(transaction=True)
DAY = timedelta(days=1)


@pytest.fixture
def closed(open_lab, seat, alice, bob, settings, monkeypatch):
    """Closed, Alice's work saved 181 days ago, Bob's 179."""
    settings.SANDBOX_WORK_DAYS = 180
    monkeypatch.setattr(keeping, "_next", [0.0])
    opening.close_lab(open_lab, PROF)
    rounds()
    keeping._next[0] = 0.0
    for user, days in ((alice, 181), (bob, 179)):
        path = files.path_of(seat(user))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"packed")
        files.note(seat(user), "")
        Seat.objects.filter(pk=seat(user).pk).update(saved_at=timezone.now() - days * DAY)
    return Lab.objects.get()


def test_the_loop_lets_go_of_what_is_too_old(closed, seat, alice, bob):
    provision.run_round()
    assert [files.path_of(seat(user)).exists() for user in (alice, bob)] == [False, True]
    assert [seat(user).saved_name != "" for user in (alice, bob)] == [False, True]
    event = Event.objects.get(action="lab.forget")
    assert (event.actor_name, event.detail["seats"], event.detail["days"]) == ("provision", 1, 180)


def test_a_second_look_finds_nothing_more(closed):
    assert keeping.forget(timezone.now()) == 1
    assert keeping.forget(timezone.now()) == 0
    assert Event.objects.filter(action="lab.forget").count() == 1


def test_a_crash_between_file_and_row_is_mended_by_the_next_look(closed, seat, alice):
    files.path_of(seat(alice)).unlink()
    assert keeping.forget(timezone.now()) == 1
    assert "kept for 180 days" in seat(alice).saved_reason


def test_pages_say_until_when_and_afterwards_why_not(closed, seat, alice, bob, ines):
    keeping.forget(timezone.now())
    page = lambda user: text(browser(user).get(reverse("seat_detail", args=[seat(user).pk])))  # noqa: E731
    until = seat(bob).kept_until
    assert f"are kept until {until.day} {until:%B %Y}" in page(bob)
    assert "They were kept for 180 days" in page(alice)
    assert "saved work is kept until" in text(browser(ines).get(reverse("lab_detail", args=[closed.pk])))


def test_nothing_goes_where_it_is_kept_for_ever(closed, seat, alice, settings, ines):
    settings.SANDBOX_WORK_DAYS = 0
    provision.run_round()
    assert files.path_of(seat(alice)).exists()
    assert "saved work is kept" not in text(browser(ines).get(reverse("lab_detail", args=[closed.pk])))
