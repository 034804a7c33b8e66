"""A course: prof teaches (and is no site staff here), tina assists, alice and bob learn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from sandboxes.labs import opening, provision
from sandboxes.labs.models import Course, Enrollment, Lab, LabTemplate, Role, Seat, TemplateVersion
from sandboxes.lifecycle import audit
from sandboxes.models import Image, User

PROF = audit.Origin("user", name="ines")


@pytest.fixture
def ines(db: None) -> User:
    """An instructor without any right outside of her course."""
    return User.objects.create_user("ines", "ines@example.org", "ines's password")


@pytest.fixture
def tina(db: None) -> User:
    """An assistant."""
    return User.objects.create_user("tina", "tina@example.org", "tina's password")


@pytest.fixture
def course(ines: User, tina: User, alice: User, bob: User) -> Course:
    made = Course.objects.create(title="Operating systems")
    for user, role in ((ines, "instructor"), (tina, "assistant"), (alice, "student"), (bob, "student")):
        enroll(made, user, Role(role))
    return made


def enroll(course: Course, user: User, role: Role = Role.STUDENT) -> Enrollment:
    return Enrollment.objects.create(course=course, user=user, role=role, name=user.username.title())


@pytest.fixture
def version(course: Course, image: Image) -> TemplateVersion:
    template = LabTemplate.objects.create(course=course, title="Shell basics")
    made = TemplateVersion.objects.create(
        template=template,
        number=1,
        image=image,
        memory=64 << 20,
        sheet="# Shell\n\n## One\n\nA.\n\n## Two\n\nB.\n",
    )
    template.published = made
    template.save()
    return made


@pytest.fixture
def template(version: TemplateVersion) -> LabTemplate:
    return version.template


@pytest.fixture
def lab(version: TemplateVersion, engine: Any) -> Lab:
    """Planned, for an hour from now."""
    return opening.make(version, "Shell basics", closes_at=timezone.now() + timedelta(hours=1), by=PROF)


@pytest.fixture
def open_lab(lab: Lab) -> Lab:
    """Open, with every seat ready."""
    opening.open_lab(lab, PROF)
    rounds()
    return lab


def rounds(most: int = 50) -> None:
    """Let the queue's worker go on until there is nothing to do."""
    for _ in range(most):
        if not provision.run_round():
            return
    raise AssertionError("provisioning does not come to an end")


@pytest.fixture
def seat(open_lab: Lab) -> Callable[[User], Seat]:
    """``seat(alice)``: her seat."""

    def found(user: User) -> Seat:
        return Seat.objects.select_related("lab__course", "enrollment", "sandbox").get(
            lab=open_lab, enrollment__user=user
        )

    return found


def statuses(lab: Lab) -> Counter[str]:
    """How many seats of a lab have each status."""
    return Counter(lab.seats.values_list("status", flat=True))


def class_of(course: Course, count: int) -> None:
    """So many more students."""
    for number in range(count):
        enroll(course, User.objects.create_user(f"student-{number}"))
