"""Triggers that make the trail append-only in the database itself, whoever asks: ORM, SQL or another tool.

SQLite has no owner to keep out and PostgreSQL's may drop a trigger: what happens then shows in the
hash chain, and ``missing`` tells that triggers are not as they should be.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction

TABLES: dict[str, tuple[str, ...]] = {
    "sandboxes_event": ("id", "engine_key"),
    "sandboxes_seal": ("number", "event_id"),
}
"""Which tables, and their unique columns: what a REPLACE could be used on."""
WORD = "The audit trail is append-only."

_FUNCTION = f"""
CREATE OR REPLACE FUNCTION sandboxes_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND current_setting('sandboxes.pruning', true) = 'yes' THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION '{WORD}' USING ERRCODE = 'integrity_constraint_violation';
END $$
"""


def _sqlite(table: str, unique: tuple[str, ...]) -> dict[str, str]:
    """By name. A REPLACE deletes without a trigger: it is refused before it begins."""
    refuse = f"BEGIN SELECT RAISE(ABORT, '{WORD}'); END"
    taken = " OR ".join(
        f"(NEW.{name} IS NOT NULL AND EXISTS (SELECT 1 FROM {table} WHERE {name} = NEW.{name}))"
        for name in unique
    )
    bodies = {
        "no_update": f"BEFORE UPDATE ON {table} {refuse}",
        "no_delete": f"BEFORE DELETE ON {table} {refuse}",
        "no_replace": f"BEFORE INSERT ON {table} WHEN {taken} {refuse}",
    }
    return {f"{table}_{name}": f"CREATE TRIGGER {table}_{name} {body}" for name, body in bodies.items()}


def _postgresql(table: str) -> dict[str, str]:
    """By name. ALWAYS: also where a replica's role switches ordinary triggers off."""
    each = {
        "no_change": f"BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW",
        "no_truncate": f"BEFORE TRUNCATE ON {table} FOR EACH STATEMENT",
    }
    return {
        f"{table}_{name}": f"CREATE TRIGGER {table}_{name} {when} EXECUTE FUNCTION sandboxes_append_only()"
        for name, when in each.items()
    }


def install(connection: Any) -> None:
    """Make the triggers that are not there as they should be; the tables are there."""
    if not missing(connection):
        return
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        uninstall(connection)
        if connection.vendor == "postgresql":
            cursor.execute(_FUNCTION)
        for table, unique in TABLES.items():
            ours = _sqlite(table, unique) if connection.vendor == "sqlite" else _postgresql(table)
            for name, sql in ours.items():
                cursor.execute(sql)
                if connection.vendor == "postgresql":
                    cursor.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


def uninstall(connection: Any) -> None:
    """Drop them, for a migration back or inside a transaction that makes them again."""
    with connection.cursor() as cursor:
        for table, unique in TABLES.items():
            if connection.vendor == "sqlite":
                for name in _sqlite(table, unique):
                    cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
            else:
                for name in _postgresql(table):
                    cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")


def missing(connection: Any) -> list[str]:
    """The names of triggers that are not there, were switched off or say something else."""
    found = _found_sqlite(connection) if connection.vendor == "sqlite" else _found_postgresql(connection)
    wanted: dict[str, str] = {}
    for table, unique in TABLES.items():
        if connection.vendor == "sqlite":
            wanted |= _sqlite(table, unique)
        else:
            wanted |= dict.fromkeys(_postgresql(table), "A")
    return [name for name, as_it_should in wanted.items() if found.get(name) != as_it_should]


def _found_sqlite(connection: Any) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        return dict(cursor.fetchall())


def _found_postgresql(connection: Any) -> dict[str, str]:
    """A: fires always; only those that call our function as we wrote it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.tgname, t.tgenabled::text, p.prosrc"
            " FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
            " WHERE t.tgrelid = ANY(ARRAY(SELECT to_regclass(name) FROM unnest(%s::text[]) AS name))",
            [list(TABLES)],
        )
        body = _FUNCTION.partition("$$")[2].rpartition("$$")[0]
        return {name: enabled for name, enabled, source in cursor.fetchall() if source == body}


@contextmanager
def pruning(connection: Any) -> Iterator[None]:
    """In the transaction we are in, old rows may be deleted: the one sanctioned way (lifecycle.archive)."""
    if connection.vendor == "sqlite":
        uninstall(connection)
        yield
        install(connection)
        return
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL sandboxes.pruning = 'yes'")
        yield
        cursor.execute("SET LOCAL sandboxes.pruning = 'no'")
