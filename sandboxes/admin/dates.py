"""Walking through the trail by date: year, month, day, hour, each a link; nothing is counted for it."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.dates import MONTHS

from sandboxes.lifecycle.event_filters import ON, Asked, span
from sandboxes.lifecycle.event_summary import Extent


@dataclass(frozen=True)
class Step:
    """A link of the walk: what it says, and the query it leads to."""

    said: str
    query: str


def crumbs(asked: Asked) -> list[Step]:
    """From the whole trail to the span that is shown; the last is where one is."""
    found = [Step("All dates", asked.but(on="").query())]
    match = ON.fullmatch(asked.on)
    parts = [one for one in match.groups() if one] if match else []
    for number in range(len(parts)):
        found.append(Step(_said(parts[: number + 1]), asked.but(on=_on(parts[: number + 1])).query()))
    return found


def steps(asked: Asked, whole: Extent) -> list[Step]:
    """What one can go on to from here, as far as the trail goes; nothing below an hour."""
    if whole.first is None or whole.last is None:
        return []
    first, last = timezone.localtime(whole.first), timezone.localtime(whole.last)
    match = ON.fullmatch(asked.on)
    parts = [one for one in match.groups() if one] if match and span(asked.on) else []
    return [
        Step(_said(one), asked.but(on=_on(one)).query())
        for one in _next(parts, first, last)
        if _overlaps(_on(one), first, last)
    ]


def _next(parts: list[str], first: datetime, last: datetime) -> list[list[str]]:
    if not parts:
        return [[str(year)] for year in range(first.year, last.year + 1)]
    if len(parts) == 1:
        return [[*parts, f"{month:02}"] for month in range(1, 13)]
    if len(parts) == 2:
        days = calendar.monthrange(int(parts[0]), int(parts[1]))[1]
        return [[*parts, f"{day:02}"] for day in range(1, days + 1)]
    return [[*parts, f"{hour:02}"] for hour in range(24)] if len(parts) == 3 else []


def _overlaps(on: str, first: datetime, last: datetime) -> bool:
    found = span(on)
    return found is not None and found[0] <= last and found[1] > first


def _on(parts: list[str]) -> str:
    return "-".join(parts[:3]) + (f"T{parts[3]}" if len(parts) > 3 else "")


def _said(parts: list[str]) -> str:
    """The last part as it is read: 2026, November, 28, 14:00."""
    last = parts[-1]
    if len(parts) == 2:
        return str(MONTHS.get(int(last), last))
    return f"{last}:00" if len(parts) == 4 else last.lstrip("0") or last
