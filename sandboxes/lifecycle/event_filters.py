"""Which part of the audit trail somebody asks for: the same words for the list, its charts and its exports.

What cannot be understood is said and finds nothing: an auditor must not take all for a part.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlencode

from django.db.models import F, Func, QuerySet
from django.utils import timezone

from sandboxes.models import Event, Outcome

from . import event_search, event_words

LONGEST = 200
ID = re.compile(r"[a-z]{2,5}_[0-9a-z]{6,20}")
"""What looks like an id of ours; else it is a name."""
ON = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d))?)?)?")
OLDEST_FIRST = "old"
Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Asked:
    """A part of the trail. Empty: not asked for. Times are in the site's time zone, as people write them.

    ``q`` are words to search for; ``who`` the actor; ``sandbox`` and ``place`` an id or a name; ``on`` a
    year, month, day or hour (2026, 2026-11, 2026-11-28, 2026-11-28T14); ``since`` and ``until`` times,
    the latter not included; ``order`` empty for the newest first, or ``old``.
    """

    q: str = ""
    who: str = ""
    sandbox: str = ""
    place: str = ""
    action: str = ""
    outcome: str = ""
    address: str = ""
    on: str = ""
    since: str = ""
    until: str = ""
    order: str = ""

    @classmethod
    def of(cls, told: Mapping[str, str]) -> Asked:
        """What a query string says."""
        known = {one.name: str(told.get(one.name, "")) for one in fields(cls)}
        return cls(**{name: value.replace("\0", "").strip()[: LONGEST + 1] for name, value in known.items()})

    def but(self, **other: str) -> Asked:
        """The same with something else."""
        return replace(self, **other)

    def query(self) -> str:
        """As a query string without its question mark; empty for all."""
        return urlencode(self.told())

    def told(self) -> dict[str, str]:
        """What was asked for, by name."""
        return {one.name: value for one in fields(self) if (value := getattr(self, one.name))}

    @property
    def is_all(self) -> bool:
        """Whether nothing narrows it."""
        return not self.but(order="").told()

    @property
    def is_up(self) -> bool:
        """Whether the oldest come first."""
        return self.order == OLDEST_FIRST

    def wrong(self) -> list[str]:
        """What cannot be understood, in sentences."""
        checks = {
            "q": not self.q or bool(event_search.tokens(self.q)),
            "action": not self.action or self.action in event_words.words(),
            "outcome": not self.outcome or self.outcome in Outcome.values,
            "address": not self.address or _is_address(self.address),
            "on": not self.on or span(self.on) is not None,
            "since": not self.since or moment(self.since) is not None,
            "until": not self.until or moment(self.until) is not None,
        }
        told = [f"“{getattr(self, name)}”: {WRONG[name]}" for name, good in checks.items() if not good]
        return [*self._too_much(), *told]

    def _too_much(self) -> list[str]:
        """What would have to be cut, and then would find more than was asked for."""
        long = [value for value in self.told().values() if len(value) > LONGEST]
        told = [f"“{value[:40]}…” is longer than {LONGEST} characters." for value in long]
        count = len(event_search.tokens(self.q))
        most = f"these are {count} words. Search for {event_search.MOST_WORDS} at most."
        return told + (
            [f"“{self.q}”: {most}"] if count > event_search.MOST_WORDS and self.q not in long else []
        )

    def rows(self) -> QuerySet[Event]:
        """The events, in the order asked for; none where something cannot be understood.

        What is searched for comes in the order in which it was written, which is very nearly the same.
        """
        if self.wrong():
            return Event.objects.none()
        if self.q:
            return self.scan().order_by(event_search.order(self.q, self.is_up))
        rows = Event.objects.filter(**self._columns())
        return rows.order_by("at", "id") if self.is_up else rows.order_by("-at", "-id")

    def scan(self) -> QuerySet[Event]:
        """The same in no order, found without an index: for who reads a span of ids and nothing else."""
        told = self._columns()
        names = {name.partition("__")[0] for name in told}
        rows = Event.objects.alias(**{f"plain_{name}": _Plain(F(name)) for name in names}).order_by()
        rows = rows.none() if self.wrong() else rows.filter(**{f"plain_{name}": told[name] for name in told})
        # the outcome is a word of the index too: of many that match, few may have been refused
        return event_search.within(rows, f"{self.q} {self.outcome}") if self.q else rows

    def _columns(self) -> dict[str, Any]:
        sandbox = "sandbox_id" if ID.fullmatch(self.sandbox) else "sandbox_name"
        place = "place_id" if ID.fullmatch(self.place) else "place_name"
        equal = {"actor_name": self.who, "action": self.action, "outcome": self.outcome,
                 "address": self.address, sandbox: self.sandbox, place: self.place}  # fmt: skip
        start, end = self.bounds()
        found: dict[str, Any] = {name: value for name, value in equal.items() if value}
        return found | ({"at__gte": start} if start else {}) | ({"at__lt": end} if end else {})

    def bounds(self) -> tuple[datetime | None, datetime | None]:
        """From when and until when, None where it is open."""
        within = span(self.on) if self.on else None
        starts = [one for one in (moment(self.since), within and within[0]) if one]
        ends = [one for one in (moment(self.until), within and within[1]) if one]
        return max(starts, default=None), min(ends, default=None)


class _Plain(Func):
    """A column as SQLite's planner does not look for it in an index; it would sort what it finds there."""

    template = "%(expressions)s"
    arity = 1

    def as_sqlite(self, compiler: Any, connection: Any, **more: Any) -> Any:
        return self.as_sql(compiler, connection, template="+%(expressions)s", **more)


WRONG = {
    "q": "no word is in this. Search for words of letters or digits.",
    "action": "no action is called so.",
    "outcome": "an outcome is requested, ok, refused or failed.",
    "address": "this is no address. The search takes a part of one: 192.0.2.*",
    "on": "write 2026, 2026-11, 2026-11-28 or 2026-11-28T14.",
    "since": "write a time as 2026-11-28T14:00.",
    "until": "write a time as 2026-11-28T14:00.",
}


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def moment(text: str) -> datetime | None:
    """A time as it is written, in the site's zone unless it names another; None for what is none."""
    try:
        return _known(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None


def _known(found: datetime) -> datetime:
    """With its zone. Raises OverflowError for what a database, which keeps UTC, cannot keep."""
    aware = timezone.make_aware(found) if timezone.is_naive(found) else found
    aware.astimezone(UTC)
    return aware


def span(text: str) -> Span | None:
    """Beginning and end of a year, month, day or hour; None for what is none."""
    found = ON.fullmatch(text)
    if found is None:
        return None
    year, *more = (int(one) if one else None for one in found.groups())
    try:
        start = datetime(year or 0, more[0] or 1, more[1] or 1, more[2] or 0)
        return _known(start), _known(_end(start, more))
    except (ValueError, OverflowError):
        return None


def _end(start: datetime, more: list[int | None]) -> datetime:
    month, day, hour = more
    if hour is not None:
        return start + timedelta(hours=1)
    if day is not None:
        return start + timedelta(days=1)
    if month is not None:
        return (start + timedelta(days=32)).replace(day=1)
    return start.replace(year=start.year + 1)
