"""Courses and the people in them: what a person sees of them, and making and changing a course."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from sandboxes.access import Hidden, name_of
from sandboxes.lifecycle import audit
from sandboxes.models import Sandbox, User

from . import gate, progress, trail
from .models import Course, Enrollment, Lab, LabStatus, Role, Seat

OTHERS = 100
"""How many further courses site staff are shown on the list."""
SETTINGS = ("title", "typing", "assistants_act", "guests_allowed")
TYPING = {
    True: "From now on the people who teach may type in your terminal without asking. You see who does, and "
          "can end it.",
    False: "From now on the people who teach type in your terminal only after your yes.",
}  # fmt: skip
"""What the room is told when the course's policy changes: by whether it takes no yes."""
SEAT = ("typist", "enrollment", "sandbox", "lab__course")


# -- what one sees ------------------------------------------------------------------------------


def get_course(user: Any, pk: str) -> tuple[Course, Enrollment | None]:
    """A course and one's place in it, for everybody in it and for site staff; raises Hidden."""
    course = Course.objects.filter(pk=pk).first()
    mine = gate.enrollment(user, course) if course else None
    if course is None or not (mine or gate.can(user, course, gate.LOOK)):
        raise Hidden(None, "course")
    return course, mine


def places_of(user: Any) -> QuerySet[Enrollment]:
    """One's places in courses that are not put away."""
    rows = Enrollment.objects.active().filter(user=user, course__archived_at=None)
    return rows.select_related("course").order_by("course__title", "course_id")


def called(course: Course, user: Any) -> str:
    """What people of a course know somebody as."""
    return names(course, [user])[user.pk]


def names(course: Course, users: Iterable[Any]) -> dict[int, str]:
    """The same for many, by their pks. One query."""
    known = list(users)
    rows = Enrollment.objects.active().filter(course=course, user__in=[user.pk for user in known])
    found = dict(rows.values_list("user", "name"))
    return {user.pk: found.get(user.pk) or name_of(user) for user in known}


def known_as(user: Any, sandbox: Sandbox) -> str:
    """What the course of a seat's sandbox calls somebody, empty where it is no seat's (SANDBOX_NAME_RULE)."""
    seat = gate.seat_of(sandbox)
    return called(seat.lab.course, user) if seat else ""


def others(user: Any) -> list[Course]:
    """For site staff: courses that they are not in."""
    if not user.is_staff:
        return []
    mine = Enrollment.objects.active().filter(user=user).values("course_id")
    return list(Course.objects.filter(archived_at=None).exclude(pk__in=mine)[:OTHERS])


def archived(user: Any) -> list[Course]:
    """Courses that were put away, for whoever manages them."""
    rows = Course.objects.exclude(archived_at=None)
    if not user.is_staff:
        place = {"enrollments__user": user, "enrollments__removed_at": None}
        rows = rows.filter(**place, enrollments__role=Role.INSTRUCTOR)
    return list(rows[:OTHERS])


def count(courses: Iterable[Course]) -> dict[str, dict[str, int]]:
    """For each course's pk: its students and its open labs. Two queries, however many there are."""
    pks = [course.pk for course in courses]
    people = Enrollment.objects.students().filter(course__in=pks).values("course_id")
    labs = Lab.objects.filter(course__in=pks, status=LabStatus.OPEN, is_trial=False).values("course_id")
    students = {row["course_id"]: row["n"] for row in people.annotate(n=Count("pk")).order_by()}
    opened = {row["course_id"]: row["n"] for row in labs.annotate(n=Count("pk")).order_by()}
    return {pk: {"students": students.get(pk, 0), "open": opened.get(pk, 0)} for pk in pks}


def sections(course: Course) -> list[dict[str, Any]]:
    """Each section with its number of students, those without one last."""
    rows = Enrollment.objects.students().filter(course=course).values_list("section", flat=True)
    found = Counter(rows)
    return [{"name": name, "students": found[name]} for name in sorted(found, key=lambda one: (not one, one))]


def staff(course: Course) -> list[Enrollment]:
    """Who teaches, instructors first."""
    rows = Enrollment.objects.teaching().filter(course=course)
    return sorted(rows, key=lambda one: (one.role != Role.INSTRUCTOR, one.name.casefold()))


def labs_for(mine: Enrollment) -> list[tuple[Lab, Seat | None]]:
    """A student's labs with their own seats, open ones first; not those that ended without them."""
    seats = {seat.lab_id: seat for seat in Seat.objects.filter(enrollment=mine)}
    going = Q(status__in=(LabStatus.PLANNED, LabStatus.OPEN), is_trial=False)
    rows = Lab.objects.filter(going | Q(pk__in=seats), course=mine.course_id).order_by("-created_at")
    order = [LabStatus.OPEN, LabStatus.PLANNED, LabStatus.CLOSING, LabStatus.CLOSED]
    return sorted(
        ((lab, seats.get(lab.pk)) for lab in rows), key=lambda one: order.index(LabStatus(one[0].status))
    )


# -- changes ------------------------------------------------------------------------------------


@transaction.atomic
def create(by: User, origin: audit.Origin, values: dict[str, Any]) -> Course:
    """A new course with its maker as instructor."""
    course = Course.objects.create(**values)
    name = by.get_full_name() or by.get_username()
    Enrollment.objects.create(course=course, user=by, role=Role.INSTRUCTOR, name=name, email=by.email,
                              email_confirmed=False)  # fmt: skip
    trail.record("course.create", origin, course)
    return course


@transaction.atomic
def change(course: Course, origin: audit.Origin, values: dict[str, Any]) -> list[str]:
    """Change settings; gives the names of those that were others before, which are on record."""
    before = Course.objects.select_for_update().get(pk=course.pk)
    changed = [name for name in SETTINGS if getattr(before, name) != values[name]]
    for name in changed:
        setattr(course, name, values[name])
    if changed:
        course.save(update_fields=changed)
        facts = {name: [getattr(before, name), values[name]] for name in changed}
        trail.record("course.change", origin, course, changes=facts)
    if "typing" in changed:
        _tell_of_typing(course, origin)
    return changed


def _tell_of_typing(course: Course, origin: audit.Origin) -> None:
    """Who sits in an open lab was promised the other thing: who began without their yes stops, and asks."""
    for lab in course.labs.filter(status=LabStatus.OPEN).defer("version__files"):
        for seat in () if course.types_freely else lab.seats.exclude(typist=None).select_related(*SEAT):
            progress.end_typing(seat, origin)
        trail.tell(lab, TYPING[course.types_freely])
        trail.nudge(lab)


@transaction.atomic
def archive(course: Course, origin: audit.Origin, away: bool) -> bool:
    """Put a course away, or take it back; nobody joins one that is away. False when it is so already."""
    rows = Course.objects.filter(pk=course.pk, archived_at__isnull=away)
    if not rows.update(archived_at=timezone.now() if away else None):
        return False
    course.refresh_from_db()
    trail.record("course.archive" if away else "course.restore", origin, course)
    return True
