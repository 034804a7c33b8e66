"""Whether this process lives, and whether everything it needs is there; for load balancers and people."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime

from django.conf import settings
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from sandboxes.engine import get_engine
from sandboxes.engine.base import EngineError
from sandboxes.lifecycle import guard
from sandboxes.models import Lease

log = logging.getLogger(__name__)

FINE = "ok"
KEPT = 1.0
LATE = 15.0
"""Seconds in which the loop begins another round, however hurried it is: one may wait for what it began."""
_lock = threading.Lock()
_kept: tuple[float, dict[str, str]] = (0.0, {})
_missing: set[str] = set()


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """Database, migrations, engine and loop, each "ok" or a reason; 503 unless all are.

    Asked anew at most once a second, so that nobody can drive the engine with it. The log tells
    of a change, not of every time that somebody asks.
    """
    found = checked()
    reasons = [why for why in found.values() if why != FINE]
    response = JsonResponse(
        {"ready": not reasons, "checks": found, "reasons": reasons, "network": network()},
        status=503 if reasons else 200,
    )
    response._has_been_logged = True  # type: ignore[attr-defined]  # Django's word for: no ERROR of yours
    return response


def checked() -> dict[str, str]:
    """The checks' words, from the last second or new."""
    global _kept
    with _lock:
        at, found = _kept
        if not found or time.monotonic() - at > KEPT:
            found = {name: check() for name, check in CHECKS.items()}
            _kept = (time.monotonic(), found)
            tell(found)
        return found


def tell(found: dict[str, str]) -> None:
    """Say in the log what is missing, once, and once that nothing is any more."""
    global _missing
    before, _missing = _missing, {name for name, word in found.items() if word != FINE}
    if _missing and _missing != before:
        log.warning("Not ready: %s", " ".join(word for word in found.values() if word != FINE))
    elif before and not _missing:
        log.warning("Ready again.")


def database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return "The database does not answer."
    return FINE


def migrations() -> str:
    try:
        executor = MigrationExecutor(connection)
        waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except Error:
        return "Whether migrations are missing cannot be told: the database does not answer."
    return f"{len(waiting)} migrations have not run: manage.py migrate." if waiting else FINE


def engine() -> str:
    try:
        get_engine().ping()
    except EngineError:
        return "The engine does not answer."
    except Exception:
        return "The engine cannot be used."
    return FINE


def network() -> str:
    """Whether the network of sandboxes with internet is guarded; no reason not to serve the others."""
    try:
        seen = guard.seen()
        is_late = seen.at is not None and not seen.is_current
    except Error:
        return "not known: The database does not answer."
    if is_late:
        return f"not known: It was last looked at {seen.at:%Y-%m-%d %H:%M:%S} UTC."
    return (
        "guarded" if seen.guarded else f"{'not known' if seen.guarded is None else 'not guarded'}: {seen.why}"
    )


def loop() -> str:
    """The cleanup loop's last round, not older than three intervals (or LATE) and without an error."""
    try:
        report = Lease.objects.filter(name="cleanup").values_list("report", flat=True).first()
    except Error:
        why = "migrations have not run" if database() == FINE else "the database does not answer"
        return f"Whether the cleanup loop runs cannot be told: {why}."
    at = last_round(report or {})
    if at is None:
        return "The cleanup loop has not run yet."
    age = (timezone.now() - at).total_seconds()
    if age > max(3 * settings.SANDBOX_CLEANUP_INTERVAL, LATE):
        return f"The cleanup loop's last round was {age:.0f} s ago."
    return "The cleanup loop's last round failed." if (report or {}).get("error") else FINE


def last_round(report: dict[str, object]) -> datetime | None:
    """When the last round ended, or None."""
    try:
        at = parse_datetime(str(report.get("at", "")))
    except ValueError:
        return None
    return at if at is None or timezone.is_aware(at) else timezone.make_aware(at)


CHECKS: dict[str, Callable[[], str]] = {
    "database": database,
    "migrations": migrations,
    "engine": engine,
    "cleanup": loop,
}
