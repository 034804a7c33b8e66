"""What a part of the trail holds, at a glance: how many, of which actions, when, and who was refused.

It looks at the newest ``MOST`` events of the part and says so where there are more: the time it takes
does not grow with the trail.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from sandboxes.models import Event, Outcome

from .event_filters import Asked

MOST = 2_500
BAD = (Outcome.REFUSED, Outcome.FAILED)


@dataclass
class Summary:
    """``count`` is exact unless ``is_more``; then everything is of the newest ``count``.

    ``times`` are (when, whether it was refused or failed); ``refused`` counts refusals by actor, of all
    that match and not only of the newest.
    """

    count: int = 0
    is_more: bool = False
    actions: Counter[str] = field(default_factory=Counter)
    actors: Counter[str] = field(default_factory=Counter)
    places: Counter[str] = field(default_factory=Counter)
    times: list[tuple[datetime, bool]] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    refused_is_more: bool = False


def of(asked: Asked, most: int = MOST) -> Summary:
    """Look at it: two queries."""
    asked = asked.but(order="")
    rows = asked.rows()
    columns = rows.values_list("at", "action", "outcome", "actor_name", "actor_kind", "place_name")
    found = list(columns[: most + 1])
    told = Summary(min(len(found), most), len(found) > most)
    for at, action, outcome, *who, place in found[:most]:
        told.times.append((at, outcome in BAD))
        told.actions[action] += 1
        told.actors[name(*who)] += 1
        if place:
            told.places[place] += 1
    _refused(told, asked, most)
    return told


def _refused(told: Summary, asked: Asked, most: int) -> None:
    """Who was refused; asked for only where it is not known yet."""
    if asked.outcome == Outcome.REFUSED:
        told.refused, told.refused_is_more = told.actors, told.is_more
    elif not asked.outcome:
        rows = asked.but(outcome=Outcome.REFUSED).rows().values_list("actor_name", "actor_kind")
        found = list(rows[: most + 1])
        told.refused_is_more = len(found) > most
        told.refused = Counter(name(*who) for who in found[:most])


def name(actor: str, kind: str) -> str:
    """Who it was, also where that is nobody."""
    return actor or (kind if kind != "user" else "not signed in")


@dataclass(frozen=True)
class Extent:
    """From when to when the whole trail goes, and about how many events it has."""

    first: datetime | None
    last: datetime | None
    count: int


def extent() -> Extent:
    """The whole trail's, in one query that counts nothing: numbers of seals have no gaps."""
    sql = (
        "SELECT (SELECT min(at) FROM sandboxes_event), (SELECT max(at) FROM sandboxes_event),"
        " (SELECT max(number) FROM sandboxes_seal), (SELECT min(number) FROM sandboxes_seal)"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql)
        first, last, newest, oldest = cursor.fetchone()
    return Extent(_time(first), _time(last), newest - oldest + 1 if newest else 0)


def _time(value: Any) -> datetime | None:
    """SQLite gives text here."""
    if value is None or isinstance(value, datetime):
        return value
    found = Event._meta.get_field("at").to_python(f"{value}+00:00")
    return found if isinstance(found, datetime) else None
