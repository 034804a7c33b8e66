"""Whether the network guard is in place, as seen from inside; without it nothing with "internet" starts.

What was seen last is kept for all processes (the lease row ``guard``). An unknown state is none:
what is not shown to be guarded is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from sandboxes.engine import get_engine
from sandboxes.engine.base import Engine, EngineError, Unreachable, Unsupported
from sandboxes.models import Lease, Network, Sandbox

from .asking import Question
from .paces import Every
from .refusals import Refused

NAME = "guard"
FRESH = timedelta(seconds=60)
"""So long what was seen is believed by whoever starts a sandbox."""
BUSY = timedelta(seconds=120)
"""So old a verdict may be while somebody is on the network: the loop looks once it is not fresh any more."""
QUIET = 600.0
"""Seconds between two looks of the loop while nobody is on the network: each takes a container."""
LATE = timedelta(seconds=QUIET + 60)
"""So old a verdict may be then."""
PATIENCE = 5.0
"""Seconds that a launch form waits for a look."""
SHUT = "Sandboxes with internet are not offered at present: the server's network guard is not in place."


@dataclass(frozen=True)
class Seen:
    """What was seen last: ``guarded`` None means not known, and why stands in ``why``."""

    at: datetime | None = None
    guarded: bool | None = None
    why: str = "Nobody has looked yet."

    @property
    def is_fresh(self) -> bool:
        return self.age is not None and abs(self.age) < FRESH

    @property
    def is_current(self) -> bool:
        """Whether it is as young as the loop keeps it: good to tell people of, not to start anything."""
        return self.age is not None and abs(self.age) < (BUSY if somebody_is_on() else LATE)

    @property
    def age(self) -> timedelta | None:
        return timezone.now() - self.at if self.at else None


def seen() -> Seen:
    """As it is on record."""
    report: dict[str, Any] = Lease.objects.filter(name=NAME).values_list("report", flat=True).first() or {}
    at = parse_datetime(str(report.get("at", "")))
    return Seen(at, report.get("guarded"), str(report.get("why", ""))) if at else Seen()


def look() -> Seen:
    """Look now, from inside, and put it on record. Takes a second; not inside a transaction.

    Raises Unreachable: an engine that does not answer says nothing about its guard.
    """
    return _noted(*_look(get_engine()))


def _noted(guarded: bool | None, why: str) -> Seen:
    found = Seen(timezone.now(), guarded, why)
    report = {"at": found.at.isoformat() if found.at else "", "guarded": guarded, "why": why}
    Lease.objects.update_or_create(
        name=NAME, defaults={"report": report}, create_defaults={"report": report, "until": timezone.now()}
    )
    return found


def _look(engine: Engine) -> tuple[bool | None, str]:
    try:
        reach = engine.reach(settings.SANDBOX_STARTER)
    except Unreachable:
        raise
    except EngineError as error:
        return None, f"It could not be looked at: {error}"
    host = "services of this host" if reach.is_near else "the engine's host, which answers it"
    if reach.host or reach.metadata:
        places = {host: reach.host, "the metadata address": reach.metadata}
        return False, f"A sandbox reaches {' and '.join(one for one, is_so in places.items() if is_so)}."
    where = "this host" if reach.is_near else "the engine's host"
    return True, f"A sandbox reaches neither {where} nor the metadata address."


_asked = Question(_look)


def again() -> None:
    """For the loop: look at its start and now and then, and every minute while somebody is on the network.

    Where the risk was accepted and nobody is, it is not looked at. Raises Unreachable: the next round looks.
    """
    if somebody_is_on():
        is_due = not seen().is_fresh
    else:
        is_due = not settings.SANDBOX_ACCEPT_UNGUARDED_NETWORK and _quiet.is_due()
    try:
        if is_due:
            look()
    except Unreachable:
        _quiet.again()
        raise


_quiet = Every(QUIET)


def somebody_is_on() -> bool:
    """Whether a sandbox that has processes is on the network."""
    return Sandbox.objects.up().filter(network=Network.INTERNET).exists()


def check(sandbox: Sandbox) -> None:
    """Raise Refused for a launch with internet where it is seen not to be guarded.

    What was seen long ago is looked at anew, by one for all who ask; who does not see anything in time
    leaves it to the start itself (``ensure``). Not inside a transaction.
    """
    if not _concerns(sandbox):
        return
    last = seen()
    if not last.is_fresh:
        answer = _asked.answer(0, PATIENCE)
        last = _noted(*answer) if answer else last
    if last.is_fresh and not last.guarded:
        raise Refused("network", f"{SHUT} Choose none, or ask an admin.")


def ensure(sandbox: Sandbox) -> None:
    """Raise EngineError unless it may start: it has no internet, or the guard was seen within a minute."""
    if not _concerns(sandbox):
        return
    last = seen()
    found = last if last.is_fresh else look()
    if not found.guarded:
        raise Unsupported(SHUT, found.why)


def _concerns(sandbox: Sandbox) -> bool:
    return sandbox.network == Network.INTERNET and not settings.SANDBOX_ACCEPT_UNGUARDED_NETWORK
