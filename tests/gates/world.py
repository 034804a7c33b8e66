"""Two courses with all there is in a course, and everybody who may come to their doors.

*Here* ines teaches, tina assists and alice learns; *there* bob learns with somebody else. Two were here
once: eve, a student, and exa, an instructor. dora teaches here, but her account is switched off.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from sandboxes.labs import files, opening, provision
from sandboxes.labs.models import (
    Course,
    Enrollment,
    Hand,
    Lab,
    LabRun,
    LabTemplate,
    Role,
    Seat,
    TemplateVersion,
)
from sandboxes.lifecycle import audit
from sandboxes.models import Command, Image, Recording, Sandbox, User
from tests import stored
from tests.fakes.engine import STARTER, FakeEngine
from tests.fakes.recordings import taped

PASSWORD = "correct horse battery"
NOBODY = audit.Origin("user", name="somebody")
HERE, THERE, MISSING, CROSSED, ONCE = "here", "there", "missing", "crossed", "once"
"""The first course's, the other's, nobody's, the one's within the other's, and what was eve's once."""
ROLES = ("anonymous", "disabled", "stranger", "ex-student", "ex-instructor", "student", "assistant",
         "instructor", "staff", "auditor")  # fmt: skip
NAMES = {"disabled": "dora", "stranger": "bob", "ex-student": "eve", "ex-instructor": "exa",
         "student": "alice", "assistant": "tina", "instructor": "ines", "staff": "prof",
         "auditor": "rosa"}  # fmt: skip
"""Who plays which part."""


@dataclass
class Place:
    """One course and one of each thing in it, all about one student."""

    course: Course
    template: LabTemplate
    lab: Lab
    seat: Seat
    hand: Hand
    run: LabRun
    person: Enrollment
    sandbox: Sandbox
    command: Command
    recording: Recording


@dataclass
class World:
    """Who there is, and what."""

    image: Image
    users: dict[str, User]
    places: dict[str, Place]
    browsers: dict[str, Client] = field(default_factory=dict)

    def browser(self, role: str) -> Client:
        """A browser in which this one is signed in; of the disabled one: was."""
        return self.browsers[role]


def laid_down(engine: FakeEngine) -> World:
    """All of it, with a starter image, in an empty database."""

    def made() -> World:
        return build(Image.objects.create(reference=STARTER, title="Starter", size=2 << 20))

    return stored.laid_down("world", made, engine)  # type: ignore[no-any-return]


def build(image: Image) -> World:
    """All of it. The engine in memory must be there."""
    users = {
        role: User.objects.create_user(name, f"{name}@example.org", PASSWORD) for role, name in NAMES.items()
    }
    teacher = User.objects.create_user("theo", "theo@example.org", PASSWORD)
    User.objects.filter(username__in=("prof", "rosa")).update(is_staff=True)
    users["auditor"].user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    users = {role: User.objects.get(pk=user.pk) for role, user in users.items()}
    staff = {"instructor": "instructor", "ex-instructor": "instructor", "disabled": "instructor"}
    staff["assistant"] = "assistant"
    here, there = (Course.objects.create(title=title, guests_allowed=True) for title in ("Here", "There"))
    for role, word in staff.items():
        enroll(here, users[role], Role(word))
    for role in ("student", "ex-student"):
        enroll(here, users[role])
    enroll(there, teacher, Role.INSTRUCTOR)
    enroll(there, users["stranger"])
    places = {HERE: furnish(here, image, users["student"]), THERE: furnish(there, image, users["stranger"])}
    places[ONCE] = replace(places[HERE], **belongings(places[HERE].lab, users["ex-student"]))
    gone = Enrollment.objects.filter(course=here, user__in=(users["ex-student"], users["ex-instructor"]))
    gone.update(removed_at=timezone.now())
    world = World(image, users, places)
    world.browsers = {role: signed_in(users.get(role)) for role in ROLES}
    User.objects.filter(username="dora").update(is_active=False)
    return world


def enroll(course: Course, user: User, role: Role = Role.STUDENT) -> Enrollment:
    return Enrollment.objects.create(course=course, user=user, role=role, name=user.username.title())


def signed_in(user: User | None) -> Client:
    client = Client(raise_request_exception=True)
    if user is not None:
        client.force_login(user)
    return client


def furnish(course: Course, image: Image, student: User) -> Place:
    """An open lab with a seat for each student, and one of everything about this one's seat."""
    template = LabTemplate.objects.create(course=course, title="Shell basics")
    version = TemplateVersion.objects.create(
        template=template, number=1, image=image, memory=64 << 20, sheet="# Shell\n\n## One\n\nA.\n"
    )
    LabTemplate.objects.filter(pk=template.pk).update(published=version)
    lab = opening.make(version, "Shell basics", closes_at=timezone.now() + timedelta(hours=1), by=NOBODY)
    opening.open_lab(lab, NOBODY)
    while provision.run_round():
        pass
    run = LabRun.objects.create(lab=lab, text="true", by_name="somebody")
    return Place(course=course, template=template, lab=lab, run=run, **belongings(lab, student))


def belongings(lab: Lab, student: User) -> dict[str, Any]:
    """A student's seat in a lab, with saved work, and one of everything about it."""
    seat = Seat.objects.select_related("sandbox__owner", "enrollment").get(lab=lab, enrollment__user=student)
    Seat.objects.filter(pk=seat.pk).update(saved_name="work.tar.gz", saved_at=timezone.now())
    files.path_of(seat).parent.mkdir(parents=True, exist_ok=True)
    files.path_of(seat).write_bytes(b"work")
    sandbox: Any = seat.sandbox
    return {
        "seat": seat, "person": seat.enrollment, "sandbox": sandbox, "recording": taped(sandbox),
        "hand": Hand.objects.create(seat=seat, text="help"),
        "command": Command.objects.create(sandbox=sandbox, argv=["true"], text="true", time_limit=60),
    }  # fmt: skip
