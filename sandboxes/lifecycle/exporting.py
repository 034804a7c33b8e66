"""The trail taken along: a part of it as CSV, JSON Lines or a signed bundle, a piece at a time.

All three go through the trail once, in the order of its seals, and hold no more than one piece in
memory. Each is on record twice: that it was asked for, and what came of it with how many events.
"""

from __future__ import annotations

import csv
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sandboxes import cells
from sandboxes.models import Event, Outcome, Seal

from . import audit, bundles, chain, event_words
from .event_filters import Asked
from .feeds import lines

WINDOW = 10_000
"""Seals that are looked at together; of their events only the ids are held."""
PIECE = 500
"""Events that are in memory at a time."""
Numbers = list[tuple[int, int]]
Numbered = list[tuple[int, Event]]
ACTION = "audit.export"


@dataclass
class Export:
    """One export under way. ``count`` grows; ``upto`` is the last seal it looks at."""

    asked: Asked
    format: str
    origin: audit.Origin
    upto: int
    count: int = 0


@dataclass(frozen=True)
class Format:
    """How an export is written: its file's ending, its type, and who makes bytes of it."""

    ending: str
    type: str
    write: Callable[[Export], Iterator[bytes]]


def begin(asked: Asked, name: str, origin: audit.Origin) -> Iterator[bytes]:
    """Put on record that it was asked for, and return its bytes. Everything until now is in it.

    Whoever takes the bytes has to exhaust or close them: then what came of it goes on record.
    """
    chain.seal()
    export = Export(asked, name, origin, chain.newest())
    request = audit.record(ACTION, origin, outcome=Outcome.REQUESTED, operation=secrets.token_hex(8),
                           detail=_told(export))  # fmt: skip
    assert request is not None
    return _recorded(export, request)


def _recorded(export: Export, request: Event) -> Iterator[bytes]:
    """The bytes, and then the outcome: also where whoever takes them goes away, or it breaks."""
    outcome, reason = Outcome.FAILED, "The export broke."
    try:
        yield from FORMATS[export.format].write(export)
        outcome, reason = Outcome.OK, ""
    except GeneratorExit:
        reason = "Whoever asked for it went away before its end."
        raise
    finally:
        audit.record(ACTION, export.origin, outcome=outcome, reason=reason, operation=request.operation,
                     detail={**_told(export), "count": export.count},
                     duration=audit.since(request.at))  # fmt: skip


def _told(export: Export) -> dict[str, Any]:
    return {"format": export.format, "part": export.asked.query() or "all"}


# -- which events -------------------------------------------------------------------------------


def numbered(export: Export) -> Iterator[Numbers]:
    """Numbers and ids of the events, in order, a piece at a time; counts them."""
    number = (Seal.objects.order_by("number").values_list("number", flat=True).first() or 1) - 1
    while number < export.upto:
        end = min(number + WINDOW, export.upto)
        found = _window(export.asked, number, end)
        for start in range(0, len(found), PIECE):
            piece = found[start : start + PIECE]
            export.count += len(piece)
            yield piece
        number = end


def _window(asked: Asked, after: int, upto: int) -> Numbers:
    """Those that match, between two numbers."""
    rows = Seal.objects.filter(number__gt=after, number__lte=upto).order_by("number")
    seals = list(rows.values_list("number", "event_id"))
    if asked.is_all or not seals:
        return seals
    ids = [pk for _, pk in seals]
    matching = asked.scan().filter(pk__gte=min(ids), pk__lte=max(ids))
    found = set(matching.values_list("pk", flat=True))
    return [one for one in seals if one[1] in found]


def events(export: Export) -> Iterator[Numbered]:
    """The events with their numbers."""
    for piece in numbered(export):
        found = Event.objects.in_bulk([pk for _, pk in piece])
        yield [(number, found[pk]) for number, pk in piece if pk in found]


# -- how they are written -----------------------------------------------------------------------


class _Lines(list[str]):
    """A file for the csv module that keeps what is written."""

    write = list.append


HEADS = ("number", *(field.attname for field in lines.FIELDS), "sentence")


def as_csv(export: Export) -> Iterator[bytes]:
    """For spreadsheets: every column and the plain sentence; nothing in it is run."""
    out = _Lines()
    writer = csv.writer(out)
    writer.writerow(HEADS)
    yield ("\ufeff" + "".join(out)).encode()
    for piece in events(export):
        out.clear()
        writer.writerows(_cells(number, event) for number, event in piece)
        yield "".join(out).encode()


def _cells(number: int, event: Event) -> list[Any]:
    values = lines.columns(event).values()
    return [number, *(inert(value) for value in values), inert(event_words.sentence(event))]


def inert(value: Any) -> Any:
    """A cell no spreadsheet runs, in one line: what cannot be seen is written as its number."""
    if value is None or isinstance(value, int):
        return value
    text = json.dumps(value, sort_keys=True, ensure_ascii=False) if isinstance(value, dict) else str(value)
    if not text.isprintable():
        text = "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)
    return cells.safe(text)


def as_jsonl(export: Export) -> Iterator[bytes]:
    """One event a line, whole: ``feeds.lines`` reads it back to the same bytes."""
    for piece in events(export):
        yield "".join(f"{lines.line(event)}\n" for _, event in piece).encode()


def as_bundle(export: Export) -> Iterator[bytes]:
    """See ``bundles``; it reads the rows as they count for their seals."""
    return bundles.write(export.asked.told(), export.origin.name, numbered(export))


FORMATS = {
    "csv": Format("csv", "text/csv; charset=utf-8", as_csv),
    "jsonl": Format("jsonl", "application/x-ndjson", as_jsonl),
    "bundle": Format("zip", "application/zip", as_bundle),
}
