"""The hash chain over the trail: every event gets a seal, which holds all seals before it.

Events are written in the transaction of their change and wait for nobody. A moment later whoever
seals takes what was committed meanwhile, in batches, so that writers never queue for the chain's end.
An id that commits late is simply found a round later: an event without a seal is next.

A seal's digest is SHA-256 over the digest before it (hex) and the event's line: JSON without spaces,
keys in order, in ASCII, of every column that holds something, and of the seal's number and time. What
is empty is left out, so that columns of later versions change no digest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import JSONField
from django.utils import timezone

from sandboxes.models import Event, Seal

GENESIS = "0" * 64
"""What stands before the first digest."""
BATCH = 2000
BEHIND = 2000
"""So many ids back it is looked for late ones in every round; further back only in a full one."""
LOCK = 0x7365616C

COLUMNS = tuple(str(field.column) for field in Event._meta.concrete_fields)
DATA = frozenset(field.column for field in Event._meta.concrete_fields if isinstance(field, JSONField))
_SEALED = (*COLUMNS, "number", "sealed_at")
_ORDER = tuple((name, f'"{name}":', _SEALED.index(name)) for name in sorted(_SEALED))
_ID, _AT, _KEY = (COLUMNS.index(name) for name in ("id", "at", "engine_key"))
Row = Sequence[Any]


class Link(NamedTuple):
    """One link as it stands in the database. ``text`` is the event's line, empty where it is gone.

    ``at`` is its own time; ``is_told`` whether another told it, so that its time is not ours.
    """

    number: int
    event_id: int
    digest: str
    sealed_at: str
    text: str
    at: str = ""
    is_told: bool = False


def moment(value: datetime) -> str:
    """A time as ISO 8601 in UTC with microseconds; one without a zone is SQLite's, in UTC."""
    if value.tzinfo is not None and value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    return f"{value.isoformat(timespec='microseconds')[:26]}Z"


encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
"""The one text that stands for data."""


def text(row: Row, at: str, number: int, sealed_at: str) -> str:
    """An event's line: what ``encode`` makes of its columns, put together by hand, which is quicker."""
    values = (*row[:_AT], at, *row[_AT + 1 :], number, sealed_at)
    parts = []
    for name, key, index in _ORDER:
        value = values[index]
        if value is None or value == "" or value == "{}":
            continue
        if name in DATA:
            parts.append(key + encode(json.loads(value)))
        elif type(value) is str:
            parts.append(key + encode_basestring_ascii(value))
        else:
            parts.append(f"{key}{value}")
    return "{" + ",".join(parts) + "}"


def digest(before: str, line: str) -> str:
    """The digest of a seal, after the digest of the one before."""
    return sha256(f"{before}{line}".encode()).hexdigest()


# -- sealing ------------------------------------------------------------------------------------


def seal(full: bool = False) -> int:
    """Seal what has none; returns how many. ``full`` looks through the whole trail for late ones.

    Safe beside other sealers: one at a time goes on from the last seal.
    """
    done = 0
    while batch := _seal_batch(full):
        done += batch
        if batch < BATCH:
            break
    return done


def _seal_batch(full: bool) -> int:
    if not full and not _unsealed(1, _floor()):
        return 0
    with transaction.atomic(), connection.cursor() as cursor:
        _alone(cursor)
        last = Seal.objects.order_by("-number").values_list("number", "digest").first() or (0, GENESIS)
        rows = _unsealed(BATCH, 0 if full else _floor())
        seals = list(_sealed(rows, *last, timezone.now()))
        Seal.objects.bulk_create(seals)
    return len(seals)


def _alone(cursor: Any) -> None:
    """Wait until nobody else seals; on SQLite the transaction itself (IMMEDIATE) does that."""
    if connection.vendor == "postgresql":
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


def _floor() -> int:
    last = Seal.objects.order_by("-event_id").values_list("event_id", flat=True).first() or 0
    return max(last - BEHIND, 0)


def _unsealed(most: int, floor: int) -> list[Row]:
    names = ", ".join(f"e.{name}" for name in COLUMNS)
    sql = (
        f"SELECT {names} FROM sandboxes_event e WHERE e.id > %s AND NOT EXISTS"
        " (SELECT 1 FROM sandboxes_seal s WHERE s.event_id = e.id) ORDER BY e.id LIMIT %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [floor, most])
        found: list[Row] = cursor.fetchall()
    return found


def _sealed(rows: list[Row], number: int, before: str, now: datetime) -> Iterator[Seal]:
    at = moment(now)
    for row in rows:
        number += 1
        before = digest(before, text(row, moment(row[_AT]), number, at))
        yield Seal(number=number, event_id=row[_ID], digest=before, sealed_at=now)


# -- reading ------------------------------------------------------------------------------------


def links(after: int = 0, upto: int | None = None, piece: int = 2000) -> Iterator[Link]:
    """The links in order, from behind this number; a piece at a time in memory and in a transaction."""
    names = ", ".join(f"e.{name}" for name in COLUMNS)
    sql = (
        f"SELECT s.number, s.event_id, s.digest, s.sealed_at, {names} FROM sandboxes_seal s"
        " LEFT JOIN sandboxes_event e ON e.id = s.event_id"
        " WHERE s.number > %s AND s.number <= %s ORDER BY s.number LIMIT %s"
    )
    most = newest() if upto is None else upto
    while after < most:
        with connection.cursor() as cursor:
            cursor.execute(sql, [after, most, piece])
            rows = cursor.fetchall()
        if not rows:
            return
        yield from _linked(rows)
        after = rows[-1][0]


def picked(numbers: Sequence[int]) -> Iterator[Link]:
    """The links with these numbers, in order; few enough of them for one query."""
    names, marks = ", ".join(f"e.{name}" for name in COLUMNS), ", ".join(["%s"] * len(numbers))
    sql = (
        f"SELECT s.number, s.event_id, s.digest, s.sealed_at, {names} FROM sandboxes_seal s"
        f" LEFT JOIN sandboxes_event e ON e.id = s.event_id WHERE s.number IN ({marks}) ORDER BY s.number"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, list(numbers))
        rows = cursor.fetchall()
    yield from _linked(rows)


def _linked(rows: list[Row]) -> Iterator[Link]:
    told: dict[datetime, str] = {}  # those of one batch have one time
    for number, event_id, known, sealed_at, *row in rows:
        sealed = told.get(sealed_at) or told.setdefault(sealed_at, moment(sealed_at))
        if row[_ID] is None:
            yield Link(number, event_id, known, sealed, "")
            continue
        at = moment(row[_AT])
        yield Link(number, event_id, known, sealed, text(row, at, number, sealed), at, row[_KEY] is not None)


def newest() -> int:
    """The number of the last seal; 0 without one."""
    return Seal.objects.order_by("-number").values_list("number", flat=True).first() or 0
