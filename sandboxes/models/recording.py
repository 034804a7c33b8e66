"""What was recorded of a terminal: whose it was, when, how much, and which file holds it."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.utils import timezone

from .execs import Terminal
from .ids import recording_id
from .policy import RecordingPolicy

__all__ = ["Recording", "RecordingPolicy"]


class Recording(models.Model):
    """One recording. Names are copied: it stays when terminal, sandbox and people are gone.

    ``opened_by`` began it. ``process`` is the web process that writes it. ``bytes`` lie on disk,
    ``cast_bytes`` is what they unpack to; both and ``duration`` (seconds) are known at its end.
    ``file`` is a name in DATA_DIR/recordings. ``ended_reason`` is a sentence for people.
    """

    id = models.CharField(primary_key=True, max_length=24, default=recording_id, editable=False)
    terminal = models.ForeignKey(Terminal, null=True, on_delete=models.SET_NULL, related_name="recordings")
    terminal_name = models.CharField(max_length=40)
    sandbox_id = models.CharField(max_length=24, db_index=True)
    sandbox_name = models.CharField(max_length=63)
    owner_id = models.BigIntegerField()
    owner_name = models.CharField(max_length=150)
    opened_by = models.CharField(max_length=150, blank=True)
    policy = models.CharField(max_length=10, choices=RecordingPolicy.choices)
    keystrokes = models.BooleanField(default=False)
    cols = models.PositiveIntegerField()
    rows = models.PositiveIntegerField()
    started_at = models.DateTimeField(default=timezone.now, db_index=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_reason = models.CharField(max_length=200, blank=True)
    duration = models.FloatField(default=0.0)
    bytes = models.PositiveBigIntegerField(default=0)
    cast_bytes = models.PositiveBigIntegerField(default=0)
    file = models.CharField(max_length=40)
    process = models.CharField(max_length=80)

    class Meta:
        ordering = ("-started_at",)

    def __str__(self) -> str:
        return f"{self.terminal_name} of {self.sandbox_name}"

    @property
    def is_running(self) -> bool:
        return self.ended_at is None

    @property
    def length(self) -> timedelta:
        """How long it is; while it runs, so far."""
        if self.ended_at is None:
            return timezone.now() - self.started_at
        return timedelta(seconds=self.duration)
