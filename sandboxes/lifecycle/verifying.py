"""Whether the trail is what it was: recomputes every digest and names what was changed, put in or taken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Exists, OuterRef

from sandboxes.models import Event, Outcome, Seal, guards

from . import chain
from .chain import GENESIS, Link

LATE = timedelta(minutes=10)
"""An event is sealed within seconds; so much later, and while others were, it was put in afterwards."""
MOST = 20
"""So many findings are told one by one; the rest is counted."""
PRUNE = "audit.prune"


@dataclass(frozen=True)
class Start:
    """Where the chain begins: behind this number, after this digest. A prune's tombstone moves it."""

    number: int = 0
    digest: str = GENESIS


@dataclass
class Verdict:
    """What was found. ``findings`` are sentences, the first broken row first; empty: it is whole."""

    start: Start = field(default_factory=Start)
    number: int = 0
    digest: str = GENESIS
    count: int = 0
    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    broken: int = 0

    @property
    def is_whole(self) -> bool:
        return not self.broken

    def tell(self, sentence: str) -> None:
        self.broken += 1
        if len(self.findings) < MOST:
            self.findings.append(sentence)


def start() -> Start:
    """Where the last prune says that the chain begins now."""
    rows = Event.objects.filter(action=PRUNE, outcome=Outcome.OK).values_list("detail", flat=True)
    ends = [(one["last"], one["digest"]) for one in rows if isinstance(one.get("last"), int)]
    return Start(*max(ends)) if ends else Start()


def verify() -> Verdict:
    """Read the whole chain once; memory stays the same however long it is. Seals nothing."""
    found = Verdict(start=start())
    _check_guards(found)
    _check_unsealed(found)
    _Walk(found).run()
    return found


def _check_guards(found: Verdict) -> None:
    for name in guards.missing(connection):
        found.tell(f"The database's guard {name} is missing or was changed.")


def _check_unsealed(found: Verdict) -> None:
    """An event that the sealer passed by: it was not there when those after it were sealed."""
    last = Seal.objects.order_by("-number").values_list("sealed_at", flat=True).first()
    if last is None:
        return
    seal = Exists(Seal.objects.filter(event_id=OuterRef("pk")))
    old = Event.objects.filter(~seal, at__lt=last - LATE, engine_key=None).order_by("id")
    for pk, at, action in old.values_list("pk", "at", "action")[:MOST]:
        found.tell(f"Event {pk} ({action}, {chain.moment(at)}) has no seal, though it is old.")


class _Walk:
    """One way along the chain."""

    def __init__(self, found: Verdict) -> None:
        self.found = found
        found.number, found.digest = found.start.number, found.start.digest
        self._sure = True  # whether the digest before is known
        self._batch = self._oldest = ""

    def run(self) -> None:
        left_over = Seal.objects.filter(number__lte=self.found.start.number).count()
        if left_over:
            self.found.notes.append(f"{left_over} pruned events are still to be deleted; prune again.")
        for link in chain.links(self.found.start.number):
            self._gap(link)
            self._check(link)
            self.found.number, self.found.digest = link.number, link.digest
            self.found.count += 1

    def _gap(self, link: Link) -> None:
        """Numbers that are not there: their seals were deleted."""
        first, last = self.found.number + 1, link.number - 1
        if first <= last:
            which = f"Number {first} is" if first == last else f"Numbers {first} to {last} are"
            self.found.tell(f"{which} missing: deleted with their seals.")
            self._sure = False

    def _check(self, link: Link) -> None:
        if not link.text:
            self.found.tell(f"Number {link.number} is broken: event {link.event_id} was deleted.")
        elif self._sure and chain.digest(self.found.digest, link.text) != link.digest:
            self.found.tell(f"Number {link.number} is broken: {told(link)} or its seal was changed.")
        else:
            self._check_time(link)
        self._sure = True

    def _check_time(self, link: Link) -> None:
        """Put in afterwards: old by its own word, and not there when later ones were sealed.

        The engine's events carry the engine's time, which may be older. A clock that was set back
        makes ``sealed_at`` go back, too: then nothing is concluded.
        """
        if link.sealed_at != self._batch:
            went_on = self._batch and link.sealed_at > self._batch
            self._oldest = chain.moment(datetime.fromisoformat(self._batch) - LATE) if went_on else ""
            self._batch = link.sealed_at
        if link.at < self._oldest and not link.is_told:
            when = f"sealed {link.sealed_at}"
            self.found.tell(f"Number {link.number} was put in later than it says: {told(link)}, {when}.")


def told(link: Link) -> str:
    """A line in a few words."""
    line = json.loads(link.text)
    who = line.get("actor_name") or line.get("actor_kind", "")
    return f"event {link.event_id} ({who} {line.get('action')}, {link.at})"


def unsealed() -> int:
    """How many events wait for a seal now, of the newest."""
    last = Seal.objects.order_by("-event_id").values_list("event_id", flat=True).first() or 0
    return Event.objects.filter(pk__gt=last).count()


def findings(verdict: Verdict) -> Iterator[str]:
    """All that is to be said of a broken trail, in lines."""
    yield from verdict.findings
    if verdict.broken > len(verdict.findings):
        yield f"... and {verdict.broken - len(verdict.findings)} more."
