"""Nobody changes or deletes what is on record: ORM, SQL, the admin and deleting a user, on both databases."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction

from sandboxes.lifecycle import audit
from sandboxes.models import Event, Sandbox, Seal, User, guards

pytestmark = pytest.mark.django_db


@pytest.fixture
def event(alice):
    event = audit.record("user.sign_in", audit.Origin.of(alice, "192.0.2.1"))
    Seal.objects.create(number=1, event_id=event.pk, digest="0" * 64, sealed_at=event.at)
    return event


def refused(sql, *values):
    refusal = pytest.raises(IntegrityError, match="append-only")
    with refusal, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, values)


def unchanged(event):
    assert Event.objects.filter(pk=event.pk, action="user.sign_in", actor_name="alice").count() == 1
    assert Seal.objects.filter(number=1, event_id=event.pk, digest="0" * 64).count() == 1


@pytest.mark.parametrize(("table", "column"), [("sandboxes_event", "id"), ("sandboxes_seal", "event_id")])
def test_sql_can_neither_update_nor_delete_a_line_or_its_seal(event, table, column):
    refused(f"UPDATE {table} SET {column} = {column} WHERE {column} = %s", event.pk)
    refused(f"DELETE FROM {table} WHERE {column} = %s", event.pk)
    refused(f"DELETE FROM {table}")
    unchanged(event)


def test_a_line_cannot_be_replaced(event):
    more = "INSERT INTO sandboxes_event ({0}) SELECT {1} FROM sandboxes_event WHERE id = %s"
    names = [field.column for field in Event._meta.concrete_fields]
    values = ["'mallory'" if name == "actor_name" else name for name in names]
    sql = more.format(", ".join(names), ", ".join(values))
    if connection.vendor == "sqlite":
        refused(sql.replace("INSERT", "INSERT OR REPLACE", 1), event.pk)
    upsert = f"{sql} ON CONFLICT (id) DO UPDATE SET actor_name = 'mallory'"
    refused(upsert, event.pk)
    unchanged(event)


def test_a_seen_line_cannot_be_replaced_by_its_key(db):
    seen = audit.record("engine.exit", audit.ENGINE, engine_key="die-1")
    assert audit.record("engine.exit", audit.SYSTEM, engine_key="die-1") is None
    if connection.vendor == "sqlite":
        refused(
            "INSERT OR REPLACE INTO sandboxes_event (at, action, outcome, operation, actor_kind, actor_name,"
            " actor_role, on_behalf, user_agent, request_id, place_id, place_name, place_role, target_kind,"
            " target_id, target_name, sandbox_id, sandbox_name, owner_name, reason, changes, detail,"
            " engine_key) SELECT at, action, outcome, operation, 'user', actor_name, actor_role, on_behalf,"
            " user_agent, request_id, place_id, place_name, place_role, target_kind, target_id, target_name,"
            " sandbox_id, sandbox_name, owner_name, reason, changes, detail, engine_key FROM sandboxes_event"
        )
    assert Event.objects.get(engine_key="die-1").pk == seen.pk


@pytest.mark.django_db(transaction=True)
def test_the_tables_cannot_be_emptied_at_once(event):
    if connection.vendor == "postgresql":
        refused("TRUNCATE sandboxes_event")
        refused("TRUNCATE sandboxes_seal CASCADE")
        refused("SET LOCAL session_replication_role = replica; DELETE FROM sandboxes_event")
    refused("DELETE FROM sandboxes_event")
    unchanged(event)


def test_the_orm_refuses_as_well(event):
    for wrong in (
        lambda: Event.objects.update(actor_name="mallory"),
        lambda: Event.objects.all().delete(),
        lambda: Event.objects.bulk_update([event], ["actor_name"]),
        event.save,
        event.delete,
    ):
        with pytest.raises(TypeError, match="append-only"), transaction.atomic():
            wrong()
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Event.objects.filter(pk=event.pk)._raw_delete(using="default")
    unchanged(event)


def test_deleting_a_user_and_a_sandbox_takes_nothing_from_the_record(event, alice, running):
    name, many = running.name, Event.objects.count()
    Sandbox.objects.filter(pk=running.pk).delete()
    User.objects.filter(pk=alice.pk).delete()
    assert Event.objects.count() == many
    assert Event.objects.filter(sandbox_name=name, owner_name="alice", actor_name="alice").exists()
    unchanged(event)


def test_triggers_that_are_gone_are_named_and_made_again(event):
    assert guards.missing(connection) == []
    with transaction.atomic():
        guards.uninstall(connection)
        gone = guards.missing(connection)
        guards.install(connection)
    assert {name.split("_no_")[0] for name in gone} == set(guards.TABLES)
    assert guards.missing(connection) == []


def test_a_trigger_that_says_something_else_counts_as_missing(event):
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("DROP TRIGGER sandboxes_event_no_delete")
            cursor.execute(
                "CREATE TRIGGER sandboxes_event_no_delete BEFORE DELETE ON sandboxes_event"
                " BEGIN SELECT 1; END"
            )
            expected = ["sandboxes_event_no_delete"]
        else:
            cursor.execute("ALTER TABLE sandboxes_event DISABLE TRIGGER sandboxes_event_no_change")
            expected = ["sandboxes_event_no_change"]
        assert guards.missing(connection) == expected
        guards.install(connection)
    assert guards.missing(connection) == []
    refused("DELETE FROM sandboxes_event")
