"""What passes between staff and students while a lab runs: hands, messages, commands for many."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from sandboxes.models import Command

from .lab import Lab
from .seat import Seat


class Hand(models.Model):
    """A raised hand; resolved ones are kept for the waiting times. One open hand a seat."""

    seat = models.ForeignKey(Seat, on_delete=models.PROTECT, related_name="hands")
    text = models.CharField(max_length=200, blank=True)
    raised_at = models.DateTimeField(default=timezone.now)
    claimed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    claimed_at = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    helper = ""
    """No column: the name of whoever has claimed it, for pages."""

    class Meta:
        ordering = ("raised_at", "id")
        constraints = [
            models.UniqueConstraint(
                fields=["seat"], condition=models.Q(resolved_at=None), name="one_open_hand_per_seat"
            ),
        ]

    def __str__(self) -> str:
        return self.text or "a raised hand"


class Message(models.Model):
    """A message from staff; ``seat`` empty: to everyone of the lab.

    ``about``: what a page does more with it than show it; its words are for people alone.
    """

    END = "end"
    """It tells when the lab, or this seat, ends; the next one tells it anew."""

    lab = models.ForeignKey(Lab, on_delete=models.PROTECT, related_name="messages")
    seat = models.ForeignKey(Seat, null=True, blank=True, on_delete=models.PROTECT, related_name="messages")
    by_name = models.CharField(max_length=150)
    text = models.CharField(max_length=1000)
    about = models.CharField(max_length=10, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-created_at", "-id")

    def __str__(self) -> str:
        return self.text[:60]


CALLED = {"pause": "Eyes up", "resume": "Resume", "restart": "Restart"}
"""Actions for many, as their buttons say."""


class LabRun(models.Model):
    """One thing done in many seats: a command (``text``), a file (``file_name``), or an ``action``."""

    lab = models.ForeignKey(Lab, on_delete=models.PROTECT, related_name="runs")
    text = models.CharField(max_length=4000, blank=True)
    file_name = models.CharField(max_length=200, blank=True)
    action = models.CharField(max_length=10, blank=True)
    by_name = models.CharField(max_length=150)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-created_at", "-id")

    def __str__(self) -> str:
        return self.text or self.file_name or CALLED.get(self.action, self.action)


class LabRunResult(models.Model):
    """What came of a run in one seat: its command, or a reason why there is none."""

    run = models.ForeignKey(LabRun, on_delete=models.PROTECT, related_name="results")
    seat = models.ForeignKey(Seat, on_delete=models.PROTECT, related_name="results")
    command = models.ForeignKey(Command, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    done = models.BooleanField(default=False)
    reason = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ("seat__enrollment__name", "id")
        constraints = [models.UniqueConstraint(fields=["run", "seat"], name="one_result_per_seat")]

    def __str__(self) -> str:
        return f"{self.run} for {self.seat}"
