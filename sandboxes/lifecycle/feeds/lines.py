"""An event as one line of JSON, and back: the same text for the same event on every database.

Feeds leave out what concerns nobody outside (``private``): names of environment variables.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from django.db.models import Field

from sandboxes.lifecycle import event_words
from sandboxes.models import Event

FIELDS: tuple[Field[Any, Any], ...] = tuple(Event._meta.concrete_fields)
PRIVATE = frozenset({"environment"})
"""Keys of an event's detail that stay here."""


def columns(event: Event) -> dict[str, Any]:
    """Every column of an event by name, its time in ISO 8601 UTC with microseconds."""
    found = {field.attname: getattr(event, field.attname) for field in FIELDS}
    found["at"] = event.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    found["outcome"] = str(event.outcome)
    return found


def dump(value: dict[str, Any]) -> str:
    """JSON in one line, keys within keys in order, letters as they are."""
    ordered = {key: _sorted(one) for key, one in value.items()}
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(one) for one in value] if isinstance(value, list) else value


def line(event: Event) -> str:
    """The event whole, as exports have it."""
    return dump(columns(event))


def read(text: str) -> Event:
    """The event of a line, not saved. Raises ValueError for what is no such line."""
    found = json.loads(text)
    names = {field.attname for field in FIELDS}
    if not isinstance(found, dict) or set(found) != names:
        raise ValueError("This line is no event: its columns differ.")
    found["at"] = datetime.fromisoformat(found["at"])
    return Event(**found)


def shared(event: Event) -> dict[str, Any]:
    """The event for others: its columns, its plain sentence, nothing private."""
    found = columns(event)
    for name in ("detail", "changes"):
        found[name] = _public(found[name])
    return found | {"sentence": event_words.sentence(event)}


def _public(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _public(one) for key, one in value.items() if key not in PRIVATE}
    return [_public(one) for one in value] if isinstance(value, list) else value
