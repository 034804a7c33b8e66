"""One person of a course: changed, taken out, brought back; and everybody as a table."""

from __future__ import annotations

from django.db import transaction
from django.http import HttpResponse
from django.utils import timezone

from sandboxes import cells
from sandboxes.lifecycle import audit
from sandboxes.lifecycle.refusals import Refused
from sandboxes.models import User

from . import links, roster, trail
from .models import Course, Enrollment, Role
from .roster_lines import CALLED, FIELDS

COLUMNS = ("name", "e-mail", "id", "section", "role", "state")


@transaction.atomic
def change(person: Enrollment, by: User, origin: audit.Origin, values: dict[str, str]) -> list[str]:
    """Change what the roster says of them; gives the words of what became another. Raises Refused."""
    Course.objects.select_for_update().get(pk=person.course_id)
    before = {name: getattr(person, name) for name in FIELDS}
    changed = [name for name in FIELDS if name in values and before[name] != values[name]]
    _check_role(person, by, values.get("role", person.role))
    _check_unique(person, values)
    for name in changed:
        setattr(person, name, values[name])
    if changed:
        person.email_confirmed = person.email_confirmed or "email" in changed
        person.save(update_fields=[*changed, "email_confirmed"])
        roster.follow([person])
        _keep_instructor(person.course)
        facts = {CALLED[name]: [before[name], values[name]] for name in changed}
        trail.record("roster.change", origin, person.course, person=person.name, changes=facts)
    return [CALLED[name] for name in changed]


def _check_role(person: Enrollment, by: User, role: str) -> None:
    if person.user_id == by.pk and person.role == Role.INSTRUCTOR != role:
        raise Refused("role", roster.YOURSELF)
    if person.is_guest and role != Role.STUDENT:
        raise Refused("role", "A guest learns. Who teaches needs an account: put them on the roster.")


def _check_unique(person: Enrollment, values: dict[str, str]) -> None:
    others = Enrollment.objects.active().filter(course=person.course_id).exclude(pk=person.pk)
    for name in ("email", "student_id"):
        value = values.get(name, "")
        if value and value != getattr(person, name) and others.filter(**{f"{name}__iexact": value}).exists():
            raise Refused(name, f"Somebody else in the course has this {CALLED[name]}.")


def _keep_instructor(course: Course) -> None:
    if not roster.has_instructor(course):
        raise Refused("role", roster.NOBODY_LEFT)


@transaction.atomic
def remove(person: Enrollment, by: User, origin: audit.Origin) -> bool:
    """Take them out; their work is kept. False when they are out already. Raises Refused."""
    Course.objects.select_for_update().get(pk=person.course_id)
    if person.user_id == by.pk:
        raise Refused("", "You cannot take yourself out. Another instructor can.")
    rows = Enrollment.objects.active().filter(pk=person.pk)
    if not rows.update(removed_at=timezone.now()):
        return False
    links.shut_out([person.user_id])
    if person.role == Role.INSTRUCTOR:
        _keep_instructor(person.course)
    trail.record("roster.remove", origin, person.course, person=person.name, role=person.role)
    return True


@transaction.atomic
def restore(person: Enrollment, origin: audit.Origin) -> bool:
    """Bring them back as what they were. False when they are there."""
    Course.objects.select_for_update().get(pk=person.course_id)
    rows = Enrollment.objects.filter(pk=person.pk).exclude(removed_at=None)
    if not rows.update(removed_at=None):
        return False
    trail.record("roster.restore", origin, person.course, person=person.name, role=person.role)
    return True


def export(course: Course) -> HttpResponse:
    """Everybody as a table for spreadsheets, those who were taken out too."""
    rows = Enrollment.objects.filter(course=course).order_by("name", "pk")
    return cells.answer(f"people-{course.pk}", COLUMNS, ((*_columns(one), _state(one)) for one in rows))


def _columns(one: Enrollment) -> list[str]:
    return [getattr(one, name) for name in FIELDS]


def _state(one: Enrollment) -> str:
    return "removed" if one.removed_at else "guest" if one.is_guest else ""
