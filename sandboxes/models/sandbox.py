"""The main noun: a sandbox, where it is, and what is under way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from .ids import sandbox_id
from .people import Image, User
from .policy import DISK, Isolation, RecordingPolicy


class Status(models.TextChoices):
    """Where a sandbox is. What is under way stands in ``pending``."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    FAILED = "failed"
    REMOVED = "removed"


LIVE = frozenset({Status.QUEUED, Status.RUNNING, Status.PAUSED, Status.STOPPED})
"""Counts against the quota and expires."""
UP = frozenset({Status.RUNNING, Status.PAUSED})
"""Has processes."""
HOLDING = Q(status__in=LIVE) | Q(status=Status.FAILED, pending="start")
"""Has a place in budget and quotas: a failed one from the moment on in which its start was claimed."""
ENDED = frozenset({Status.REMOVED})
"""Final: nothing leads out of it."""


class Network(models.TextChoices):
    """What a sandbox may reach."""

    NONE = "none", "none"
    INTERNET = "internet", "internet"


class SandboxQuerySet(models.QuerySet["Sandbox"]):
    """Sandboxes by adjectives."""

    def owned_by(self, user: User) -> SandboxQuerySet:
        return self.filter(owner=user)

    def visible_to(self, user: Any) -> SandboxQuerySet:
        """Their own; staff: all."""
        return self if user.is_staff else self.filter(owner_id=user.pk)

    def live(self) -> SandboxQuerySet:
        """Those that have a place: in quotas, and in the budget."""
        return self.filter(HOLDING)

    def up(self) -> SandboxQuerySet:
        return self.filter(status__in=UP)

    def present(self) -> SandboxQuerySet:
        """Not removed: failed ones too, until someone removes them."""
        return self.exclude(status__in=ENDED)

    def overdue(self) -> SandboxQuerySet:
        """Past their end, and not being removed already."""
        late = Q(expires_at__lte=timezone.now())
        return self.filter(late).exclude(status__in=ENDED).exclude(pending="remove")


class Sandbox(models.Model):
    """One sandbox: our record and its container.

    ``memory`` bytes, ``cpus`` cores, ``lifetime`` seconds, ``disk`` bytes it may write and ``disk_used``
    those it had written when last looked (None: not looked yet). ``pending`` is empty or the action under
    way, ``claim`` the token of whoever does it, ``claimed_by`` their process. ``launch_step`` says where
    a launch stands: waiting, pulling, starting. ``environment_name``, ``host``, ``native_id`` and
    ``generation`` are the ref: where its container is, and which one of several it is. ``lent``: it was
    launched for its owner by a wing above, and counts in no quota of theirs. ``recording`` is the policy
    of its launch: a later one does not change what people were told. ``idle_limit``: seconds without use
    after which it is stopped (0: never); ``used_at`` and ``used_how`` what was seen of use last,
    ``idle_warned_at`` since when it is warned: see lifecycle.idle.
    """

    id = models.CharField(primary_key=True, max_length=24, default=sandbox_id, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="sandboxes")
    name = models.CharField(max_length=63)
    image = models.ForeignKey(Image, null=True, on_delete=models.SET_NULL, related_name="sandboxes")
    image_reference = models.CharField(max_length=255)
    shell = models.CharField(max_length=80, default="sh")
    runs_as_root = models.BooleanField(default=False)
    memory = models.PositiveBigIntegerField()
    cpus = models.DecimalField(max_digits=5, decimal_places=2)
    pids = models.PositiveIntegerField()
    disk = models.PositiveBigIntegerField(default=DISK)
    isolation = models.CharField(max_length=10, choices=Isolation.choices, default=Isolation.STANDARD)
    runtime = models.CharField(max_length=60, blank=True, default="")
    network = models.CharField(max_length=10, choices=Network.choices, default=Network.NONE)
    workdir = models.CharField(max_length=255, default="/workspace")
    environment = models.JSONField(default=dict, blank=True)
    auto_remove = models.BooleanField(default=False)
    lifetime = models.PositiveIntegerField()
    idle_limit = models.PositiveIntegerField(default=0)
    lent = models.BooleanField(default=False, editable=False)
    launch_key = models.CharField(max_length=64, null=True, blank=True)
    recording = models.CharField(
        max_length=10, choices=RecordingPolicy.choices, default=RecordingPolicy.OFF, editable=False
    )
    recording_keystrokes = models.BooleanField(default=False, editable=False)

    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    status_reason = models.CharField(max_length=300, blank=True)
    status_detail = models.TextField(blank=True, help_text="The engine's own text; admins only.")
    pending = models.CharField(max_length=10, blank=True, default="")
    pending_since = models.DateTimeField(null=True, blank=True)
    claim = models.CharField(max_length=24, blank=True, default="")
    claimed_by = models.CharField(max_length=80, blank=True, default="")
    launch_step = models.CharField(max_length=10, blank=True, default="")
    exit_code = models.IntegerField(null=True, blank=True)
    disk_used = models.PositiveBigIntegerField(null=True, blank=True)

    environment_name = models.CharField(max_length=40, default="local")
    host = models.CharField(max_length=120, blank=True)
    native_id = models.CharField(max_length=80, blank=True, db_index=True)
    generation = models.PositiveIntegerField(default=0)

    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True, db_index=True)
    last_activity_at = models.DateTimeField(null=True, blank=True)
    used_at = models.DateTimeField(null=True, blank=True)
    used_how = models.CharField(max_length=10, blank=True, default="")
    idle_warned_at = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField(default=timezone.now, db_index=True)

    taken_back: bool | None = None
    """No column: whether its owner has lost it (``access.learn``); None: not asked yet."""

    objects = SandboxQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "sandboxes"
        ordering = ("-created_at",)
        indexes = [
            models.Index(fields=["owner", "status"]),
            models.Index(fields=["status", "pending"]),
        ]
        constraints = [
            models.UniqueConstraint(fields=["owner", "launch_key"], name="one_sandbox_per_launch_key"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_strict(self) -> bool:
        return self.isolation == Isolation.STRICT

    @property
    def disk_percent(self) -> int:
        """How much of what it may write it had written when last looked."""
        return (self.disk_used or 0) * 100 // max(self.disk, 1)

    @property
    def container_name(self) -> str:
        return f"sandbox-{self.id}"

    @property
    def time_left(self) -> timedelta | None:
        """How long until it ends by itself; None when it has no end any more."""
        if self.expires_at is None or self.status in ENDED:
            return None
        return max(self.expires_at - timezone.now(), timedelta(0))
