"""Who may do what in a course, and what core asks about sandboxes that are seats.

A person may be an instructor here and a student there. Site staff may look after every course. What
somebody may not see is answered as if it did not exist.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import BaseBackend
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Left

from sandboxes.access import WATCH, Hidden
from sandboxes.models import Sandbox

from .models import Course, Enrollment, Lab, LabTemplate, Role, Seat

LOOK, ACT, MANAGE = "look", "act", "manage"
"""See its seats; act on them; change the course, its people and its labs."""


def enrollment(user: Any, course: Course) -> Enrollment | None:
    """This person's place in the course, if they have one."""
    return Enrollment.objects.active().filter(user_id=user.pk, course=course).first() if user.pk else None


def can(user: Any, course: Course, need: str) -> bool:
    """Whether this person may LOOK, ACT or MANAGE in a course."""
    if not user.is_active or not user.is_authenticated:
        return False
    if user.is_staff:
        return True
    found = enrollment(user, course)
    if found is None or not found.is_staff:
        return False
    if found.role == Role.INSTRUCTOR or need == LOOK:
        return True
    return need == ACT and course.assistants_act


def may_create(user: Any) -> bool:
    """Whether this person may make a course: staff, and whom an admin gave labs.add_course."""
    return bool(user.is_active and (user.is_staff or user.has_perm("labs.add_course")))


def get_course(user: Any, pk: str, need: str = LOOK) -> Course:
    """The course, for someone who may; raises Hidden."""
    found = Course.objects.filter(pk=pk).first()
    if found is None or not can(user, found, need):
        raise Hidden(None, "course")
    return found


def get_lab(user: Any, pk: str, need: str = LOOK) -> Lab:
    """The lab, for staff of its course; raises Hidden."""
    rows = Lab.objects.select_related("course", "version__template", "version__image")
    found = rows.defer("version__files").filter(pk=pk).first()
    if found is None or not can(user, found.course, need):
        raise Hidden(None, "lab")
    return found


def get_template(user: Any, pk: str, need: str = MANAGE) -> LabTemplate:
    """The lab template, for staff of its course; raises Hidden."""
    found = LabTemplate.objects.select_related("course", "published").filter(pk=pk, removed_at=None).first()
    if found is None or not can(user, found.course, need):
        raise Hidden(None, "template")
    return found


SEAT_LENGTH = len("seat_") + 10
FILES = "lab__version__files"  # megabytes that no page needs
SEAT = ("lab__course", "lab__version", "enrollment__user", "sandbox__owner")


def get_own_seat(user: Any, pk: str) -> Seat:
    """A student's own seat; raises Hidden."""
    found = Seat.objects.select_related(*SEAT).defer(FILES).filter(pk=pk).first()
    if found is None or not is_own(user, found):
        raise Hidden(found.sandbox if found else None, "seat")
    return found


def get_seat(user: Any, pk: str, need: str = LOOK) -> Seat:
    """A seat, for staff of its course; raises Hidden."""
    found = Seat.objects.select_related(*SEAT).defer(FILES).filter(pk=pk).first()
    if found is None or not can(user, found.lab.course, need):
        raise Hidden(found.sandbox if found else None, "seat")
    return found


def is_own(user: Any, seat: Seat) -> bool:
    """Whether it is this person's, who is still in the course."""
    return bool(user.is_active and seat.enrollment.user_id == user.pk and seat.enrollment.removed_at is None)


# -- what core asks -----------------------------------------------------------------------------


class CourseBackend(BaseBackend):
    """Answers ``user.has_perm("sandboxes.view_sandbox", sandbox)`` and the same for act."""

    NEED = {"sandboxes.view_sandbox": LOOK, "sandboxes.act_sandbox": ACT}

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """True for staff of the course in which this sandbox is a seat's; for recordings also: was."""
        if isinstance(obj, Sandbox) and perm == WATCH:
            return teaches_in(user_obj, obj)
        if not isinstance(obj, Sandbox) or perm not in self.NEED:
            return False
        seat = seat_of(obj)
        return seat is not None and can(user_obj, seat.lab.course, self.NEED[perm])


def teaches_in(user: Any, sandbox: Sandbox) -> bool:
    """Whether they are staff of the course whose seat held this sandbox, then or now; site staff is not."""
    seat = seat_once(sandbox)
    found = enrollment(user, seat.lab.course) if seat else None
    return found is not None and found.is_staff


def taken_back(ids: Any) -> QuerySet[Any, str]:
    """Of these ids (or a query of ids), those of seats whose students were taken out of the course.

    A seat names its sandbox, and each of its sandboxes has the seat's id in its launch key.
    """
    held = Q(sandbox=OuterRef("pk")) | Q(pk=Left(OuterRef("launch_key"), SEAT_LENGTH))
    gone = Seat.objects.filter(held, enrollment__user=OuterRef("owner"), enrollment__removed_at__isnull=False)
    return Sandbox.objects.filter(Exists(gone), pk__in=ids).order_by().values_list("pk", flat=True)


def typing_rule(user: Any, sandbox: Sandbox) -> bool | None:
    """May they type in somebody else's seat: after the student's yes, or after they began to where the
    course asks for none (looking.begin), until either side ends it. None for sandboxes that are no seat's.
    """
    seat = seat_of(sandbox)
    if seat is None:
        return None
    return seat.typist_id == user.pk and can(user, seat.lab.course, ACT)


def may_replay(user: Any, seat: Seat) -> bool:
    """Whether they may see what was recorded at this seat: staff of its course, and auditors."""
    found = enrollment(user, seat.lab.course)
    is_auditor = user.is_staff and user.has_perm(WATCH)
    return bool(user.is_active and (is_auditor or (found is not None and found.is_staff)))


def seat_once(sandbox: Sandbox) -> Seat | None:
    """The seat for which this sandbox was launched; its launch key names it, and is never a person's."""
    seat, _, generation = (sandbox.launch_key or "").rpartition("-")
    rows = Seat.objects.select_related("lab__course", "enrollment")
    found = rows.filter(pk=seat, enrollment__user_id=sandbox.owner_id).first() if generation else None
    return found or rows.filter(sandbox_id=sandbox.pk).first()


def seat_of(sandbox: Sandbox) -> Seat | None:
    """The seat that holds this sandbox now."""
    return Seat.objects.select_related("lab__course").filter(sandbox_id=sandbox.pk).first()
