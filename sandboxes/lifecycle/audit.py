"""The audit trail's only writer: who did what to which sandbox, from where, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from sandboxes.models import Event, Outcome, Sandbox

from . import escaping

AGENT = 200
"""So much of a browser's name for itself is kept."""


@dataclass(frozen=True)
class Place:
    """Where something happened, in a word core does not know, and what the actor was there."""

    id: str = ""
    name: str = ""
    role: str = ""


@dataclass(frozen=True)
class Origin:
    """Who acts, and from where. ``kind`` is user, console, cleanup, provision, engine or system.

    ``role`` is what a user is now: user, staff or superuser. ``on_behalf`` names whose work it is
    where that is somebody else. ``request_id`` is that of the request or the socket. ``place`` is where
    all of it happens, where the actor knows; else it is looked up by the sandbox.
    """

    kind: str = "system"
    user_id: int | None = None
    name: str = ""
    address: str | None = None
    role: str = ""
    on_behalf: str = ""
    user_agent: str = ""
    request_id: str = ""
    place: Place | None = None

    @classmethod
    def of(cls, user: Any, address: str | None = None, **more: Any) -> Origin:
        """A person's origin, from the signed-in user and the address of the request."""
        return cls("user", user.pk, user.get_username(), address, role_of(user), **more)


def role_of(user: Any) -> str:
    """What a person is on this site."""
    return "superuser" if user.is_superuser else "staff" if user.is_staff else "user"


SYSTEM = Origin("system", name="system")
CLEANUP = Origin("cleanup", name="cleanup")
ENGINE = Origin("engine", name="engine")
PROVISION = Origin("provision", name="provision")


@dataclass(frozen=True)
class Target:
    """What something was done to, where that is no sandbox: its kind, its id and its name then."""

    kind: str = ""
    id: str = ""
    name: str = ""


NO_TARGET, NO_PLACE = Target(), Place()


@dataclass(frozen=True)
class Facts:
    """What one line says beside who, what and which sandbox."""

    outcome: Outcome = Outcome.OK
    operation: str = ""
    reason: str = ""
    detail: dict[str, Any] | None = None
    changes: dict[str, Any] | None = None
    target: Target = NO_TARGET
    place: Place | None = None
    duration: int | None = None
    engine_key: str | None = None
    at: datetime | None = field(default=None)


def record(action: str, origin: Origin, sandbox: Sandbox | None = None, **facts: Any) -> Event | None:
    """Add one Event; call it inside the transaction of the change it records.

    ``facts`` are those of Facts: outcome, operation, reason, detail, changes (what changed, each
    [before, after]), target, place, duration (milliseconds), engine_key, at. Returns None when an
    event with this ``engine_key`` is on record already. Never put environment values, tokens,
    passwords or engine text into them; all text is escaped here.
    """
    told = Facts(**facts)
    event = Event(
        at=told.at or timezone.now(), action=action, outcome=told.outcome, operation=told.operation,
        engine_key=told.engine_key, duration=told.duration, reason=escaping.text(told.reason, 300),
        detail=escaping.data(told.detail or {}), changes=escaping.data(told.changes or {}),
        **_who(origin), **_where(told.place, origin, sandbox), **_what(told.target, sandbox),
    )  # fmt: skip
    return _add(event)


def _who(origin: Origin) -> dict[str, Any]:
    return {
        "actor_kind": origin.kind, "actor_id": origin.user_id, "address": origin.address,
        "actor_name": escaping.text(origin.name, 150), "actor_role": origin.role,
        "on_behalf": escaping.text(origin.on_behalf, 150),
        "user_agent": escaping.text(origin.user_agent, AGENT), "request_id": origin.request_id[:64],
    }  # fmt: skip


def _where(place: Place | None, origin: Origin, sandbox: Sandbox | None) -> dict[str, str]:
    """The place that was given, the actor's, else what the wing above says of this sandbox and person."""
    place = place or origin.place
    if place is None:
        find = import_string(settings.SANDBOX_PLACE) if settings.SANDBOX_PLACE else None
        place = (find(sandbox, origin) if find and sandbox is not None else None) or NO_PLACE
    return {"place_id": place.id, "place_name": escaping.text(place.name, 150), "place_role": place.role}


def _what(target: Target, sandbox: Sandbox | None) -> dict[str, str]:
    columns = {
        "target_kind": target.kind, "target_id": escaping.text(target.id, 64),
        "target_name": escaping.text(target.name, 255),
    }  # fmt: skip
    if sandbox is not None:
        owner = escaping.text(sandbox.owner.get_username(), 150)
        columns |= {"sandbox_id": sandbox.pk, "sandbox_name": escaping.text(sandbox.name, 63)}
        columns["owner_name"] = owner
    return columns


def unanswered(sandbox: Sandbox) -> Event | None:
    """The latest act on this sandbox itself that has no outcome on record, if there is one."""
    rows = Event.objects.filter(sandbox_id=sandbox.pk, action__startswith="sandbox.")
    asked = rows.filter(outcome=Outcome.REQUESTED).exclude(operation="").order_by("-id").first()
    return asked if asked is not None and not is_answered(asked) else None


def is_answered(asked: Event) -> bool:
    """Whether something came of a request."""
    return Event.objects.filter(operation=asked.operation).exclude(pk=asked.pk).exists()


def asked_for(operation: str) -> Event | None:
    """The request of an operation while nothing has come of it."""
    rows = list(Event.objects.filter(operation=operation)[:2])
    return rows[0] if len(rows) == 1 and rows[0].outcome == Outcome.REQUESTED else None


COPIED = (
    "action", "operation", "sandbox_id", "sandbox_name", "owner_name", "actor_kind", "actor_id", "actor_name",
    "actor_role", "on_behalf", "address", "user_agent", "request_id", "place_id", "place_name", "place_role",
    "target_kind", "target_id", "target_name",
)  # fmt: skip
"""What an outcome has in common with its request."""


def answer(asked: Event, outcome: Outcome, reason: str = "") -> None:
    """Put on record what came of a request that nobody else will answer; it was about the same."""
    now = timezone.now()
    event = Event(at=now, outcome=outcome, reason=escaping.text(reason, 300), duration=since(asked.at, now),
                  detail=asked.detail, **{name: getattr(asked, name) for name in COPIED})  # fmt: skip
    event.save(force_insert=True)


def since(began: datetime, now: datetime | None = None) -> int:
    """Milliseconds from then until now."""
    return max(round(((now or timezone.now()) - began).total_seconds() * 1000), 0)


def origin_of(event: Event) -> Origin:
    """Who acted, as the event has it."""
    place = Place(event.place_id, event.place_name, event.place_role) if event.place_id else None
    return Origin(event.actor_kind, event.actor_id, event.actor_name, event.address, event.actor_role,
                  event.on_behalf, event.user_agent, event.request_id, place)  # fmt: skip


def _add(event: Event) -> Event | None:
    if event.engine_key is None:
        event.save(force_insert=True)
        return event
    try:
        with transaction.atomic():
            event.save(force_insert=True)
    except IntegrityError:
        return None
    return event
