"""Charts above the list, as numbers for an SVG: events over time, and who was refused most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.utils import timezone
from django.utils.formats import date_format

from sandboxes.lifecycle.event_filters import Asked
from sandboxes.lifecycle.event_summary import Summary

BARS = 72
"""No more bars than this: each can still be hit with a mouse."""
FEWEST = 12
HEIGHT, GAP = 100.0, 0.2
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
UNITS = (
    (MINUTE, "minute"), (5 * MINUTE, "5 minutes"), (15 * MINUTE, "15 minutes"), (HOUR, "hour"),
    (3 * HOUR, "3 hours"), (6 * HOUR, "6 hours"), (DAY, "day"), (7 * DAY, "week"), (30 * DAY, "30 days"),
    (365 * DAY, "year"),
)  # fmt: skip
MOST_PEOPLE = 8
Times = Sequence[tuple[datetime, bool]]


@dataclass(frozen=True)
class Bar:
    """One piece of time; ``x``, ``y`` and heights in the SVG's own units, ``bad`` of ``count``."""

    start: datetime
    end: datetime
    count: int
    bad: int
    x: float
    height: float
    bad_height: float
    query: str
    said: str

    @property
    def y(self) -> float:
        return HEIGHT - self.height

    @property
    def bad_y(self) -> float:
        return HEIGHT - self.bad_height

    @property
    def good(self) -> int:
        return self.count - self.bad


@dataclass(frozen=True)
class Timeline:
    """Events per ``unit``, the oldest first."""

    unit: str
    bars: list[Bar] = field(default_factory=list)

    @property
    def most(self) -> int:
        return max((bar.count for bar in self.bars), default=0)

    @property
    def width(self) -> int:
        return max(len(self.bars), 1)

    @property
    def marks(self) -> list[str]:
        """Times under the axis: its beginning, its middle and its end."""
        if not self.bars:
            return []
        told = [self.bars[0].start, self.bars[len(self.bars) // 2].start, self.bars[-1].end]
        return [_mark(one, self.unit) for one in told]

    @property
    def filled(self) -> list[Bar]:
        """Those with something in them, for the table."""
        return [bar for bar in self.bars if bar.count]

    @property
    def told(self) -> str:
        """The chart in a sentence."""
        highest = max(self.bars, key=lambda bar: bar.count, default=None)
        if highest is None or not highest.count:
            return "No events."
        total, bad = sum(bar.count for bar in self.bars), sum(bar.bad for bar in self.bars)
        return (
            f"{total} events, {bad} of them refused or failed. Most in one {self.unit}: "
            f"{highest.count}, from {_mark(highest.start, self.unit)}."
        )


def timeline(asked: Asked, told: Summary) -> Timeline:
    """The bars of a summary, over the time it spans; each leads to its piece of time."""
    if not told.times:
        return Timeline("hour")
    first, last = told.times[-1][0], told.times[0][0]
    size, unit = _unit(last - first)
    start = _floor(first, size)
    number = (last - start) // size + 1
    counts, bad = _counted(told.times, start, size, number)
    top = max(counts)
    return Timeline(unit, [_bar(asked, start, size, i, counts[i], bad[i], top) for i in range(number)])


def _unit(long: timedelta) -> tuple[timedelta, str]:
    return next(((size, word) for size, word in UNITS if long / size <= BARS - 1), UNITS[-1])


def _floor(at: datetime, size: timedelta) -> datetime:
    """The last whole piece of time before then, counted from local midnight of its day."""
    local = timezone.localtime(at)
    day = local.replace(hour=0, minute=0, second=0, microsecond=0)
    floor = day if size >= DAY else day + (local - day) // size * size
    return floor.astimezone(UTC)  # from here on time goes on evenly, also where clocks are put back


def _counted(times: Times, start: datetime, size: timedelta, number: int) -> tuple[list[int], list[int]]:
    counts, bad = [0] * number, [0] * number
    for at, is_bad in times:
        index = min(max((at - start) // size, 0), number - 1)
        counts[index] += 1
        bad[index] += is_bad
    return counts, bad


def _bar(asked: Asked, start: datetime, size: timedelta, index: int, count: int, bad: int, top: int) -> Bar:
    begins, ends = start + index * size, start + (index + 1) * size
    query = asked.but(on="", since=_written(begins), until=_written(ends)).query()
    said = f"{_mark(begins, '')}: {count} event{'' if count == 1 else 's'}"
    said += f", {bad} refused or failed" if bad else ""
    return Bar(begins, ends, count, bad, index + GAP / 2, _high(count, top), _high(bad, top), query, said)


def _high(count: int, top: int) -> float:
    """Nothing for none, and something to see for one."""
    return round(max(count / top * HEIGHT, 2.5), 2) if count else 0.0


def _written(at: datetime) -> str:
    return timezone.localtime(at).replace(tzinfo=None).isoformat(timespec="minutes")


def _mark(at: datetime, unit: str) -> str:
    long = unit in ("day", "week", "30 days", "year")
    return date_format(timezone.localtime(at), "j M Y" if long else "j M, H:i")


@dataclass(frozen=True)
class Person:
    """One who was refused; ``share`` of the one who was refused most, in percent."""

    name: str
    count: int
    share: float
    query: str


def refusals(asked: Asked, told: Summary) -> list[Person]:
    """Who was refused most often, the first ones."""
    most = told.refused.most_common(MOST_PEOPLE)
    return [
        Person(who, count, round(count / most[0][1] * 100, 2), asked.but(who=who, outcome="refused").query())
        for who, count in most
    ]
