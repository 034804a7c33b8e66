"""Who sees and touches what: instructors and assistants their own courses' seats, nobody else's."""

from __future__ import annotations

import pytest

from sandboxes import access
from sandboxes.access import Hidden
from sandboxes.labs import gate, looking
from sandboxes.labs.models import Course, Role
from sandboxes.lifecycle.audit import Origin
from sandboxes.models import User

from .conftest import enroll

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("who", "rights"),
    [("ines", "look act manage"), ("tina", "look act"), ("alice", ""), ("prof", "look act manage")],
)
def test_rights_in_a_course(who, rights, course, request):
    user = request.getfixturevalue(who)
    assert [need for need in ("look", "act", "manage") if gate.can(user, course, need)] == rights.split()


def test_an_assistant_only_looks_where_the_course_says_so(course, tina):
    Course.objects.update(assistants_act=False)
    course.refresh_from_db()
    assert gate.can(tina, course, gate.LOOK)
    assert not gate.can(tina, course, gate.ACT)


def test_staff_of_a_course_see_its_seats_and_nothing_else(course, ines, seat, alice, launch):
    theirs, other = seat(alice).sandbox, launch()
    assert access.can(ines, theirs, access.VIEW)
    assert access.can(ines, theirs, access.ACT)
    assert not access.can(ines, other, access.VIEW)


def test_a_student_sees_no_fellow_students_seat(seat, alice, bob):
    assert not access.can(bob, seat(alice).sandbox, access.VIEW)
    with pytest.raises(Hidden):
        gate.get_own_seat(bob, seat(alice).pk)


def test_who_left_the_course_loses_it(course, ines, seat, alice):
    course.enrollments.filter(user=ines).update(removed_at=course.created_at)
    assert not access.can(ines, seat(alice).sandbox, access.VIEW)
    course.enrollments.filter(user=alice).update(removed_at=course.created_at)
    with pytest.raises(Hidden):
        gate.get_own_seat(alice, seat(alice).pk)


def test_an_instructor_elsewhere_is_a_stranger_here(course, seat, alice):
    other = User.objects.create_user("other")
    enroll(Course.objects.create(title="Elsewhere"), other, Role.INSTRUCTOR)
    assert not access.can(other, seat(alice).sandbox, access.VIEW)
    with pytest.raises(Hidden):
        gate.get_course(other, course.pk)


@pytest.mark.parametrize("who", ["ines", "tina", "prof", "root"])
def test_nobody_types_without_the_students_yes(who, seat, alice, request):
    user = request.getfixturevalue(who)
    place = seat(alice)
    assert not access.can(user, place.sandbox, access.TYPE)
    assert access.can(alice, place.sandbox, access.TYPE)
    place.typist = user
    place.save()
    assert access.can(user, place.sandbox, access.TYPE)


def test_the_stated_policy_lets_staff_begin_and_nobody_else(course, ines, seat, alice, bob):
    assert not looking.begin(seat(alice), ines, Origin.of(ines))
    Course.objects.update(typing=Course.Typing.FREE)
    assert not access.can(ines, seat(alice).sandbox, access.TYPE)
    assert looking.begin(seat(alice), ines, Origin.of(ines))
    assert access.can(ines, seat(alice).sandbox, access.TYPE)
    assert not access.can(bob, seat(alice).sandbox, access.TYPE)


def test_elsewhere_staff_type_as_before(prof, launch):
    assert access.can(prof, launch(), access.TYPE)
