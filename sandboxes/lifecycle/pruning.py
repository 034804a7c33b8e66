"""Retention of the trail: the oldest events go into an archive, a chained tombstone stays in their place.

Steps, each of which may be the last before a crash: 1. the request goes on record  2. the archive is
written, flushed and read again  3. the tombstone goes on record; from then on the chain begins behind
it  4. the old rows are deleted, a piece at a time. What step 4 left is deleted by the next prune.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from django.db import connection, transaction

from sandboxes.models import Event, Outcome, guards

from . import archives, audit, chain, verifying
from .archives import Broken, Span
from .verifying import PRUNE, Start

PIECE = 2000
Say = Callable[[str], None]


@dataclass(frozen=True)
class Pruned:
    """What was done: the span that is in the archive, and the archive's SHA-256."""

    span: Span
    sha256: str


def prune(before: datetime, path: Path, origin: audit.Origin, say: Say = lambda _: None) -> Pruned | None:
    """Archive and delete what happened before then; None when there is nothing.

    Raises Broken or OSError (FileExistsError among them); then the attempt is on record as failed and
    nothing was deleted. A file that an interrupted prune left is used when it is whole and fits.
    """
    chain.seal(full=True)
    sweep(say)
    start = verifying.start()
    last = _last(before, start)
    if last <= start.number:
        return None
    operation = secrets.token_hex(8)
    asked = audit.record(PRUNE, origin, outcome=Outcome.REQUESTED, operation=operation,
                         detail={"before": before.isoformat(), "archive": path.name})  # fmt: skip
    assert asked is not None
    try:
        span = _archive(path, start, last, say)
        found = Pruned(span, archives.fingerprint(path))
    except (Broken, OSError) as error:
        audit.answer(asked, Outcome.FAILED, str(error))
        raise
    _bury(found, path, origin, operation, audit.since(asked.at))
    say(f"The tombstone is on record; {span.count} events are deleted next.")
    sweep(say)
    return found


def _last(before: datetime, start: Start) -> int:
    """The number up to which everything happened before then."""
    sql = (
        "SELECT min(s.number) FROM sandboxes_seal s JOIN sandboxes_event e ON e.id = s.event_id"
        " WHERE s.number > %s AND e.at >= %s"
    )
    at = connection.ops.adapt_datetimefield_value(before)
    with connection.cursor() as cursor:
        cursor.execute(sql, [start.number, at])
        (found,) = cursor.fetchone()
    return chain.newest() if found is None else found - 1


def _archive(path: Path, start: Start, last: int, say: Say) -> Span:
    """Write it; or take the one that is there, if it begins where the chain does and is of this chain."""
    if not path.exists():
        say(f"Writing {path}.")
        return archives.write(path, chain.links(start.number, last), start.number + 1, start.digest)
    span = archives.read(path)
    fits = (span.first, span.before) == (start.number + 1, start.digest) and start.number < span.last <= last
    if not fits or _digest_of(span.last) != span.digest:
        raise FileExistsError(f"{path} exists already and is another archive.")
    say(f"{path} is whole already.")
    return span


def _digest_of(number: int) -> str:
    return next((link.digest for link in chain.links(number - 1, number)), "")


@transaction.atomic
def _bury(found: Pruned, path: Path, origin: audit.Origin, operation: str, duration: int) -> None:
    """The tombstone, and its seal with it: no moment in which the chain does not say where it begins."""
    detail = asdict(found.span) | {"archive": path.name, "sha256": found.sha256}
    audit.record(PRUNE, origin, operation=operation, detail=detail, duration=duration)
    chain.seal(full=True)


def sweep(say: Say = lambda _: None) -> int:
    """Delete the rows that the last tombstone stands for; returns how many were left."""
    last, done = verifying.start().number, 0
    while numbers := _numbers(last):
        _delete(numbers)
        done += len(numbers)
    if done:
        say(f"{done} events are deleted.")
    return done


def _numbers(last: int) -> list[tuple[int, int]]:
    with connection.cursor() as cursor:
        sql = "SELECT number, event_id FROM sandboxes_seal WHERE number <= %s ORDER BY number LIMIT %s"
        cursor.execute(sql, [last, PIECE])
        return list(cursor.fetchall())


def _delete(numbers: list[tuple[int, int]]) -> None:
    """One piece, in the one sanctioned way."""
    with transaction.atomic(), guards.pruning(connection), connection.cursor() as cursor:
        marks = ", ".join(["%s"] * len(numbers))
        cursor.execute(f"DELETE FROM sandboxes_event WHERE id IN ({marks})", [one for _, one in numbers])
        cursor.execute(f"DELETE FROM sandboxes_seal WHERE number IN ({marks})", [one for one, _ in numbers])


def tombstones() -> list[Event]:
    """The prunes on record, the oldest first."""
    return list(Event.objects.filter(action=PRUNE, outcome=Outcome.OK).order_by("id"))


def check(paths: list[Path]) -> list[str]:
    """What is wrong with archives: in themselves, beside their tombstones, and as a row without a gap."""
    wrong: list[str] = []
    known = {str(one.detail.get("sha256")): one.detail for one in tombstones()}
    spans: list[Span] = []
    for path in paths:
        try:
            spans.append(archives.read(path))
        except Broken as error:
            wrong.append(str(error))
            continue
        if spans[-1].last > _known_to(spans) and archives.fingerprint(path) not in known:
            wrong.append(f"{path.name} is not the archive that a tombstone names.")
    return wrong or _gaps(sorted(spans, key=lambda one: one.first))


def _known_to(spans: list[Span]) -> int:
    """Tombstones up to here are in archives themselves."""
    first = min((one.detail["first"] for one in tombstones()), default=1)
    return int(first) - 1


def _gaps(spans: list[Span]) -> list[str]:
    start = verifying.start()
    after = [*((one.first, one.before) for one in spans[1:]), (start.number + 1, start.digest)]
    return [
        f"Numbers {one.last + 1} to {first - 1} are in none of the archives."
        if first != one.last + 1
        else f"The archive that ends at number {one.last} does not fit what follows it."
        for one, (first, digest) in zip(spans, after, strict=True)
        if (first, digest) != (one.last + 1, one.digest)
    ]
