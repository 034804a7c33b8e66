"""People, and what the catalogue offers them."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import models, transaction
from django.utils import timezone

from .policy import DISK, Isolation, RecordingPolicy


class User(AbstractUser):
    """A person who signs in. Quotas left empty mean the install's own (SANDBOX_QUOTA_*)."""

    quota_sandboxes = models.PositiveIntegerField(
        null=True, blank=True, help_text="Live sandboxes at a time; empty: the install's default."
    )
    quota_memory = models.PositiveBigIntegerField(
        null=True,
        blank=True,
        help_text="Memory of all live sandboxes in bytes; empty: the default.",
    )
    quota_cpus = models.PositiveIntegerField(
        null=True, blank=True, help_text="CPUs of all live sandboxes; empty: the default."
    )
    quota_disk = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Disk limits of all live sandboxes in bytes; empty: the default."
    )
    quota_lifetime = models.PositiveIntegerField(
        null=True, blank=True, help_text="Seconds that a sandbox may last; empty: the default."
    )
    quota_creates = models.PositiveIntegerField(
        null=True, blank=True, help_text="Launches in ten minutes; empty: the default."
    )
    quota_terminals = models.PositiveIntegerField(
        null=True, blank=True, help_text="Open terminals; empty: the default."
    )

    def save(self, *args: Any, **options: Any) -> None:
        """With whatever listens to it (an event of the trail) in one transaction."""
        with transaction.atomic():
            super().save(*args, **options)


class Image(models.Model):
    """An image that an admin approved, with its shell, description and default limits.

    ``size`` in bytes while it is present on the engine, else empty. ``pull_*`` describe a pull
    under way or the last that failed; ``pull_error`` is a sentence for people.
    """

    reference = models.CharField(max_length=255, unique=True)
    title = models.CharField(max_length=80)
    description = models.CharField(max_length=200, blank=True)
    shell = models.CharField(max_length=80, default="sh")
    memory = models.PositiveBigIntegerField(default=512 * 1024**2)
    cpus = models.DecimalField(max_digits=5, decimal_places=2, default=1)
    pids = models.PositiveIntegerField(default=256)
    lifetime = models.PositiveIntegerField(default=3600, help_text="Seconds.")
    idle = models.PositiveIntegerField(
        "idle limit",
        null=True,
        blank=True,
        help_text="Seconds without use after which a sandbox is stopped; 0: never; empty: the install's.",
    )
    workdir = models.CharField(max_length=255, default="/workspace")
    runs_as_root = models.BooleanField(
        default=False, help_text="Root inside, with five capabilities; otherwise uid 1000."
    )
    runtime = models.CharField(
        max_length=60,
        blank=True,
        default="",
        help_text="Experimental. Another runtime of the engine (runsc, kata); empty: its usual one.",
    )
    isolation = models.CharField(
        max_length=10,
        choices=Isolation.choices,
        default=Isolation.STANDARD,
        help_text="Strict: no network, never root, only /workspace and /tmp can be written, in memory.",
    )
    disk = models.PositiveBigIntegerField(
        default=DISK, help_text="Bytes that a standard sandbox may write to the disk; it is stopped beyond."
    )
    recording = models.CharField(
        max_length=10,
        choices=RecordingPolicy.choices,
        default=RecordingPolicy.OFF,
        help_text="Of new sandboxes' terminals. Whoever types is told before, and sees it while it runs.",
    )
    recording_keystrokes = models.BooleanField(
        "record keystrokes too",
        default=False,
        help_text="What is typed is kept as well, also passwords that are not shown. People are told so.",
    )
    enabled = models.BooleanField(default=True)
    position = models.PositiveIntegerField(default=100, help_text="Order in the catalogue.")
    size = models.PositiveBigIntegerField(null=True, blank=True, editable=False)
    checked_at = models.DateTimeField(null=True, blank=True, editable=False)
    pull_since = models.DateTimeField(null=True, blank=True, editable=False)
    pull_by = models.CharField(max_length=80, blank=True, editable=False)
    pull_progress = models.JSONField(default=dict, blank=True, editable=False)
    pull_error = models.CharField(max_length=300, blank=True, editable=False)
    changed_at = models.DateTimeField(default=timezone.now, db_index=True, editable=False)

    class Meta:
        ordering = ("position", "title")

    def __str__(self) -> str:
        return self.title

    @property
    def is_here(self) -> bool:
        """Whether the image was present when the engine was last asked."""
        return self.size is not None

    @property
    def is_pulling(self) -> bool:
        return self.pull_since is not None
