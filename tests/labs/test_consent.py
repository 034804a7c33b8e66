"""A command is typing, and eyes up is eyes up: what staff need a yes for, what a student has to leave."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from sandboxes.labs import broadcast, members, opening
from sandboxes.labs.models import Course, Message, Seat
from sandboxes.lifecycle import actions, audit
from sandboxes.lifecycle.audit import Origin
from sandboxes.models import Command, Event, Outcome, Sandbox, Status
from tests.pages.conftest import HTMX, browser, refusals, text

from .conftest import rounds
from .seats import post

pytestmark = pytest.mark.django_db(transaction=True)
ASK = "takes the yes of whoever’s terminal this is"


def run(user, sandbox, **more):
    return browser(user).post(reverse("command_run", args=[sandbox.pk]), {"command": "true"}, **more)


def page(user, sandbox, *part):
    name = "sandbox_part" if part else "sandbox_detail"
    return browser(user).get(reverse(name, args=[sandbox.pk, *part])).content.decode()


# -- a command is typing ------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["ines", "tina", "prof"])
def test_staff_run_no_command_without_the_students_yes(who, seat, alice, request):
    user, sandbox = request.getfixturevalue(who), seat(alice).sandbox
    for more in ({}, HTMX):
        answer = run(user, sandbox, **more)
        assert answer.status_code == 422
        assert ASK in text(answer)
    assert not Command.objects.exists()
    assert refusals("command.run")[0].actor_name == who
    assert 'name="command"' not in page(user, sandbox)
    assert "take the yes of Alice" in page(user, sandbox, "run")


def test_with_the_yes_the_box_is_there_and_runs(seat, alice, ines):
    Seat.objects.filter(pk=seat(alice).pk).update(typist=ines)
    sandbox = seat(alice).sandbox
    assert 'name="command"' in page(ines, sandbox, "run")
    assert run(ines, sandbox).status_code == 303
    assert Command.objects.get().by == ines
    assert "may type in your terminal and run commands there" in text(
        browser(alice).get(reverse("seat_detail", args=[seat(alice).pk]))
    )


def test_again_needs_the_yes_too(seat, alice, ines):
    sandbox = seat(alice).sandbox
    run(alice, sandbox)
    made = Command.objects.get()
    detail = reverse("command_detail", args=[sandbox.pk, made.pk])
    again = reverse("command_rerun", args=[sandbox.pk, made.pk])
    assert again not in browser(ines).get(detail).content.decode()
    browser(ines).post(again)
    assert Command.objects.count() == 1
    assert [one.actor_name for one in refusals("command.run")] == ["ines"]
    assert again in browser(alice).get(detail).content.decode()


def test_where_the_course_says_so_no_yes_is_needed_but_to_begin(seat, alice, ines):
    Course.objects.update(typing=Course.Typing.FREE)
    assert run(ines, seat(alice).sandbox).status_code == 422
    browser(ines).post(reverse("look_act", args=[seat(alice).pk, "begin"]))
    assert run(ines, seat(alice).sandbox).status_code == 303


def test_another_policy_is_told_in_the_room_and_beside_the_terminal(seat, alice, ines, course):
    """What stood there when the page was opened is no promise any more."""
    place = seat(alice)
    part = reverse("seat_part", args=[place.pk, "told"])
    before = talk(alice, place)
    assert "only after your yes" in text(browser(alice).get(part))
    values = {name: getattr(course, name) for name in members.SETTINGS} | {"typing": Course.Typing.FREE}
    members.change(course, Origin.of(ines), values)
    assert "They may also type in it" in text(browser(alice).get(part))
    assert talk(alice, place) != before  # by which an open page knows that it is to fetch the part anew
    assert "may type in your terminal without asking" in Message.objects.get().text
    members.change(course, Origin.of(ines), values | {"typing": Course.Typing.ASK})
    assert "only after your yes" in Message.objects.order_by("-id")[0].text
    assert talk(alice, place) == before


def test_who_began_without_a_yes_types_no_more_where_one_is_needed_now(seat, alice, ines, course):
    """“From now on … only after your yes” is told to the room at that moment."""
    Course.objects.update(typing=Course.Typing.FREE)
    course.refresh_from_db()
    browser(ines).post(reverse("look_act", args=[seat(alice).pk, "begin"]))
    assert run(ines, seat(alice).sandbox).status_code == 303
    values = {name: getattr(course, name) for name in members.SETTINGS}
    members.change(course, Origin.of(ines), values | {"typing": Course.Typing.ASK})
    assert run(ines, seat(alice).sandbox).status_code == 422


def talk(user, place):
    page = browser(user).get(reverse("seat_part", args=[place.pk, "header"])).content.decode()
    return re.search('data-talk="([^"]*)"', page).group(1)


# -- eyes up ------------------------------------------------------------------------------------


def eyes_up(seat, by):
    broadcast.act(seat.lab, "pause", Origin.of(by), [seat])
    rounds()


def act(user, action, sandbox, **more):
    address = reverse("sandbox_act", args=[sandbox.pk, action])
    return text(browser(user).post(address, follow=True, **more))


@pytest.mark.parametrize("action", ["resume", "restart", "extend", "stop", "remove"])
def test_a_student_does_not_end_eyes_up(seat, alice, ines, action):
    mine = seat(alice)
    eyes_up(mine, ines)
    assert "Ines has paused your terminal." in act(alice, action, mine.sandbox)
    mine.sandbox.refresh_from_db()
    assert mine.sandbox.status == Status.PAUSED
    assert [one.actor_name for one in refusals(f"sandbox.{action}")] == ["alice"]


@pytest.mark.parametrize("loop", [audit.CLEANUP, audit.PROVISION])
def test_what_a_loop_has_paused_is_not_eyes_up(seat, alice, loop):
    """A strict sandbox that was changed outside, or whose work could not be saved: nobody pressed it."""
    mine = seat(alice)
    actions.pause(mine.sandbox, by=loop, wait=None, reason="it was changed outside")
    page = text(browser(alice).get(reverse("seat_detail", args=[mine.pk])))
    assert "Eyes up" not in page
    assert f"{loop.name} has paused" not in act(alice, "resume", mine.sandbox)
    mine.sandbox.refresh_from_db()
    assert mine.sandbox.status == Status.RUNNING


def test_the_list_is_no_way_around_it(seat, alice, ines):
    mine = seat(alice)
    eyes_up(mine, ines)
    data = {"action": "resume", "ids": [mine.sandbox_id]}
    browser(alice).post(reverse("sandbox_act_many"), data)
    assert Sandbox.objects.get(pk=mine.sandbox_id).status == Status.PAUSED


def test_nor_is_starting_over(seat, alice, ines):
    mine = seat(alice)
    eyes_up(mine, ines)
    post(alice, "start_over", mine)
    assert (seat(alice).generation, seat(alice).sandbox_id) == (1, mine.sandbox_id)
    assert Event.objects.get(action="seat.start_over").outcome == Outcome.REFUSED


def test_eyes_up_holds_who_had_paused_it_themselves(seat, alice, ines):
    mine = seat(alice)
    actions.pause(mine.sandbox, by=Origin.of(alice), wait=None)
    eyes_up(mine, ines)
    act(alice, "resume", mine.sandbox)
    assert Sandbox.objects.get(pk=mine.sandbox_id).status == Status.PAUSED


def test_staff_end_it_and_a_students_own_pause_is_their_own(seat, alice, ines):
    mine = seat(alice)
    eyes_up(mine, ines)
    act(ines, "resume", mine.sandbox)
    assert Sandbox.objects.get(pk=mine.sandbox_id).status == Status.RUNNING
    act(alice, "pause", mine.sandbox)
    act(alice, "resume", mine.sandbox)
    assert Sandbox.objects.get(pk=mine.sandbox_id).status == Status.RUNNING


def test_the_sandboxs_story_tells_of_staff_in_whole_sentences(seat, alice, ines):
    mine = seat(alice)
    browser(ines).get(reverse("look", args=[mine.pk]))
    assert "ines looked at Alice’s terminal" in page(alice, mine.sandbox, "timeline")


def test_nobody_asks_to_type_where_there_is_no_terminal_any_more(seat, alice, ines, open_lab):
    Seat.objects.filter(pk=seat(alice).pk).update(typing_asked_by=ines)
    part = reverse("seat_part", args=[seat(alice).pk, "watch"])
    assert "would like to type" in text(browser(alice).get(part))
    opening.close_lab(open_lab, Origin.of(ines))
    rounds()
    assert "would like to type" not in text(browser(alice).get(part))
