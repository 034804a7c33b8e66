"""How long a lab lasts unless planned otherwise, and until when people may come late."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from sandboxes.labs import opening, seats
from sandboxes.labs.models import Lab, TemplateVersion
from sandboxes.lifecycle.refusals import Refused
from sandboxes.models import User
from tests.pages.conftest import browser, refusals, text

from .conftest import PROF, enroll, rounds

pytestmark = pytest.mark.django_db(transaction=True)
MINUTE = timedelta(minutes=1)


def plan(user, version, **wish):
    address = reverse("lab_new", args=[version.template.course_id])
    return browser(user).post(
        address, {"template": version.template_id, "minutes": "90", **wish}, follow=True
    )


# -- how long -----------------------------------------------------------------------------------


def test_without_minutes_a_lab_lasts_as_its_template_says(ines, version, engine):
    TemplateVersion.objects.update(lifetime=45 * 60)
    page = text(plan(ines, version, minutes=""))
    assert Lab.objects.get().lasts == 45 * MINUTE
    assert "lasts 45 min from when it is opened" in page


def test_a_template_keeps_its_minutes_through_versions_and_clones(ines, version, engine):
    address = reverse("template_edit", args=[version.template_id])
    form = {"title": "T", "sheet": "## A", "image": version.image_id, "base": "1", "lasts": "50"}
    browser(ines).post(address, form)
    assert version.template.newest.lifetime == 3000
    browser(ines).post(address, form | {"base": "2", "lasts": ""})
    assert version.template.newest.lifetime == 3000
    browser(ines).post(reverse("template_act", args=[version.template_id, "clone"]))
    assert TemplateVersion.objects.order_by("-pk").first().lifetime == 3000
    bad = browser(ines).post(address, form | {"base": "3", "lasts": "0"})
    assert "At least one minute." in text(bad)


# -- how late -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "late", "minutes", "says"),
    [
        ({}, True, None, ""),
        ({"late": "open", "late_minutes": "15"}, True, None, ""),
        ({"late": "first", "late_minutes": "15"}, True, 15, "latecomers in the first 15 min"),
        ({"late": "nobody"}, False, None, "takes nobody late"),
    ],
)
def test_a_lab_says_until_when_people_may_come(ines, version, engine, wish, late, minutes, says):
    page = text(plan(ines, version, **wish))
    lab = Lab.objects.get()
    assert (lab.late, lab.late_minutes) == (late, minutes)
    assert says in page


def test_first_minutes_without_a_number_are_asked_for(ines, version, engine):
    assert "Say for how many minutes." in text(plan(ines, version, late="first"))
    assert not Lab.objects.exists()


@pytest.fixture
def stranger(course) -> User:
    user = User.objects.create_user("late")
    enroll(course, user)
    return user


def test_in_the_first_minutes_they_come_and_then_no_more(open_lab, course, stranger):
    Lab.objects.update(late_minutes=15, opened_at=timezone.now() - 14 * MINUTE)
    address = reverse("seat_join", args=[open_lab.pk])
    Lab.objects.update(opened_at=timezone.now() - 16 * MINUTE)
    refused = browser(stranger).post(address)
    assert refused.status_code == 409
    assert "took latecomers until" in text(refused)
    assert refusals("seat.join")
    Lab.objects.update(opened_at=timezone.now() - 14 * MINUTE)
    assert browser(stranger).post(address).status_code == 303


@pytest.mark.parametrize(
    ("rule", "says"),
    [({"late": False}, "takes nobody late"), ({"late_minutes": 15}, "took latecomers until")],
)
def test_who_comes_too_late_is_offered_no_seat(open_lab, course, stranger, seat, alice, rule, says):
    """The page says so before anything is pressed; who has a seat goes to it."""
    Lab.objects.update(opened_at=timezone.now() - 16 * MINUTE, **rule)
    learns, joins = reverse("course_detail", args=[course.pk]), reverse("seat_join", args=[open_lab.pk])
    shown = text(browser(stranger).get(learns))
    assert "Take a seat" not in shown
    assert says in shown
    shown = text(browser(stranger).get(joins))
    assert "Take my seat" not in shown
    assert says in shown
    assert "Go to your seat" in text(browser(alice).get(learns))


def test_the_minutes_count_from_when_it_was_to_be_ready(open_lab, stranger):
    Lab.objects.update(late_minutes=15, opened_at=timezone.now() - 20 * MINUTE, ready_by=timezone.now())
    lab = Lab.objects.get()
    assert lab.late_until == lab.ready_by + 15 * MINUTE
    assert seats.take(lab, stranger.enrollments.get(), PROF)


def test_staff_add_latecomers_all_the_same(open_lab, stranger, ines):
    Lab.objects.update(late_minutes=1, opened_at=timezone.now() - 16 * MINUTE)
    with pytest.raises(Refused):
        seats.take(Lab.objects.get(), stranger.enrollments.get(), PROF)
    browser(ines).post(reverse("lab_act", args=[open_lab.pk, "latecomers"]))
    assert open_lab.seats.filter(enrollment__user=stranger).exists()


def test_who_has_a_seat_is_no_latecomer(open_lab, seat, alice):
    Lab.objects.update(late_minutes=1, opened_at=timezone.now() - 16 * MINUTE)
    assert seats.take(Lab.objects.get(), seat(alice).enrollment, PROF) == seat(alice)


def test_a_lab_is_made_with_the_rule(version, engine):
    lab = opening.make(version, "L", closes_at=timezone.now() + 30 * MINUTE, by=PROF, late_minutes=5)
    assert lab.late_until is None
    opening.open_lab(lab, PROF)
    assert lab.late_until == lab.opened_at + 5 * MINUTE


# -- while it closes ------------------------------------------------------------------------------


def test_who_comes_as_it_closes_gets_no_seat_that_nobody_ever_starts(open_lab, course, stranger):
    """Both looked at the lab while it was open; by the time of their seat it is closed."""
    before = Lab.objects.get()
    opening.close_lab(open_lab, PROF)
    rounds()
    with pytest.raises(Refused, match="not open"):
        seats.take(before, stranger.enrollments.get(), PROF)
    assert seats.add_latecomers(before, PROF) is None
    assert set(before.seats.values_list("status", flat=True)) == {"closed"}
    assert before.seats.count() == 2


def test_a_crowd_that_comes_as_it_closes_is_in_or_out(open_lab, course):
    """Twenty press at the moment of the close, and staff add latecomers: no seat is left waiting."""
    people = [enroll(course, User.objects.create_user(f"late-{number}")) for number in range(20)]
    gate = threading.Barrier(22, timeout=60)

    def come(person):
        return seats.take(Lab.objects.get(pk=open_lab.pk), person, PROF).pk

    def at_once(do, *args):
        try:
            gate.wait()
            return do(*args)
        except Refused:
            return None
        finally:
            connection.close()

    acts = [(come, one) for one in people]
    acts += [(opening.close_lab, open_lab, PROF), (seats.add_latecomers, open_lab, PROF)]
    with ThreadPoolExecutor(len(acts)) as pool:
        came = [done.result() for done in [pool.submit(at_once, *act) for act in acts]]
    rounds()
    assert came[20] is True
    assert set(open_lab.seats.values_list("status", flat=True)) == {"closed"}
    assert open_lab.seats.count() in (2 + sum(bool(one) for one in came[:20]), 22)
    assert Lab.objects.get().status == "closed"
