"""A course and the people in it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone

from . import ids


class Role(models.TextChoices):
    """As what a person is in a course."""

    INSTRUCTOR = "instructor"
    ASSISTANT = "assistant"
    STUDENT = "student"


STAFF = frozenset({Role.INSTRUCTOR, Role.ASSISTANT})
"""Who teaches."""


class Course(models.Model):
    """A class. ``typing`` says whether staff need a student's yes before they type in their terminal.

    ``invite`` is the secret of the invite link, ``join_code`` the code for the projector, good until
    ``join_code_until``; empty: there is none. ``assistants_act``: may they act on seats, or only look.
    """

    class Typing(models.TextChoices):
        """The course's stated policy on typing in a student's terminal."""

        ASK = "ask", "after the student said yes"
        FREE = "free", "without asking"

    id = models.CharField(primary_key=True, max_length=24, default=ids.course_id, editable=False)
    title = models.CharField(max_length=120)
    typing = models.CharField(max_length=4, choices=Typing.choices, default=Typing.ASK)
    assistants_act = models.BooleanField(default=True)
    guests_allowed = models.BooleanField(default=False)
    invite = models.CharField(max_length=40, null=True, blank=True, unique=True)
    join_code = models.CharField(max_length=12, null=True, blank=True, unique=True)
    join_code_until = models.DateTimeField(null=True, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return self.title

    @property
    def types_freely(self) -> bool:
        """Whether staff may type in a student's terminal without asking."""
        return self.typing == self.Typing.FREE


class EnrollmentQuerySet(models.QuerySet["Enrollment"]):
    """People of courses by adjectives."""

    def active(self) -> EnrollmentQuerySet:
        return self.filter(removed_at=None)

    def teaching(self) -> EnrollmentQuerySet:
        return self.active().filter(role__in=STAFF)

    def students(self) -> EnrollmentQuerySet:
        return self.active().filter(role=Role.STUDENT)


class Enrollment(models.Model):
    """One person in one course. Removing them sets ``removed_at`` and touches no work of theirs.

    ``name``, ``email``, ``student_id`` and ``section`` are as the roster has them; ``email_confirmed`` is
    false while the e-mail is only what they say in their profile; ``link_version``
    is raised to renew the personal sign-in link; ``is_guest``: came without an account;
    ``account_made``: the account was made for this course, so the personal link may sign in to it.
    ``link_sent_at`` and ``link_problem`` tell how the link went by e-mail.
    """

    course = models.ForeignKey(Course, on_delete=models.PROTECT, related_name="enrollments")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="enrollments")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.STUDENT)
    name = models.CharField(max_length=120)
    email = models.CharField(max_length=254, blank=True)
    email_confirmed = models.BooleanField(default=True)
    student_id = models.CharField(max_length=60, blank=True)
    section = models.CharField(max_length=40, blank=True)
    is_guest = models.BooleanField(default=False)
    account_made = models.BooleanField(default=False)
    link_version = models.PositiveIntegerField(default=1)
    link_sent_at = models.DateTimeField(null=True, blank=True)
    link_problem = models.CharField(max_length=200, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = EnrollmentQuerySet.as_manager()

    class Meta:
        ordering = ("name", "id")
        constraints = [
            models.UniqueConstraint(fields=["course", "user"], name="one_enrollment_per_person"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_staff(self) -> bool:
        """Whether they teach here."""
        return self.role in STAFF

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.name = self.name[:120]
        super().save(*args, **kwargs)


class RosterDraft(models.Model):
    """A roster that was read and not applied yet; the latest of each course's editors.

    ``lines`` are its good lines, ``faults`` the others with their reasons; ``columns`` what it tells of.
    """

    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="drafts")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    lines = models.JSONField(default=list)
    faults = models.JSONField(default=list)
    columns = models.JSONField(default=list)
    note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["course", "user"], name="one_draft_per_editor"),
        ]

    def __str__(self) -> str:
        return f"A roster for {self.course}"
