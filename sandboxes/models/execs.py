"""What runs inside a sandbox: commands and terminals."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from .ids import command_id, marker
from .sandbox import Sandbox


class CommandStatus(models.TextChoices):
    """Where a command is."""

    RUNNING = "running"
    EXITED = "exited"
    TIMED_OUT = "timed_out", "timed out"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Command(models.Model):
    """One one-shot exec and its record: argv, both streams, exit code.

    ``stdout`` and ``stderr`` keep the first and the last bytes of the stream (SANDBOX_OUTPUT_CAP
    each half); ``*_bytes`` count all of it, ``*_head`` says after how many kept bytes the gap is.
    ``time_limit`` in seconds. ``cancelled_by`` is set by who asked for its end.
    """

    id = models.CharField(primary_key=True, max_length=24, default=command_id, editable=False)
    sandbox = models.ForeignKey(Sandbox, on_delete=models.CASCADE, related_name="commands")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    by_name = models.CharField(max_length=150, blank=True)
    argv = models.JSONField()
    text = models.CharField(max_length=4096, blank=True, help_text="As it was typed.")
    time_limit = models.PositiveIntegerField()
    marker = models.CharField(max_length=40, default=marker)
    process = models.CharField(max_length=80, blank=True, help_text="The process that runs it.")
    status = models.CharField(max_length=10, choices=CommandStatus.choices, default=CommandStatus.RUNNING)
    reason = models.CharField(max_length=300, blank=True)
    cancelled_by = models.CharField(max_length=150, blank=True)
    exit_code = models.IntegerField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    stdout = models.BinaryField(default=bytes)
    stderr = models.BinaryField(default=bytes)
    stdout_bytes = models.PositiveBigIntegerField(default=0)
    stderr_bytes = models.PositiveBigIntegerField(default=0)
    stdout_head = models.PositiveIntegerField(default=0)
    stderr_head = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("-created_at",)
        indexes = [
            models.Index(fields=["sandbox", "-created_at"]),
            models.Index(fields=["status"], name="running_commands", condition=Q(status="running")),
        ]

    def __str__(self) -> str:
        return self.text or " ".join(self.argv)

    @property
    def is_running(self) -> bool:
        return self.status == CommandStatus.RUNNING

    @property
    def duration(self) -> timedelta | None:
        if self.started_at is None:
            return None
        return (self.ended_at or timezone.now()) - self.started_at


class Terminal(models.Model):
    """One interactive shell of a sandbox, so that its processes can be found after any crash.

    ``process`` is the web process that owns its stream. It is over when ``ended_at`` is set; its
    processes are known to be gone when ``reaped_at`` is.
    """

    sandbox = models.ForeignKey(Sandbox, on_delete=models.CASCADE, related_name="terminals")
    name = models.CharField(max_length=40)
    marker = models.CharField(max_length=40, default=marker, unique=True)
    process = models.CharField(max_length=80)
    opened_by = models.CharField(max_length=150, blank=True)
    opened_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    reaped_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("opened_at",)
        constraints = [
            models.UniqueConstraint(
                fields=["sandbox", "name"],
                condition=Q(ended_at=None),
                name="one_open_terminal_a_name",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.sandbox_id}"
