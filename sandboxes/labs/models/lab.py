"""Lab templates, their versions, and runs of them."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone

from sandboxes.models import Image, Isolation, Network, RecordingPolicy

from . import ids
from .course import Course


class LabTemplate(models.Model):
    """What labs start from. What it holds is in its versions; ``published`` is the one that labs take.

    ``removed_at`` takes it off the list; labs that started from it keep their version.
    """

    id = models.CharField(primary_key=True, max_length=24, default=ids.template_id, editable=False)
    course = models.ForeignKey(Course, on_delete=models.PROTECT, related_name="templates")
    title = models.CharField(max_length=120)
    published = models.ForeignKey(
        "TemplateVersion", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    removed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("title", "id")

    def __str__(self) -> str:
        return self.title

    @property
    def newest(self) -> TemplateVersion | None:
        """The draft: the version that was saved last."""
        return self.versions.order_by("-number").first()


class TemplateVersion(models.Model):
    """One saved state of a template; never changed, so that a running lab keeps what it started with.

    ``sheet`` is Markdown, each second-level heading a step. ``memory`` bytes, ``cpus`` cores. ``lifetime``
    is for how many seconds a lab of it lasts, unless it is planned otherwise.
    ``files`` is a gzipped tar of what lies in the workspace at the start. ``recording`` is the least
    that is recorded of its seats' terminals; install and image may ask for more.
    """

    template = models.ForeignKey(LabTemplate, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    sheet = models.TextField(blank=True)
    image = models.ForeignKey(Image, null=True, on_delete=models.SET_NULL, related_name="+")
    memory = models.PositiveBigIntegerField(default=256 << 20)
    cpus = models.DecimalField(max_digits=5, decimal_places=2, default=1)
    pids = models.PositiveIntegerField(default=256)
    network = models.CharField(max_length=10, choices=Network.choices, default=Network.NONE)
    isolation = models.CharField(max_length=10, choices=Isolation.choices, default=Isolation.STANDARD)
    lifetime = models.PositiveIntegerField(default=90 * 60, help_text="Seconds that a lab of it lasts.")
    idle = models.PositiveIntegerField(default=0, help_text="Seconds without use until it stops; 0: never.")
    recording = models.CharField(max_length=10, choices=RecordingPolicy.choices, default=RecordingPolicy.OFF)
    recording_keystrokes = models.BooleanField(default=False)
    files = models.BinaryField(null=True, blank=True)
    files_names = models.JSONField(default=list, blank=True)
    created_by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-number",)
        constraints = [
            models.UniqueConstraint(fields=["template", "number"], name="one_version_per_number"),
        ]

    def __str__(self) -> str:
        return f"{self.template.title}, version {self.number}"


class LabStatus(models.TextChoices):
    """Where a lab is."""

    PLANNED = "planned"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class Lab(models.Model):
    """One run of a template's version for a course.

    ``ready_by``: seats are provisioned unattended so that they work by then; ``closes_at``: when it
    ends by itself. ``late``: may people come after it opened, and for how many minutes (``late_minutes``;
    None: as long as it is open). ``is_trial``: its author's own try.
    ``operation`` is the token of the form it was made by: pressed twice, it is one lab.
    """

    id = models.CharField(primary_key=True, max_length=24, default=ids.lab_id, editable=False)
    course = models.ForeignKey(Course, on_delete=models.PROTECT, related_name="labs")
    version = models.ForeignKey(TemplateVersion, on_delete=models.PROTECT, related_name="labs")
    title = models.CharField(max_length=120)
    status = models.CharField(max_length=10, choices=LabStatus.choices, default=LabStatus.PLANNED)
    ready_by = models.DateTimeField(null=True, blank=True)
    closes_at = models.DateTimeField()
    late = models.BooleanField(default=True)
    late_minutes = models.PositiveIntegerField(null=True, blank=True)
    is_trial = models.BooleanField(default=False)
    warned_at = models.DateTimeField(null=True, blank=True)
    opened_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    operation = models.CharField(max_length=64, null=True, blank=True)
    created_by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-created_at",)
        indexes = [models.Index(fields=["status", "ready_by"])]
        constraints = [
            models.UniqueConstraint(fields=["course", "operation"], name="one_lab_per_operation"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_open(self) -> bool:
        return self.status == LabStatus.OPEN

    @property
    def is_discarded(self) -> bool:
        """Whether it was taken off the plan: over without ever having been open."""
        return self.status == LabStatus.CLOSED and self.opened_at is None

    @property
    def late_until(self) -> datetime | None:
        """Until when latecomers are taken: None as long as it is open. From when it was to be ready."""
        if self.opened_at is None or self.late_minutes is None:
            return None
        return max(self.opened_at, self.ready_by or self.opened_at) + timedelta(minutes=self.late_minutes)

    @property
    def takes_latecomers(self) -> bool:
        """Whether somebody who has no seat gets one by coming now. Staff add latecomers all the same."""
        return self.late and (self.late_until is None or self.late_until >= timezone.now())

    @property
    def lasts(self) -> timedelta:
        """For how long it was planned, in whole minutes."""
        planned = self.closes_at - (self.ready_by or self.created_at)
        return timedelta(minutes=round(planned.total_seconds() / 60))

    @property
    def kept_until(self) -> datetime | None:
        """Until when its saved work is kept; None: for ever, or it is not closed yet."""
        return until(self.closed_at)


def until(at: datetime | None) -> datetime | None:
    """Until when work that was saved then is kept; None: for ever, or there is none."""
    days = settings.SANDBOX_WORK_DAYS
    return at + timedelta(days=days) if at and days else None
