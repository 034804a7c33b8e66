"""Where events are posted to, and what came of each post."""

from __future__ import annotations

import secrets
from base64 import b64encode

from django.db import models
from django.db.models import Q
from django.utils import timezone

from .sealed import SealedField

PREFIX = "whsec_"


def new_secret() -> str:
    """A secret that nobody can guess, in the form that receivers' libraries know."""
    return PREFIX + b64encode(secrets.token_bytes(32)).decode()


class Webhook(models.Model):
    """One receiver of chosen events.

    ``url`` and ``secret`` open doors: neither is ever in an event, a log or an export, and the database
    has them sealed; both are empty where they cannot be read any more. ``actions`` are
    patterns (``sandbox.*``, ``*:refused``), one a line. ``failures`` counts posts in a row that failed,
    ``failing_since`` is the first of them; until ``pause_until`` nothing is tried, because nobody
    answered. ``dropping_since`` is set while its queue is full and new events are left out.
    """

    name = models.CharField(max_length=80, unique=True)
    url = SealedField(verbose_name="URL")
    secret = SealedField(default=new_secret, editable=False)
    actions = models.TextField(default="*", help_text="One a line: sandbox.*, user.sign_in, *:refused")
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False)
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    pause_until = models.DateTimeField(null=True, blank=True, editable=False)
    dropping_since = models.DateTimeField(null=True, blank=True, editable=False)
    dropped = models.PositiveBigIntegerField(default=0, editable=False)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class DeliveryState(models.TextChoices):
    """Where a delivery is."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up", "given up"


class Delivery(models.Model):
    """One event on its way to one webhook, and its latest attempt.

    ``number`` is the event's seal, by which they are sent. ``status`` is the answer's HTTP status, None
    where there was no answer; ``answer`` its first 200 characters, ``error`` why it did not count;
    ``duration`` milliseconds.
    """

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    event_id = models.BigIntegerField()
    number = models.BigIntegerField()
    action = models.CharField(max_length=60)
    state = models.CharField(max_length=10, choices=DeliveryState.choices, default=DeliveryState.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True, blank=True, default=timezone.now)
    status = models.PositiveIntegerField(null=True, blank=True)
    answer = models.CharField(max_length=200, blank=True)
    error = models.CharField(max_length=200, blank=True)
    duration = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=["webhook", "event_id"], name="one_delivery_an_event"),
        ]
        indexes = [
            models.Index(
                fields=["webhook", "number"], name="waiting_deliveries", condition=Q(state="waiting")
            ),
            models.Index(fields=["ended_at"], name="ended_deliveries", condition=~Q(state="waiting")),
        ]

    def __str__(self) -> str:
        return f"event {self.event_id} to {self.webhook_id}"
