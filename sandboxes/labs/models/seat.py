"""One student's place in a lab, holding a sandbox."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from sandboxes.models import Sandbox

from . import ids
from .course import Enrollment
from .lab import Lab, until


class SeatStatus(models.TextChoices):
    """Where a seat is. Waiting seats are the queue, the earliest ``queued_at`` first."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"
    SAVING = "saving"
    CLOSED = "closed"


class SeatQuerySet(models.QuerySet["Seat"]):
    """Seats by adjectives."""

    def waiting(self) -> SeatQuerySet:
        return self.filter(status=SeatStatus.WAITING).order_by("queued_at", "id")

    def starting(self) -> SeatQuerySet:
        return self.filter(status=SeatStatus.STARTING)

    def taught_by(self, user: Any) -> SeatQuerySet:
        """Of courses in which this person teaches."""
        from .course import STAFF

        return self.filter(
            lab__course__enrollments__user=user,
            lab__course__enrollments__removed_at=None,
            lab__course__enrollments__role__in=STAFF,
        )


class Seat(models.Model):
    """A place. ``generation`` counts its sandboxes: a restart from the starting files is a new one.

    ``steps`` are the numbers of the steps that are done, ``step`` the one worked on (from 1),
    ``step_since`` since when. ``typist`` is the member of staff who may type, ``typing_asked_by`` the
    one who asked. ``warned_at``: told that their extra time ends.
    ``saved_*`` tell of the saved workspace: file name, bytes, when, or why not.
    """

    id = models.CharField(primary_key=True, max_length=24, default=ids.seat_id, editable=False)
    lab = models.ForeignKey(Lab, on_delete=models.PROTECT, related_name="seats")
    enrollment = models.ForeignKey(Enrollment, on_delete=models.PROTECT, related_name="seats")
    sandbox = models.ForeignKey(
        Sandbox, null=True, blank=True, on_delete=models.SET_NULL, related_name="seats"
    )
    generation = models.PositiveIntegerField(default=1)
    status = models.CharField(max_length=10, choices=SeatStatus.choices, default=SeatStatus.WAITING)
    reason = models.CharField(max_length=300, blank=True)
    queued_at = models.DateTimeField(default=timezone.now)
    ready_at = models.DateTimeField(null=True, blank=True)
    joined_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True)
    warned_at = models.DateTimeField(null=True, blank=True)
    extra = models.PositiveIntegerField(default=0, help_text="Seconds beyond the lab's end.")
    step = models.PositiveIntegerField(default=1)
    steps = models.JSONField(default=list, blank=True)
    step_since = models.DateTimeField(default=timezone.now)
    typist = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    typing_asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    saved_name = models.CharField(max_length=120, blank=True)
    saved_bytes = models.PositiveBigIntegerField(default=0)
    saved_at = models.DateTimeField(null=True, blank=True)
    saved_reason = models.CharField(max_length=300, blank=True)
    changed_at = models.DateTimeField(default=timezone.now, db_index=True)

    NEVER = "It never started; there was nothing to save."
    """``saved_reason`` of one whose sandbox never ran."""

    objects = SeatQuerySet.as_manager()

    class Meta:
        ordering = ("enrollment__name", "id")
        indexes = [models.Index(fields=["status", "queued_at"])]
        constraints = [
            models.UniqueConstraint(fields=["lab", "enrollment"], name="one_seat_per_person"),
        ]

    def __str__(self) -> str:
        return f"{self.enrollment.name} in {self.lab.title}"

    @property
    def closes_at(self) -> datetime:
        """The lab's end and this person's extra time."""
        return self.lab.closes_at + timedelta(seconds=self.extra)

    @property
    def never_ran(self) -> bool:
        """Whether it was closed without ever having started."""
        return self.saved_reason == self.NEVER

    @property
    def kept_until(self) -> datetime | None:
        """Until when its saved work is kept; None: for ever, or there is none."""
        return until(self.saved_at) if self.saved_name else None

    @property
    def place(self) -> int:
        """How many stand before it in the queue, and itself."""
        before = Q(queued_at__lt=self.queued_at) | Q(queued_at=self.queued_at, id__lte=self.id)
        return Seat.objects.filter(before, status=SeatStatus.WAITING).count()

    @property
    def sandboxes(self) -> models.QuerySet[Sandbox]:
        """All it ever had, also before it was started over: each has the seat in its launch key."""
        return Sandbox.objects.filter(launch_key__startswith=f"{self.pk}-", owner=self.enrollment.user_id)
