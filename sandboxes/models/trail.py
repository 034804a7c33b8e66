"""The audit trail, append-only, and the leases of processes and of the loop."""

from __future__ import annotations

import json
from typing import Any

from django.db import models
from django.utils import timezone


class Outcome(models.TextChoices):
    """What came of an act."""

    REQUESTED = "requested"
    OK = "ok"
    REFUSED = "refused"
    FAILED = "failed"


class Data(models.JSONField):
    """JSON kept as it reads, so that SQLite's search finds words beyond ASCII in it; else Django's own."""

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        if connection.vendor != "sqlite" or not isinstance(value, dict | list):
            return super().get_db_prep_value(value, connection, prepared)
        return json.dumps(value, ensure_ascii=False)

    def deconstruct(self) -> Any:
        """To migrations it is Django's field."""
        name, _, args, options = super().deconstruct()
        return name, "django.db.models.JSONField", args, options


class EventQuerySet(models.QuerySet["Event"]):
    """Events can be added and read; that is all."""

    def update(self, **kwargs: Any) -> int:
        raise TypeError("Events are append-only.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise TypeError("Events are append-only.")


class Event(models.Model):
    """One line of the audit trail, append-only.

    Names are copied and no key cascades: removing a user or a sandbox loses nothing. All text is
    escaped when it is written (lifecycle.escaping). ``actor_kind`` is user, console (the server's
    command line), cleanup, provision, engine or system; ``actor_role`` what a user was then: user, staff
    or superuser. ``on_behalf`` is whose work it was where that is somebody else. ``place`` is where it
    happened, in a word core does not know (labs: the course), and ``place_role`` what the actor was there.
    ``target`` is what it was done to where that is no sandbox. ``changes`` maps what changed to
    [before, after]; ``duration`` is milliseconds, on an operation's outcome. ``operation`` joins a request
    with its outcome, ``request_id`` all that one request or socket did. ``engine_key`` makes an event
    that several processes saw count once.
    """

    at = models.DateTimeField(default=timezone.now, db_index=True)
    action = models.CharField(max_length=60, db_index=True)
    outcome = models.CharField(max_length=10, choices=Outcome.choices, default=Outcome.OK)
    operation = models.CharField(max_length=40, blank=True, db_index=True)
    actor_kind = models.CharField(max_length=10, default="user")
    actor_id = models.BigIntegerField(null=True, blank=True)
    actor_name = models.CharField(max_length=150, blank=True)
    actor_role = models.CharField(max_length=20, blank=True, default="")
    on_behalf = models.CharField(max_length=150, blank=True, default="")
    address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=200, blank=True, default="")
    request_id = models.CharField(max_length=64, blank=True, default="")
    place_id = models.CharField(max_length=40, blank=True, default="")
    place_name = models.CharField(max_length=150, blank=True, default="")
    place_role = models.CharField(max_length=20, blank=True, default="")
    target_kind = models.CharField(max_length=20, blank=True, default="")
    target_id = models.CharField(max_length=64, blank=True, default="")
    target_name = models.CharField(max_length=255, blank=True, default="")
    sandbox_id = models.CharField(max_length=24, blank=True, db_index=True)
    sandbox_name = models.CharField(max_length=63, blank=True)
    owner_name = models.CharField(max_length=150, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    changes = Data(default=dict, blank=True)
    detail = Data(default=dict, blank=True)
    duration = models.PositiveBigIntegerField(null=True, blank=True)
    engine_key = models.CharField(max_length=160, null=True, blank=True, unique=True)

    objects = EventQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "audit trail"
        ordering = ("-at", "-id")
        indexes = [  # whole ones: SQLite takes a partial one only where the query repeats its condition
            models.Index(fields=["request_id", "at"], name="events_of_a_request"),
            models.Index(fields=["place_id", "at"], name="events_of_a_place"),
            models.Index(fields=["place_name", "at"], name="events_of_a_place_name"),
            models.Index(fields=["target_id", "at"], name="events_of_a_target"),
            models.Index(fields=["actor_name", "at"], name="events_of_an_actor"),
            models.Index(fields=["owner_name", "at"], name="events_of_an_owner"),
            models.Index(fields=["sandbox_id", "at"], name="events_of_a_sandbox"),
            models.Index(fields=["sandbox_name", "at"], name="events_of_a_sandbox_name"),
            models.Index(fields=["action", "at"], name="events_of_an_action"),
            models.Index(fields=["outcome", "at"], name="events_of_an_outcome"),
            models.Index(fields=["address", "at"], name="events_of_an_address"),
        ]

    def __str__(self) -> str:
        return f"{self.actor_name or self.actor_kind} {self.action} {self.sandbox_name}".strip()

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("Events are append-only.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise TypeError("Events are append-only.")


class Seal(models.Model):
    """One link of the hash chain over the events, in the order in which they were found committed.

    ``digest`` (SHA-256, hex) is over the previous seal's digest, all columns of the event, and this
    seal's number and time. Plain numbers and no key: nothing cascades.
    """

    number = models.BigIntegerField(primary_key=True)
    event_id = models.BigIntegerField(unique=True)
    digest = models.CharField(max_length=64)
    sealed_at = models.DateTimeField()

    class Meta:
        ordering = ("number",)

    def __str__(self) -> str:
        return f"{self.number} {self.digest[:12]}"


class Lease(models.Model):
    """Who holds a role, or which process is alive, until when; renewed while it lasts.

    ``name`` is ``cleanup`` for the loop, ``process:<id>`` for each web or loop process.
    ``report`` holds the loop's last round: at, seconds, counts, error, engine.
    """

    name = models.CharField(primary_key=True, max_length=100)
    owner = models.CharField(max_length=80)
    until = models.DateTimeField()
    report = models.JSONField(default=dict, blank=True)

    def __str__(self) -> str:
        return self.name


class Brake(models.Model):
    """How often something happened until ``until``: tries to sign in, wrong codes (lifecycle.brakes)."""

    key = models.CharField(primary_key=True, max_length=200)
    count = models.IntegerField(default=0)
    until = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.key
