"""Staff at a student's terminal: seen by name, typing only after a yes, all of it on record."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import sync_to_async
from django.urls import reverse

from sandboxes import access
from sandboxes.labs import consumers, watching
from sandboxes.labs.models import Course, Seat
from sandboxes.models import Event
from tests.live.conftest import open_socket, open_terminal  # noqa: F401
from tests.live.helpers import eventually
from tests.pages.conftest import HTMX, browser, text

pytestmark = pytest.mark.django_db(transaction=True)


def events(action):
    return [
        (event.actor_name, event.detail.get("answer"))
        for event in Event.objects.filter(action=action).order_by("id")
    ]


def test_a_look_is_on_record_and_its_refreshes_are_not(ines, seat, alice):
    address = reverse("look", args=[seat(alice).pk])
    page = browser(ines).get(address)
    assert "You look and cannot type." in text(page)
    browser(ines).get(address, **HTMX)
    assert events("seat.look") == [("ines", None)]
    assert events("seat.typing") == []


def test_ask_yes_type_stop(ines, seat, alice):
    place = seat(alice)
    staff = browser(ines)
    asked = staff.post(reverse("look_act", args=[place.pk, "ask"]), **HTMX)
    assert "Waiting for Alice to say yes." in text(asked)
    assert not access.can(ines, place.sandbox, access.TYPE)
    browser(alice).post(reverse("seat_typing", args=[place.pk]), {"do": "yes", "who": ines.pk})
    assert access.can(ines, place.sandbox, access.TYPE)
    assert "You may type." in text(staff.get(reverse("look", args=[place.pk])))
    staff.post(reverse("look_act", args=[place.pk, "stop"]))
    assert not access.can(ines, place.sandbox, access.TYPE)
    assert events("seat.ask") == [("ines", None)]
    assert events("seat.typing") == [("alice", "yes"), ("ines", "end")]


def test_a_no_leaves_it_as_it_was(ines, seat, alice):
    place = seat(alice)
    browser(ines).post(reverse("look_act", args=[place.pk, "ask"]))
    browser(alice).post(reverse("seat_typing", args=[place.pk]), {"do": "no", "who": ines.pk})
    assert not access.can(ines, place.sandbox, access.TYPE)
    assert Seat.objects.get(pk=place.pk).typing_asked_by is None


def test_one_asks_at_a_time_and_takes_it_back(ines, tina, seat, alice):
    place = seat(alice)
    browser(ines).post(reverse("look_act", args=[place.pk, "ask"]))
    assert "Nothing changed" in text(
        browser(tina).post(reverse("look_act", args=[place.pk, "ask"]), follow=True)
    )
    browser(tina).post(reverse("look_act", args=[place.pk, "withdraw"]))
    assert Seat.objects.get(pk=place.pk).typing_asked_by == ines
    browser(ines).post(reverse("look_act", args=[place.pk, "withdraw"]))
    assert Seat.objects.get(pk=place.pk).typing_asked_by is None


@pytest.mark.parametrize("who", ["ines", "alice"])
def test_where_no_yes_is_needed_they_begin_with_a_click_and_either_side_ends_it(ines, seat, alice, who):
    Course.objects.update(typing=Course.Typing.FREE)
    place, staff, student = seat(alice), browser(ines), browser(alice)
    assert "This course needs no yes" in text(staff.get(reverse("look", args=[place.pk])))
    assert "Begin typing" in text(staff.get(reverse("look", args=[place.pk])))
    assert events("seat.typing") == []
    bar = staff.post(reverse("look_act", args=[place.pk, "begin"]), **HTMX)
    assert "You may type." in text(bar)
    assert "Stop typing" in text(bar)
    watch = text(student.get(reverse("seat_part", args=[place.pk, "watch"])))
    assert "Ines" in watch
    assert "End typing" in watch
    assert access.can(ines, place.sandbox, access.TYPE)
    if who == "alice":
        student.post(reverse("seat_typing", args=[place.pk]), {"do": "end"})
    else:
        staff.post(reverse("look_act", args=[place.pk, "stop"]))
    assert not access.can(ines, place.sandbox, access.TYPE)
    assert "Begin typing" in text(staff.get(reverse("look", args=[place.pk])))
    assert "End typing" not in text(student.get(reverse("seat_part", args=[place.pk, "watch"])))
    assert events("seat.typing") == [("ines", "free"), (who, "end")]


def test_one_begins_at_a_time_and_only_where_the_course_says_so(ines, tina, seat, alice):
    place = seat(alice)
    begin = reverse("look_act", args=[place.pk, "begin"])
    assert "Nothing changed" in text(browser(ines).post(begin, follow=True))
    Course.objects.update(typing=Course.Typing.FREE)
    browser(ines).post(begin)
    assert "Nothing changed" in text(browser(tina).post(begin, follow=True))
    assert Seat.objects.get(pk=place.pk).typist == ines


def test_who_only_looks_has_no_buttons(tina, seat, alice):
    Course.objects.update(assistants_act=False, typing=Course.Typing.FREE)
    place = seat(alice)
    page = text(browser(tina).get(reverse("look", args=[place.pk])))
    assert "Ask to type" not in page
    assert "You look and cannot type." in page
    for action in ("ask", "begin"):
        assert browser(tina).post(reverse("look_act", args=[place.pk, action])).status_code == 404
    assert events("seat.typing") == []


async def test_typing_is_refused_until_the_yes_and_again_after_the_end(
    ines,
    alice,
    seat,
    open_lab,
    open_terminal,  # noqa: F811
):
    place = await Seat.objects.select_related("sandbox").aget(enrollment__user=alice)
    hers = await open_terminal(place.sandbox_id, alice)
    await hers.read(until=b"$ ")
    mine = await open_terminal(place.sandbox_id, ines)
    assert (await mine.read(kind="rights"))["may_type"] is False
    assert (await hers.read(kind="viewers"))["others"] == ["Ines"]
    await Seat.objects.filter(pk=place.pk).aupdate(typist=ines)
    assert (await mine.read(kind="rights", seconds=4))["may_type"] is True
    await mine.run("echo from-ines", b"from-ines\r\n")
    await Seat.objects.filter(pk=place.pk).aupdate(typist=None)
    assert (await mine.read(kind="rights", seconds=4))["may_type"] is False
    await mine.type(b"x")
    assert (await mine.read(kind="error"))["code"] == "not_allowed"


@pytest.mark.parametrize("comes_back", [True, False])
async def test_who_has_left_the_page_types_no_more(
    ines,
    alice,
    seat,
    open_socket,  # noqa: F811
    monkeypatch,
    comes_back,
):
    monkeypatch.setattr(consumers, "AWAY", 0.2)
    place = await sync_to_async(seat)(alice)
    await Seat.objects.filter(pk=place.pk).aupdate(typist=ines)
    first = await open_socket(f"/ws/seats/{place.pk}/", ines)
    assert await eventually(lambda: watching.open_sockets)
    await first.communicator.disconnect()
    if comes_back:
        await open_socket(f"/ws/seats/{place.pk}/", ines)
    await asyncio.sleep(0.6)
    assert (await Seat.objects.aget(pk=place.pk)).typist_id == (ines.pk if comes_back else None)
    ended = await sync_to_async(events)("seat.typing")
    assert ended == ([] if comes_back else [("ines", "end")])


async def test_the_student_who_leaves_ends_nobodys_right(ines, alice, seat, open_socket, monkeypatch):  # noqa: F811
    monkeypatch.setattr(consumers, "AWAY", 0.1)
    place = await sync_to_async(seat)(alice)
    await Seat.objects.filter(pk=place.pk).aupdate(typist=ines)
    page = await open_socket(f"/ws/seats/{place.pk}/", alice)
    assert await eventually(lambda: watching.open_sockets)
    await page.communicator.disconnect()
    await asyncio.sleep(0.4)
    assert (await Seat.objects.aget(pk=place.pk)).typist_id == ines.pk
