"""Who is who: guests are marked wherever they stand beside others, staff go by the name the course knows."""

from __future__ import annotations

import pytest
from django.urls import reverse

from sandboxes import access
from sandboxes.labs import looking, members, progress, seats
from sandboxes.labs.models import Course, Enrollment, Hand, Seat
from sandboxes.models import User
from tests.live.conftest import open_socket, open_terminal  # noqa: F401
from tests.pages.conftest import browser, text

from .conftest import PROF, rounds

pytestmark = pytest.mark.django_db(transaction=True)
BADGE = '</a></h2> <span class="badge">guest</span>'


@pytest.fixture
def guest(course: Course, open_lab) -> Seat:
    """Somebody who calls herself like a student."""
    user = User.objects.create(username="guest-alice-x1", first_name="Alice")
    person = Enrollment.objects.create(
        course=course, user=user, name="Alice", is_guest=True, account_made=True
    )
    seat = seats.take(open_lab, person, PROF)
    rounds()
    return seat


def page(user, name, *args):
    return text(browser(user).get(reverse(name, args=args)))


def test_on_the_wall_a_guest_is_marked_and_the_student_of_that_name_is_not(guest, open_lab, ines):
    wall = page(ines, "wall", open_lab.pk)
    assert wall.count(BADGE) == 1
    tile = wall.partition(f'id="tile-{guest.pk}"')[2].partition("</article>")[0]
    assert BADGE in tile


@pytest.mark.parametrize("name", ["lab_detail", "lab_overview"])
def test_in_lists_too(guest, open_lab, ines, name):
    assert page(ines, name, open_lab.pk).count('<span class="badge">guest</span>') == 1


def test_at_the_terminal_in_the_queue_and_in_tables_too(guest, open_lab, ines):
    Hand.objects.create(seat=guest)
    assert '<span class="badge">guest</span>' in page(ines, "look", guest.pk)
    assert page(ines, "wall", open_lab.pk).count('<span class="badge">guest</span>') == 2
    assert "Alice (guest)" in page(ines, "overview_csv", open_lab.pk)


def test_staff_go_by_the_name_that_the_course_knows(seat, alice, ines, tina, course):
    course.enrollments.filter(user=tina).update(name="Tina Berg")
    mine = seat(alice)
    looking.ask(mine, tina, PROF)
    assert "Tina Berg has asked to type." in page(ines, "look", mine.pk)
    assert "<b>Tina Berg</b> would like to type" in page(alice, "seat_detail", mine.pk)
    progress.allow_typing(seat(alice), PROF)
    assert "Tina Berg may type." in page(ines, "look", mine.pk)
    Hand.objects.create(seat=mine, claimed_by=tina)
    assert "Tina Berg is on it." in page(ines, "wall", mine.lab_id)


def test_who_is_not_in_the_course_goes_by_their_own_name(seat, alice, course, prof):
    assert members.called(course, prof) == "prof"
    prof.first_name, prof.last_name = "Petra", "Rof"
    assert access.name_of(prof, seat(alice).sandbox) == "Petra Rof"


async def test_the_banner_of_a_terminal_has_it(seat, alice, ines, open_lab, open_terminal):  # noqa: F811
    await Enrollment.objects.filter(user=ines).aupdate(name="Ines Mar")
    place = await Seat.objects.aget(enrollment__user=alice)
    hers = await open_terminal(place.sandbox_id, alice)
    await hers.read(until=b"$ ")
    await open_terminal(place.sandbox_id, ines)
    assert (await hers.read(kind="viewers"))["others"] == ["Ines Mar"]


def test_a_message_has_it(seat, alice, ines, open_lab, course):
    course.enrollments.filter(user=ines).update(name="Ines Mar")
    browser(ines).post(
        reverse("to_many", args=[open_lab.pk]), {"do": "message", "all": "1", "text": "Look up."}
    )
    assert 'data-by="Ines Mar"' in page(alice, "seat_detail", seat(alice).pk)
