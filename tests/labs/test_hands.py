"""Raised hands shared among staff: claimed once, given back by who has it, resolved by anybody."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from sandboxes.labs import hands, opening
from sandboxes.labs.models import Hand, Lab
from sandboxes.lifecycle import audit
from sandboxes.models import Event
from tests.pages.conftest import HTMX, browser, text

from .conftest import PROF, rounds

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def hand(seat, alice):
    return Hand.objects.create(seat=seat(alice), text="cd does not work")


def act(hand, action):
    return reverse("hand_act", args=[hand.pk, action])


def test_the_queue_shows_who_waits_and_what_for(ines, open_lab, hand):
    page = text(browser(ines).get(reverse("wall", args=[open_lab.pk])))
    assert "1 waiting" in page
    assert "“cd does not work”" in page


def test_of_two_colleagues_one_has_it(ines, tina, hand):
    part = browser(tina).post(act(hand, "claim"), **HTMX)
    assert "You are on it." in text(part)
    late = browser(ines).post(act(hand, "claim"), follow=True)
    assert "A colleague was faster" in text(late)
    assert "Tina is on it." in text(late)
    hand.refresh_from_db()
    assert hand.claimed_by == tina
    assert Event.objects.filter(action="hand.claim").get().actor_name == "tina"


def test_only_who_has_it_gives_it_back(ines, tina, hand):
    browser(tina).post(act(hand, "claim"))
    browser(ines).post(act(hand, "release"))
    hand.refresh_from_db()
    assert hand.claimed_by == tina
    browser(tina).post(act(hand, "release"))
    hand.refresh_from_db()
    assert hand.claimed_by is None


def test_resolved_is_resolved_once_and_the_wait_is_on_record(ines, tina, hand):
    browser(ines).post(act(hand, "resolve"))
    browser(tina).post(act(hand, "resolve"))
    event = Event.objects.get(action="hand.resolve")
    assert (event.actor_name, event.detail["student"]) == ("ines", "Alice")
    assert event.detail["waited"] >= 0


def test_a_hand_that_is_down_cannot_be_claimed(ines, hand):
    assert hands.resolve(hand, audit.SYSTEM)
    assert not hands.claim(hand, ines, audit.SYSTEM)


def test_the_queue_is_fetched_as_a_part(ines, open_lab, hand):
    part = browser(ines).get(reverse("room_help", args=[open_lab.pk]), **HTMX)
    assert part.content.decode().lstrip().startswith("<section")


def test_the_wall_of_a_closed_lab_waits_for_nobody_and_offers_nothing_for_many(ines, open_lab, hand):
    opening.close_lab(open_lab, PROF)
    rounds()
    closed = timezone.now() - timedelta(days=1)
    Lab.objects.update(closed_at=closed)
    shown = browser(ines).get(reverse("wall", args=[open_lab.pk])).content.decode()
    assert "0 waiting" in shown
    assert f'closed <time datetime="{timezone.localtime(closed).isoformat()}"' in shown
    for offer in ("Eyes up", "Restart", 'id="many"', 'name="seat"'):
        assert offer not in shown
    event = Event.objects.get(action="hand.resolve")
    assert (event.actor_kind, event.reason) == ("provision", "the seat was closed")
    hand.refresh_from_db()
    assert hand.resolved_at


def test_there_is_no_such_act(ines, hand):
    assert browser(ines).post(act(hand, "bite")).status_code == 404
