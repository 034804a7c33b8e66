"""Emptying the database between tests: only what has rows, and nothing that every test needs again.

Django's own way empties every table and then makes each content type and permission anew, which took
longer than most tests; here those two tables are left alone.
"""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from django.db import OperationalError, connection, transaction

from sandboxes.models import guards

KEPT = frozenset({"django_content_type", "auth_permission"})
TRIES = 10


def empty(*_: Any) -> None:
    """Again where it met the last words of a socket that is closing: PostgreSQL ends one of the two."""
    for left in reversed(range(TRIES)):
        try:
            return _once()
        except OperationalError:
            if not left:
                raise
            time.sleep(0.2)
    return None


def _once() -> None:
    """In any order: foreign keys are looked at when the transaction ends."""
    with transaction.atomic(), connection.cursor() as cursor:
        names = filled()
        guarded = not guards.TABLES.keys().isdisjoint(names)
        if guarded:  # the one thing the trail's triggers would rightly refuse
            guards.uninstall(connection)
        for name in names:
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(name)}")
        if guarded:
            guards.install(connection)


def filled() -> set[str]:
    """The tables that have rows, but those that every test needs."""
    with connection.cursor() as cursor:
        cursor.execute(_question(connection.vendor))
        return {name for (name,) in cursor.fetchall()}


@cache
def _question(vendor: str) -> str:
    """Asks all of them at once."""
    known = connection.introspection.django_table_names(only_existing=True, include_views=False)
    names = sorted(set(known) - KEPT)
    return " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {name})" for name in names)
