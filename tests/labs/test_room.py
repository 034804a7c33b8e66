"""The room's pages, and who may: staff of the course look, those who may act, nobody else knows of it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from sandboxes.labs import broadcast, overview, seats
from sandboxes.labs.models import Course, Enrollment, Hand, Lab, Seat
from sandboxes.lifecycle import audit, commands
from sandboxes.models import Event, Outcome, User
from tests.pages.conftest import HTMX, browser, text

from .conftest import PROF, enroll, rounds

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_wall_has_a_tile_a_seat(ines, open_lab, seat, alice):
    page = browser(ines).get(reverse("wall", args=[open_lab.pk]))
    shown = text(page)
    assert "Students know that this wall exists." in shown
    assert '<span data-tally="here">0</span> here' in shown
    assert '<span data-tally="came">0</span> of 2 came' in shown
    assert page.content.decode().count('class="card tile"') == 2
    assert "step 1 of 2" in shown


def test_the_wall_tells_who_is_here_who_left_and_who_never_came(ines, open_lab, seat, alice, bob, course):
    now = timezone.now()
    enroll(course, User.objects.create_user("carol"))
    seats.add_latecomers(open_lab, PROF)
    Seat.objects.filter(pk=seat(alice).pk).update(joined_at=now, seen_at=now)
    Seat.objects.filter(pk=seat(bob).pk).update(joined_at=now, seen_at=now - timedelta(minutes=14))
    shown = text(browser(ines).get(reverse("wall", args=[open_lab.pk])))
    assert '<span data-tally="here">1</span> here' in shown
    assert '<span data-tally="came">2</span> of 3 came' in shown
    assert "left 14 min ago" in shown
    assert shown.count(">not here yet<") == 1
    Lab.objects.filter(pk=open_lab.pk).update(status="closed", closed_at=now)
    shown = text(browser(ines).get(reverse("wall", args=[open_lab.pk])))
    assert shown.count(">did not come<") == 1
    for stale in ("left 14 min ago", "not here yet", "</span> here", "Students know that this wall exists."):
        assert stale not in shown


def test_it_sorts_and_filters(ines, open_lab, seat, alice, bob):
    Enrollment.objects.filter(user=bob).update(section="B")
    now = timezone.now()
    Seat.objects.filter(pk=seat(alice).pk).update(joined_at=now, step_since=now)
    Seat.objects.filter(pk=seat(bob).pk).update(joined_at=now, step_since=open_lab.created_at)
    Hand.objects.create(seat=seat(alice))

    def names(query):
        page = browser(ines).get(reverse("wall", args=[open_lab.pk]) + query)
        return [tile.name for tile in page.context["tiles"]]

    assert names("") == ["Bob", "Alice"]
    assert names("?sort=name") == ["Alice", "Bob"]
    assert names("?sort=hands") == ["Alice", "Bob"]
    assert names("?section=B") == ["Bob"]
    assert names("?sort=evil&section=none") == ["Bob", "Alice"]


def test_the_big_screen_has_nothing_to_press(ines, open_lab):
    page = text(browser(ines).get(reverse("wall", args=[open_lab.pk]) + "?big=1"))
    assert "Leave the big screen" in page
    assert "Eyes up" not in page
    assert "Help queue" not in page


def test_the_wall_takes_few_queries_however_many_seats(ines, open_lab, course, django_assert_max_num_queries):
    for number in range(40):
        enroll(course, User.objects.create_user(f"s{number}"))
    seats.queue_all(open_lab)
    client = browser(ines)
    with django_assert_max_num_queries(13):
        client.get(reverse("wall", args=[open_lab.pk]))


def test_the_overview_tells_who_came_and_how_long_steps_took(ines, alice, open_lab, seat):
    place = seat(alice)
    client = browser(alice)
    client.get(reverse("seat_detail", args=[place.pk]))
    client.post(reverse("seat_step", args=[place.pk]), {"do": "done", "step": "1"})
    page = browser(ines).get(reverse("lab_overview", args=[open_lab.pk]))
    assert "1 <small>of 2</small>" in page.content.decode()
    person = page.context["people"][0]
    assert list(person.times) == [1]
    assert "not yet" in text(page)
    assert re.search(r"median \d+ s, of those who did it", text(page)), "who is stuck there is not counted"
    assert browser(ines).get(reverse("lab_overview", args=[open_lab.pk]), **HTMX).status_code == 200


def test_the_overviews_spreadsheet_holds_no_formula(ines, alice, open_lab, seat):
    Enrollment.objects.filter(user=alice).update(name="=cmd()")
    answer = browser(ines).get(reverse("overview_csv", args=[open_lab.pk])).content.decode("utf-8-sig")
    assert "'=cmd()" in answer
    assert answer.startswith("name,")


def test_a_seats_story_in_words(ines, alice, open_lab, seat):
    place = seat(alice)
    browser(alice).get(reverse("seat_detail", args=[place.pk]))
    browser(alice).post(reverse("seat_hand", args=[place.pk]), {"text": "Hm"})
    browser(ines).get(reverse("look", args=[place.pk]))
    page = text(browser(ines).get(reverse("seat_story", args=[place.pk])))
    for said in ("came to the lab", "raised a hand", "Ines looked at the terminal", "the seat is ready"):
        assert said in page


def test_a_seats_story_goes_on_when_it_is_started_over(ines, alice, bob, seat):
    """What happened in the sandbox before, a command for instance, is not forgotten."""
    place = seat(alice)
    before, others = place.sandbox, seat(bob).sandbox
    for sandbox, argv in ((before, "make before"), (others, "make theirs")):
        commands.run(sandbox, argv, origin=audit.Origin.of(sandbox.owner), user=sandbox.owner)
    browser(alice).post(reverse("seat_start_over", args=[place.pk]))
    rounds()
    assert seat(alice).sandbox_id != before.pk
    told = {event.sandbox_id for event in overview.story(seat(alice))} - {""}
    assert told == {before.pk, seat(alice).sandbox_id}
    page = text(browser(ines).get(reverse("seat_story", args=[place.pk])))
    assert "make before" in page
    assert "started over from the starting files" in page
    assert "make theirs" not in page


# -- who may ------------------------------------------------------------------------------------

LOOK, ACT = "look", "act"
WHO = {"ines": {LOOK, ACT}, "prof": {LOOK, ACT}, "tina": {LOOK, ACT}, "looking": {LOOK}, "alice": set(),
       "bob": set(), "other": set(), "removed": set()}  # fmt: skip


def person(who, course, request):
    if who == "other":
        user = User.objects.create_user("other")
        enroll(Course.objects.create(title="Elsewhere"), user, "instructor")
        return user
    if who == "looking":
        Course.objects.update(assistants_act=False)
        return request.getfixturevalue("tina")
    if who == "removed":
        course.enrollments.filter(user__username="ines").update(removed_at=timezone.now())
        return request.getfixturevalue("ines")
    return request.getfixturevalue(who)


@pytest.fixture
def routes(open_lab, seat, alice):
    """Every path of the room: (need, address), the gets and the posts."""
    place, lab = seat(alice), open_lab
    hand = Hand.objects.create(seat=place)
    run = broadcast.command(lab, "true", PROF, [place])
    rounds()
    gets = [reverse(name, args=[lab.pk]) for name in ("wall", "room_help", "lab_overview", "overview_csv")]
    gets += [reverse(name, args=[place.pk]) for name in ("look", "seat_story")]
    gets += [reverse(name, args=[lab.pk, run.pk]) for name in ("lab_run", "lab_run_csv")]
    posts = [reverse("hand_act", args=[hand.pk, act]) for act in ("claim", "release", "resolve")]
    posts += [reverse("look_act", args=[place.pk, act]) for act in ("ask", "withdraw", "begin", "stop")]
    posts += [f"{reverse('to_many', args=[lab.pk])}#{do}" for do in ("message", "command", "pause", "extend")]
    posts += [reverse("lab_run_retry", args=[lab.pk, run.pk])]
    return gets, posts


@pytest.mark.parametrize("who", WHO)
def test_who_may(who, routes, course, request):
    client, (gets, posts) = browser(person(who, course, request)), routes
    for address in gets:
        may = LOOK in WHO[who]
        assert (client.get(address).status_code in (200, 303)) == may, address
        assert may or client.get(address).status_code == 404
        assert client.post(address).status_code == 405
    for address in posts:
        path, _, do = address.partition("#")
        answer = client.post(path, {"do": do, "all": "1", "text": "x", "command": "true"})
        assert answer.status_code == (303 if ACT in WHO[who] else 404), address
        assert client.get(path).status_code == 405


def test_nobody_without_a_name(routes):
    for address in [one for each in routes for one in each]:
        assert browser().get(address.partition("#")[0]).status_code in (302, 405)
        assert browser().post(address.partition("#")[0]).status_code in (302, 405)


def test_a_stranger_is_on_record(routes, bob, seat, alice):
    browser(bob).get(reverse("look", args=[seat(alice).pk]))
    assert Event.objects.filter(actor_name="bob", outcome=Outcome.REFUSED).exists()


def test_posts_need_the_token(routes, ines):
    client = browser(ines, enforce_csrf_checks=True)
    for address in routes[1]:
        assert client.post(address.partition("#")[0]).status_code == 403


@pytest.mark.parametrize("name", ["wall", "lab_overview", "overview_csv"])
def test_labs_that_are_not_there(ines, name, course):
    assert browser(ines).get(reverse(name, args=["lab_nothing"])).status_code == 404
