"""Leafing through a part of the trail: from any event to the next ones, as quick at its end as anywhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Q, QuerySet

from sandboxes.models import Event

from . import event_search
from .event_filters import OLDEST_FIRST, Asked, moment

SIZE = 50
MARK = re.compile(r"(\d{4}-\d\d-\d\dT[\d:.]+)_(\d{1,18})")


@dataclass(frozen=True)
class Page:
    """Some events in the order asked for; ``back`` and ``on`` are query strings, empty where nothing is."""

    events: list[Event]
    back: str = ""
    on: str = ""


def mark(event: Event) -> str:
    """Where an event stands, in a word for an address."""
    return f"{event.at.astimezone(UTC).replace(tzinfo=None).isoformat()}_{event.pk}"


def place(text: str) -> tuple[datetime, int] | None:
    """The place that such a word means."""
    found = MARK.fullmatch(text)
    at = moment(f"{found[1]}+00:00") if found else None
    return (at, int(found[2])) if found and at else None


def of(asked: Asked, told: Mapping[str, Any], size: int = SIZE) -> Page:
    """The page that ``after`` or ``before`` in a query string means; else the first one."""
    after, before = place(str(told.get("after", ""))), place(str(told.get("before", "")))
    if before is not None:
        found = list(_on(asked.but(order="" if asked.is_up else OLDEST_FIRST), before)[: size + 1])
        return _page(asked, found[:size][::-1], len(found) > size, True)
    found = list((_on(asked, after) if after else asked.rows())[: size + 1])
    return _page(asked, found[:size], after is not None, len(found) > size)


def _on(asked: Asked, where: tuple[datetime, int]) -> QuerySet[Event]:
    """What comes behind that place, in the order asked for."""
    if asked.q:
        return event_search.beyond(asked.rows(), asked.q, where[1], asked.is_up)
    return _beyond(asked.rows(), where, asked.is_up)


def _beyond(rows: QuerySet[Event], where: tuple[datetime, int], is_up: bool) -> QuerySet[Event]:
    at, pk = where
    if is_up:
        return rows.filter(Q(at__gt=at) | Q(pk__gt=pk), at__gte=at)
    return rows.filter(Q(at__lt=at) | Q(pk__lt=pk), at__lte=at)


def _page(asked: Asked, events: list[Event], has_back: bool, has_on: bool) -> Page:
    if not events:
        return Page(events)
    query = asked.query()
    join = f"{query}&" if query else ""
    return Page(
        events,
        f"{join}before={mark(events[0])}" if has_back else "",
        f"{join}after={mark(events[-1])}" if has_on else "",
    )


def around(event: Event, size: int = 5) -> tuple[list[Event], list[Event]]:
    """Its neighbours in time: those before and those after, each in the order in which they happened."""
    where = (event.at, event.pk)
    rows = Event.objects.all()
    before = list(_beyond(rows.order_by("-at", "-id"), where, False)[:size])
    return before[::-1], list(_beyond(rows.order_by("at", "id"), where, True)[:size])
