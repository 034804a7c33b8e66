"""The last minutes: who closes by hand warns the room, who has extra time is told of their own end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from sandboxes.labs import broadcast, closing, opening
from sandboxes.labs.models import Lab, LabStatus, Message, Seat, SeatStatus
from sandboxes.lifecycle.refusals import Refused
from sandboxes.models import Event
from tests.live.conftest import open_socket  # noqa: F401
from tests.pages.conftest import browser, refusals, text

from .conftest import PROF

pytestmark = pytest.mark.django_db(transaction=True)
MINUTE = timedelta(minutes=1)


def act(user, lab, action, **data):
    return text(browser(user).post(reverse("lab_act", args=[lab.pk, action]), data, follow=True))


def said(seat=None):
    """What everyone, or this seat alone, was told."""
    return list(Message.objects.filter(seat=seat).order_by("id").values_list("text", flat=True))


# -- closing by hand ----------------------------------------------------------------------------


def test_closing_in_five_minutes_tells_everyone_and_moves_the_end(open_lab, ines):
    assert "Everybody is told: it closes in 5 minutes." in act(ines, open_lab, "close", minutes="5")
    open_lab.refresh_from_db()
    assert open_lab.is_open
    assert 4 * MINUTE < open_lab.closes_at - timezone.now() <= 5 * MINUTE
    assert said() == ["Ines closes this lab in 5 min. Your files are saved then."]
    closing.warn()
    assert len(said()) == 1
    assert Event.objects.get(action="lab.close_soon").actor_name == "ines"


def test_closing_now_tells_everyone_too(open_lab, ines):
    page = act(ines, open_lab, "close")
    assert said() == ["Ines closes this lab now. Your files are being saved."]
    open_lab.refresh_from_db()
    assert open_lab.status == LabStatus.CLOSING
    assert "Workspaces are saved first" in page
    assert "is being closed" not in page, "it would stay there when the lab is closed"
    Lab.objects.filter(pk=open_lab.pk).update(status=LabStatus.CLOSED, closed_at=timezone.now())
    assert "Workspaces are saved first" not in text(browser(ines).get(f"/labs/{open_lab.pk}/"))


async def test_an_open_seat_hears_it_once(open_lab, seat, alice, ines, open_socket):  # noqa: F811
    mine = await sync_to_async(seat)(alice)
    page = await open_socket(f"/ws/seats/{mine.pk}/", alice)
    await sync_to_async(closing.begin)(open_lab, PROF, "Ines", 5)
    heard = await page.next("message")
    assert "closes this lab in 5 min" in heard["text"]
    assert heard["about"] == "end"
    assert await page.quiet(2.5, "message")


def test_what_tells_the_end_says_so_and_nothing_else_does(open_lab, seat, alice):
    opening.extend_seat(seat(alice), PROF, 40 * 60)
    closing.begin(open_lab, PROF, "Ines", 5)
    Lab.objects.update(closes_at=timezone.now() + MINUTE, warned_at=None)
    closing.warn()
    Lab.objects.update(closes_at=timezone.now() - 38 * MINUTE)
    closing.warn()
    closing.begin(Lab.objects.get(), PROF, "Ines", 1)
    closing.begin(Lab.objects.get(), PROF, "Ines")
    told = dict(Message.objects.values_list("text", "about"))
    ends = [text for text, about in told.items() if about == Message.END]
    assert len(ends) == 5, told
    assert all("closes" in text or "ends" in text for text in ends)
    others = {text for text in told if text not in ends}
    assert others
    assert all("more than the others" in text or "more time" in text for text in others), told
    page = browser(alice).get(f"/seats/{seat(alice).pk}/part/messages/").content.decode()
    assert page.count('data-about="end"') == 5


def test_an_end_that_is_sooner_stays(open_lab, ines):
    Lab.objects.update(closes_at=timezone.now() + MINUTE)
    before = Lab.objects.get().closes_at
    assert "Everybody is told: it closes in 1 minute." in act(ines, open_lab, "close", minutes="10")
    assert Lab.objects.get().closes_at == before
    assert said() == ["Ines closes this lab in 1 min. Your files are saved then."]


def test_the_question_tells_of_those_with_extra_time(open_lab, seat, alice, ines):
    opening.extend_seat(seat(alice), PROF, 600)
    asked = browser(ines).post(reverse("lab_act", args=[open_lab.pk, "close"]) + "?confirm")
    assert "1 student has extra time" in text(asked)


def test_who_has_extra_time_is_told_so_and_who_closes_is_too(open_lab, seat, alice, bob, ines):
    opening.extend_seat(seat(alice), PROF, 2400)
    told = act(ines, open_lab, "close", minutes="5")
    assert "it closes in 5 minutes. Alice has 40 min more." in told
    assert said(seat(alice)) == ["You have 40 min more than the others."]
    assert (seat(alice).extra, said(seat(bob))) == (2400, [])
    opening.extend_seat(seat(bob), PROF, 600)
    told = act(ines, open_lab, "close", minutes="2")
    assert "it closes in 2 minutes. 2 students have extra time after that, 40 min at most." in told


def over_but_for(seat, user, minutes):
    """The lab's own end was five minutes ago; this one has so many minutes left."""
    opening.extend_seat(seat(user), PROF, 300 + minutes * 60)
    Lab.objects.update(closes_at=timezone.now() - 5 * MINUTE, warned_at=timezone.now() - 10 * MINUTE)
    closing.close_due()


def test_after_its_own_end_the_minutes_are_for_who_has_extra_time(open_lab, seat, alice, bob, ines):
    over_but_for(seat, alice, 40)
    assert (seat(alice).status, seat(bob).status) == ("ready", "closed")
    asked = browser(ines).post(reverse("lab_act", args=[open_lab.pk, "close"]) + "?confirm")
    assert "the minutes are for the student who has extra time" in text(asked)
    before = Lab.objects.get().closes_at
    told = act(ines, open_lab, "close", minutes="5")
    assert "Alice, who has extra time, is told: it closes in 5 minutes." in told
    assert 4 * MINUTE < seat(alice).closes_at - timezone.now() <= 5 * MINUTE
    assert Lab.objects.get().closes_at == before
    assert said(seat(alice)) == ["Ines closes this lab in 5 min. Your files are saved then."]
    event = Event.objects.get(action="lab.close_soon")
    assert event.detail["seats"] == [seat(alice).pk]
    closing.warn()
    assert len(said(seat(alice))) == 1
    Lab.objects.update(closes_at=before - 6 * MINUTE)  # six minutes later
    closing.close_due()
    assert Lab.objects.get().status == LabStatus.CLOSING


def test_extra_time_that_ends_sooner_stays(open_lab, seat, alice, ines):
    over_but_for(seat, alice, 2)
    before = seat(alice).extra
    told = act(ines, open_lab, "close", minutes="10")
    assert "Nobody has more time than that: it closes in 2 minutes." in told
    assert (seat(alice).extra, said(seat(alice))) == (before, [])


# -- extra time ---------------------------------------------------------------------------------


def test_who_has_extra_time_is_warned_before_their_own_end(open_lab, seat, alice, bob):
    opening.extend_seat(seat(alice), PROF, 1800)
    Lab.objects.update(closes_at=timezone.now() + 4 * MINUTE)
    closing.warn()
    assert said() == ["This lab closes in 4 min. Your files are saved then."]
    assert said(seat(alice)) == ["You have 30 min more than the others."]
    Lab.objects.update(closes_at=timezone.now() - 26 * MINUTE)
    closing.warn()
    closing.warn()
    assert said(seat(alice))[1:] == ["Your extra time ends in 4 min. Your files are saved then."]
    assert said(seat(bob)) == []


def test_more_extra_time_is_a_new_end_to_be_warned_of(open_lab, seat, alice):
    opening.extend_seat(seat(alice), PROF, 60)
    Lab.objects.update(closes_at=timezone.now())
    closing.warn()
    opening.extend_seat(seat(alice), PROF, 180)
    closing.warn()
    assert said(seat(alice))[1:] == [
        "Your extra time ends in 1 min. Your files are saved then.",
        "Your extra time ends in 4 min. Your files are saved then.",
    ]


def test_extra_time_given_at_once_by_many_is_all_given(open_lab, seat, alice):
    stale = [seat(alice) for _ in range(6)]

    def give(one):
        try:
            opening.extend_seat(one, PROF, 60)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(give, stale))
    assert seat(alice).extra == 360


def test_time_for_all_given_at_once_is_all_given(open_lab):
    before, stale = open_lab.closes_at, [Lab.objects.get() for _ in range(2)]
    for one in stale:
        opening.extend_lab(one, PROF, 60)
    assert Lab.objects.get().closes_at - before == 2 * MINUTE


def test_a_lab_whose_seats_are_closed_gets_no_more_time(open_lab, seat, alice, bob, ines):
    Seat.objects.filter(pk=seat(bob).pk).update(status=SeatStatus.CLOSED)
    before = open_lab.closes_at
    assert "seats are closed already" in act(ines, open_lab, "extend", minutes="15")
    assert Lab.objects.get().closes_at == before
    assert refusals("lab.extend")
    told = browser(ines).post(reverse("seat_extend", args=[seat(bob).pk]), follow=True)
    assert "Bob’s seat is closed" in text(told)
    assert seat(bob).extra == 0
    assert broadcast.extend([seat(alice), seat(bob)], PROF, 1) == 1


# -- before and after ---------------------------------------------------------------------------


def test_a_planned_lab_says_how_long_it_lasts_not_when_it_closes(lab, ines):
    for name in ("lab_detail", "wall"):
        page = text(browser(ines).get(reverse(name, args=[lab.pk])))
        assert "<span>closes" not in page, name
    assert "lasts 1 h from when it is opened" in text(browser(ines).get(reverse("lab_detail", args=[lab.pk])))


def test_nobody_is_written_to_in_a_closed_lab(open_lab):
    Lab.objects.update(status=LabStatus.CLOSED)
    open_lab.refresh_from_db()
    with pytest.raises(Refused, match="is closed"):
        broadcast.message(open_lab, "Hello?", PROF)
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    ("path", "what"), [("seats/seat_nothing/", "seat"), ("labs/lab_nothing/wall/", "lab")]
)
async def test_a_socket_calls_what_is_not_there_by_its_name(path, what, alice, open_socket):  # noqa: F811
    page = await open_socket(f"/ws/{path}", alice)
    assert (await page.next("goodbye"))["reason"] == f"There is no such {what}."
    event = await Event.objects.aget(action=f"{what}.view")
    assert event.reason == f"There is no such {what}."


def test_renewing_asks_first_also_without_a_script(course, ines, alice):
    person = course.enrollments.get(user=alice)
    client = browser(ines)
    asked = client.post(reverse("roster_act", args=[course.pk, person.pk, "renew"]) + "?confirm")
    assert "Renew the link of Alice?" in text(asked)
    person.refresh_from_db()
    assert person.link_version == 1
    client.post(reverse("course_join", args=[course.pk]), {"do": "invite"})
    course.refresh_from_db()
    before = course.invite
    page = client.get(reverse("course_join", args=[course.pk])).content.decode()
    assert f'action="{reverse("course_join", args=[course.pk])}?confirm"' in page
    asked = client.post(reverse("course_join", args=[course.pk]) + "?confirm", {"do": "invite"})
    assert "The present one leads nowhere from then on." in text(asked)
    course.refresh_from_db()
    assert course.invite == before


# -- time that is given at the last moment ---------------------------------------------------------


@pytest.fixture
def over(open_lab):
    """Its time has just been over; nobody has looked yet."""
    Lab.objects.update(closes_at=timezone.now() - MINUTE / 60)
    return Lab.objects.get()


@pytest.mark.parametrize("give", [
    lambda lab, seat: opening.extend_lab(lab, PROF, 900),
    lambda lab, seat: opening.extend_seat(seat, PROF, 900),
])  # fmt: skip
def test_who_gives_time_while_the_loop_looks_is_believed(over, seat, alice, monkeypatch, give):
    """Between what the loop has read and its UPDATE; they were told that the time was given."""
    close = opening.close_lab

    def slowly(lab, by, **rest):
        give(Lab.objects.get(), seat(alice))
        return close(lab, by, **rest)

    monkeypatch.setattr(opening, "close_lab", slowly)
    closing.close_due()
    assert Lab.objects.get().status == LabStatus.OPEN


def test_who_gives_a_seat_time_while_it_is_taken_in_hand_is_believed(over, seat, alice, bob, monkeypatch):
    opening.extend_seat(seat(bob), PROF, 1800)
    close = closing.close_seat

    def slowly(place):
        opening.extend_seat(seat(alice), PROF, 900)
        return close(place)

    monkeypatch.setattr(closing, "close_seat", slowly)
    closing.close_due()
    assert seat(alice).status == SeatStatus.READY
