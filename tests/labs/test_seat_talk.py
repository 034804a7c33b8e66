"""What is asked, said and answered at a seat: hands, typing only after a yes, messages, who paused it."""

from __future__ import annotations

import pytest
from django.db.models import F
from django.urls import reverse

from sandboxes.labs import progress
from sandboxes.labs.models import Course, Hand, Message, Seat
from sandboxes.lifecycle import actions
from sandboxes.lifecycle.audit import Origin
from sandboxes.models import Event, Sandbox
from tests.pages.conftest import HTMX, browser, text

from .seats import post, url

pytestmark = pytest.mark.django_db(transaction=True)


# -- hands --------------------------------------------------------------------------------------


def test_a_hand_is_up_once_and_its_text_can_change(seat, alice):
    for words in ("help", "help", "it says\n\0 permission denied"):
        post(alice, "hand", seat(alice), text=words)
    up = Hand.objects.get()
    assert (up.text, up.resolved_at) == ("it says permission denied", None)
    assert "Hand is up" in text(browser(alice).get(url("part", seat(alice), "hand")))


def test_a_hand_is_taken_down_and_can_go_up_again(seat, alice):
    post(alice, "hand", seat(alice), text="one")
    post(alice, "hand", seat(alice), do="down")
    post(alice, "hand", seat(alice), do="down")
    assert progress.hand(seat(alice)) is None
    post(alice, "hand", seat(alice), text="two")
    assert [one.text for one in Hand.objects.all()] == ["one", "two"]
    assert Event.objects.filter(action="seat.hand", outcome="ok").count() == 3


def test_too_long_a_line_is_refused_and_on_record(seat, alice):
    response = browser(alice).post(url("hand", seat(alice)), {"text": "x" * 201}, **HTMX)
    assert "200 characters" in response["HX-Trigger"]
    assert not Hand.objects.exists()
    assert Event.objects.filter(action="seat.hand", outcome="refused").count() == 1


def test_what_is_said_is_never_html(seat, alice):
    post(alice, "hand", seat(alice), text='"><script>x()</script>')
    assert b"<script>x()" not in browser(alice).get(url("detail", seat(alice))).content


# -- typing -------------------------------------------------------------------------------------


@pytest.fixture
def asked(seat, alice, ines):
    Seat.objects.filter(pk=seat(alice).pk).update(typing_asked_by=ines)
    return {"who": ines.pk}


def test_staff_who_ask_are_named_and_a_yes_lets_them_type(seat, alice, ines, asked):
    assert "<b>Ines</b> would like to type" in text(browser(alice).get(url("part", seat(alice), "watch")))
    page = browser(alice).post(url("typing", seat(alice)), {"do": "yes", **asked}, **HTMX)
    assert "<b>Ines</b> may type" in text(page)
    assert (seat(alice).typist, seat(alice).typing_asked_by) == (ines, None)
    assert Event.objects.get(action="seat.typing").detail["answer"] == "yes"


def test_a_no_and_an_end_are_the_end_of_it(seat, alice, asked):
    post(alice, "typing", seat(alice), do="no", **asked)
    assert (seat(alice).typist, seat(alice).typing_asked_by) == (None, None)


def test_typing_ends_with_one_click(seat, alice, ines):
    Seat.objects.filter(pk=seat(alice).pk).update(typist=ines)
    post(alice, "typing", seat(alice), do="end")
    assert seat(alice).typist is None
    assert Event.objects.get(action="seat.typing").detail["staff"] == "ines"


def test_a_yes_is_for_the_one_who_was_seen_to_ask(seat, alice, tina, asked):
    Seat.objects.filter(pk=seat(alice).pk).update(typing_asked_by=tina)
    post(alice, "typing", seat(alice), do="yes", **asked)
    assert (seat(alice).typist, seat(alice).typing_asked_by) == (None, tina)


def test_an_answer_that_is_none_changes_nothing(seat, alice, asked):
    assert post(alice, "typing", seat(alice), do="maybe", **asked).status_code == 404


# -- messages -----------------------------------------------------------------------------------


def test_messages_to_all_and_to_this_seat_are_shown_and_no_others(open_lab, seat, alice, bob):
    Message.objects.create(lab=open_lab, by_name="Ines", text="To all")
    Message.objects.create(lab=open_lab, by_name="Ines", text="To Alice", seat=seat(alice))
    Message.objects.create(lab=open_lab, by_name="Ines", text="To Bob", seat=seat(bob))
    page = text(browser(alice).get(url("part", seat(alice), "messages")))
    assert [words in page for words in ("To all", "To Alice", "To Bob")] == [True, True, False]


def test_a_course_that_lets_staff_type_freely_says_so(course, seat, alice):
    Course.objects.filter(pk=course.pk).update(typing="free")
    assert "They may also type in it; you see who does, and can end it." in text(
        browser(alice).get(url("detail", seat(alice)))
    )


@pytest.mark.parametrize("by", ["ines", "alice"])
def test_a_paused_seat_says_who_did_it_and_offers_to_go_on_only_to_who_paused_it(request, seat, alice, by):
    mine = seat(alice)
    actions.act(mine.sandbox, "pause", Origin.of(request.getfixturevalue(by)))
    page = browser(alice).get(url("detail", mine))
    assert ("Ines has paused your terminal" in text(page)) == (by == "ines")
    assert (reverse("sandbox_act", args=[mine.sandbox_id, "resume"]) in page.content.decode()) == (
        by == "alice"
    )


def test_a_paused_seat_that_is_full_offers_what_helps_and_not_what_is_refused(seat, alice):
    mine = seat(alice)
    actions.act(mine.sandbox, "pause", Origin.of(alice))
    Sandbox.objects.filter(pk=mine.sandbox_id).update(disk_used=F("disk"))
    stage = browser(alice).get(url("part", mine, "stage"))
    assert "stop it and start it, then you have two minutes to delete files." in text(stage)
    assert "Resume</button>" not in text(stage)
    stop = reverse("sandbox_act", args=[mine.sandbox_id, "stop"])
    assert stop in stage.content.decode()
    asked = browser(alice).post(stop, {"next": url("detail", mine)}, follow=True)
    assert asked.redirect_chain[-1][0] == url("detail", mine)
    assert "Start</button>" in text(asked)
