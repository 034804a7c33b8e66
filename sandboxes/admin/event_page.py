"""One event's page: every field in plain words, what changed, its other half, and its neighbours in time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils import timezone

from sandboxes.lifecycle import event_pages, event_words
from sandboxes.models import Event, Recording, Sandbox, Seal, User

from .base import trail_url

SHOWN = 20
"""So many other events of one operation or request."""
MINUTES = 5
Row = tuple[str, Any, str]
"""What it is, what stands there, and where that leads (or nothing)."""
KINDS = {
    "user": "a person", "cleanup": "the loop that keeps order", "system": "the server",
    "engine": "the engine, by itself or by another hand",
}  # fmt: skip


def context(event: Event, user: Any) -> dict[str, Any]:
    """What the page shows."""
    before, after = event_pages.around(event)
    return {
        "title": event_words.sentence(event), "event": event, "word": event_words.word(event.action),
        "rows": list(rows(event)), "changes": changes(event), "details": details(event),
        "halves": others(event, "operation"), "same_request": others(event, "request_id"),
        "neighbours": [*before, event, *after], "seal": Seal.objects.filter(event_id=event.pk).first(),
        "links": list(links(event, user)), "around": around(event),
    }  # fmt: skip


def rows(event: Event) -> Iterator[Row]:
    """Its columns, as far as something is in them."""
    yield "Who", event_words.who(event), trail_url(who=event.actor_name) if event.actor_name else ""
    yield "That is", _actor(event), ""
    yield from _known("On behalf of", event.on_behalf)
    yield from _known("From", event.address, trail_url(address=event.address or ""))
    yield from _known("Browser", event.user_agent)
    if event.sandbox_id:
        yield "Sandbox", f"{event.sandbox_name} ({event.sandbox_id})", trail_url(sandbox=event.sandbox_id)
        yield from _known("Its owner", event.owner_name, trail_url(who=event.owner_name))
    if event.target_kind:
        named = f"{event.target_name} ({event.target_id})" if event.target_id else event.target_name
        yield event.target_kind.capitalize(), named, trail_url(q=event.target_id or event.target_name)
    if event.place_id:
        yield "Where", f"{event.place_name} ({event.place_id})", trail_url(place=event.place_id)
    yield "Action", event.action, trail_url(action=event.action)
    yield from _known("Took", f"{event.duration} ms" if event.duration is not None else "")
    yield from _known("Operation", event.operation, trail_url(q=event.operation))
    yield from _known("Request", event.request_id, trail_url(q=event.request_id))
    yield from _known("Engine's event", event.engine_key)


def _known(name: str, value: Any, url: str = "") -> Iterator[Row]:
    if value:
        yield name, value, url


def _actor(event: Event) -> str:
    """What the actor was, then."""
    told = [KINDS.get(event.actor_kind, event.actor_kind)]
    told += [f"account {event.actor_id}"] if event.actor_id else []
    told += [event.actor_role] if event.actor_role and event.actor_role != "user" else []
    told += [f"{event.place_role} in {event.place_name}"] if event.place_role else []
    return ", ".join(told)


def changes(event: Event) -> list[tuple[str, Any, Any]]:
    """What changed, before and after."""
    told = event.changes if isinstance(event.changes, dict) else {}
    return [(name, *_pair(value)) for name, value in told.items()]


def _pair(value: Any) -> tuple[Any, Any]:
    if isinstance(value, list) and len(value) == 2:
        return value[0], value[1]
    return None, value


def details(event: Event) -> list[tuple[str, str, str]]:
    """What else is on record: its key, what that means, and its value."""
    told = event.detail if isinstance(event.detail, dict) else {}
    meaning = event_words.word(event.action).detail
    return [(key, meaning.get(key, ""), _plain(key, value, told)) for key, value in told.items()]


def _plain(key: str, value: Any, told: dict[str, Any]) -> str:
    if key == "argv":
        return event_words.command(told)
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    return str(value)


def others(event: Event, column: str) -> list[Event]:
    """The other events with the same operation or request, the oldest first."""
    value = getattr(event, column)
    if not value:
        return []
    return list(Event.objects.filter(**{column: value}).exclude(pk=event.pk).order_by("at", "id")[:SHOWN])


def around(event: Event) -> str:
    """The list of what happened in the minutes around it."""
    at = timezone.localtime(event.at).replace(tzinfo=None)
    wide = timedelta(minutes=MINUTES)
    return trail_url(since=f"{at - wide:%Y-%m-%dT%H:%M}", until=f"{at + wide:%Y-%m-%dT%H:%M}", order="old")


def links(event: Event, user: Any) -> Iterator[tuple[str, str]]:
    """Where to go from here: trails, the records themselves as far as they may see them, the replay."""
    if event.sandbox_id:
        yield "Trail of this sandbox", trail_url(sandbox=event.sandbox_id)
    if event.actor_name and event.actor_kind == "user":
        yield f"Trail of {event.actor_name}", trail_url(who=event.actor_name)
    if event.place_id:
        yield f"Trail of {event.place_name}", trail_url(place=event.place_id)
    yield from _records(event, user)


def _records(event: Event, user: Any) -> Iterator[tuple[str, str]]:
    if _is_there(Sandbox, event.sandbox_id, user):
        yield "The sandbox", reverse("admin:sandboxes_sandbox_change", args=[quote(event.sandbox_id)])
    if event.actor_kind == "user" and _is_there(User, event.actor_id, user):
        yield "The account", reverse("admin:sandboxes_user_change", args=[event.actor_id])
    if event.sandbox_id and user.has_perm("sandboxes.view_recording"):
        yield from _replays(event)


def _is_there(model: Any, pk: Any, user: Any) -> bool:
    """Whether the record still is there, and they may look at it in the admin."""
    may = user.has_perm(f"sandboxes.view_{model._meta.model_name}")
    return bool(pk and may and model.objects.filter(pk=pk).exists())


def _replays(event: Event) -> Iterator[tuple[str, str]]:
    """The replay of the terminal it is about; else of those that ran then."""
    found = Recording.objects.filter(sandbox_id=event.sandbox_id)
    told = event.detail if isinstance(event.detail, dict) else {}
    if told.get("recording"):
        found = found.filter(pk=told["recording"])
    elif told.get("terminal"):
        found = found.filter(terminal_name=told["terminal"])
    for one in found.order_by("-started_at")[:3]:
        began = timezone.localtime(one.started_at)
        yield f"Replay terminal {one.terminal_name} of {began:%-d %b, %H:%M}", _moment(event, one)


def _moment(event: Event, recording: Recording) -> str:
    """The replay, at the moment of the event where that is within it."""
    url = reverse("recording_replay", args=[recording.sandbox_id, recording.pk])
    into = (event.at - recording.started_at).total_seconds()
    return f"{url}?t={into:.2f}" if 0 < into < recording.length.total_seconds() else url
