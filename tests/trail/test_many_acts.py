"""Row L2 of the bar: twenty people, a mixed run, and a trail that is their own log, in one order, unaltered.

The engine is the one in memory; all above it is the real application, each person's requests in a thread.
``TRAIL_ACTIONS`` says how many acts: 500 in the fast suite, 5,000 with ``make trail``, on both databases.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from contextlib import contextmanager

import pytest
from django.db import IntegrityError, connection, connections, transaction

from sandboxes.lifecycle import actions, audit, chain, exporting, heads, refusals, verifying
from sandboxes.lifecycle.event_filters import Asked
from sandboxes.lifecycle.feeds import lines
from sandboxes.models import Event, Outcome, Sandbox, Seal, User, guards

from .driver import PASSWORD, Person, drive

ACTIONS = int(os.environ.get("TRAIL_ACTIONS", "500"))
PEOPLE = 20
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people(engine, image, settings, monkeypatch):
    monkeypatch.setattr(refusals, "bound", refusals.Bound(burst=10**6))
    monkeypatch.setattr(logging.getLogger("django.request"), "disabled", True)  # thousands of 404 and 422
    settings.SANDBOX_MAX_LIFETIME = 10**7
    if connection.vendor == "sqlite":  # a machine that others keep busy is no fault of the trail
        monkeypatch.setitem(connections.settings["default"]["OPTIONS"], "timeout", 120)
    stranger = User.objects.create_user("stranger")
    theirs = [
        actions.launch(stranger, image, origin=audit.Origin.of(stranger), name=f"theirs-{n}", memory="32m").pk
        for n in range(3)
    ]
    users = [User.objects.create_user(f"person-{n:02}", password=PASSWORD) for n in range(PEOPLE)]
    return [Person(user, image, theirs) for user in users]


class Sealer(threading.Thread):
    """Seals beside those who write, as the audit loop does."""

    def __init__(self):
        super().__init__(daemon=True)
        self.stop, self.error = threading.Event(), None

    def run(self):
        try:
            while not self.stop.wait(0.2):
                chain.seal()
        except Exception as error:
            self.error = error
        finally:
            connections.close_all()


def test_the_trail_is_the_log_of_those_who_acted(people):
    before = Event.objects.order_by("-id").values_list("pk", flat=True).first() or 0
    sealer = Sealer()
    sealer.start()
    wanted = drive(people, ACTIONS // PEOPLE)
    sealer.stop.set()
    sealer.join(60)
    assert sealer.error is None
    assert sum(one.done for one in people) >= ACTIONS
    columns = ("actor_name", "action", "outcome", "request_id")
    found = Counter(Event.objects.filter(pk__gt=before).values_list(*columns))
    assert found - wanted == Counter()
    assert wanted - found == Counter()
    chain.seal(full=True)
    requests_are_answered()
    the_order_is_total()
    tampering_is_refused()
    tampering_behind_the_triggers_is_found()
    an_export_reads_back()


def requests_are_answered():
    """Each operation is one request and one outcome, in that order of the seals."""
    numbers = dict(Seal.objects.values_list("event_id", "number"))
    operations: dict[str, list[tuple[int, str]]] = {}
    for pk, operation, outcome in Event.objects.exclude(operation="").values_list(
        "id", "operation", "outcome"
    ):
        operations.setdefault(operation, []).append((numbers[pk], outcome))
    assert len(operations) > ACTIONS / 5
    for pair in operations.values():
        first, last = sorted(pair)
        assert (first[1], last[1]) == (Outcome.REQUESTED, Outcome.OK)


def the_order_is_total():
    """Numbers without a gap, each event once, every digest as it should be."""
    count = Event.objects.count()
    numbers = list(Seal.objects.order_by("number").values_list("number", flat=True))
    assert numbers == list(range(1, count + 1))
    assert Seal.objects.values("event_id").distinct().count() == count
    verdict = verifying.verify()
    assert verdict.is_whole, verdict.findings
    assert verdict.count == count


def tampering_is_refused():
    """By SQL and by the ORM, on both tables."""
    columns = ", ".join(field.column for field in Event._meta.concrete_fields)
    statements = [
        sql
        for table, key in (("sandboxes_event", "id"), ("sandboxes_seal", "number"))
        for sql in (
            f"UPDATE {table} SET {key} = {key}", f"DELETE FROM {table}",
            f"DELETE FROM {table} WHERE {key} = (SELECT max({key}) FROM {table})",
        )
    ] + ["UPDATE sandboxes_event SET actor_name = 'mallory' WHERE id > 0"]  # fmt: skip
    if connection.vendor == "sqlite":
        one = "FROM sandboxes_event ORDER BY id LIMIT 1"
        statements.append(f"INSERT OR REPLACE INTO sandboxes_event ({columns}) SELECT {columns} {one}")
    else:
        statements += ["TRUNCATE sandboxes_event", "TRUNCATE sandboxes_event, sandboxes_seal CASCADE"]
    count, head = Event.objects.count(), chain.newest()
    for sql in statements:
        refused = pytest.raises(IntegrityError, match="append-only")
        with refused, transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
    for wrong in (Event.objects.all().delete, lambda: Event.objects.update(reason="")):
        with pytest.raises(TypeError, match="append-only"):
            wrong()
    Sandbox.objects.filter(owner__username="person-00").delete()
    User.objects.filter(username="person-00").delete()
    assert (Event.objects.count(), chain.newest()) == (count, head)


def tampering_behind_the_triggers_is_found():
    """Whoever drops the triggers can change rows: the chain names them; a cut end shows beside a head."""
    middle = Seal.objects.values_list("event_id", flat=True).get(number=chain.newest() // 2)
    told = heads.head()
    for sql in (
        f"UPDATE sandboxes_event SET actor_name = 'mallory' WHERE id = {middle}",
        f"DELETE FROM sandboxes_event WHERE id = {middle}",
        f"DELETE FROM sandboxes_seal WHERE event_id = {middle}",
    ):
        with unguarded() as cursor:
            cursor.execute(sql)
            verdict = verifying.verify()
            assert not verdict.is_whole, sql
    with unguarded() as cursor:
        last = f"(SELECT event_id FROM sandboxes_seal WHERE number > {told['number'] - 5})"
        cursor.execute(f"DELETE FROM sandboxes_event WHERE id IN {last}")
        cursor.execute(f"DELETE FROM sandboxes_seal WHERE number > {told['number'] - 5}")
        assert heads.compare(told, verifying.verify()) != []
    assert verifying.verify().is_whole


@contextmanager
def unguarded():
    """Without triggers, as whoever owns the database can have it; afterwards all is as it was."""
    with transaction.atomic(), connection.cursor() as cursor:
        guards.uninstall(connection)
        yield cursor
        transaction.set_rollback(True)


def an_export_reads_back():
    """Exported, emptied, read in again and exported once more: the same bytes, and a chain that holds."""
    data = exported()
    events = [lines.read(line) for line in data.decode().splitlines()]
    seals = list(Seal.objects.order_by("number"))
    with unguarded() as cursor:
        cursor.execute("DELETE FROM sandboxes_event")
        cursor.execute("DELETE FROM sandboxes_seal")
        Event.objects.bulk_create(events, batch_size=500)
        Seal.objects.bulk_create(seals, batch_size=500)
        assert "".join(f"{lines.line(one)}\n" for one in in_order(seals)).encode() == data
        guards.install(connection)
        assert verifying.verify().is_whole


def exported():
    export = exporting.Export(Asked(), "jsonl", audit.SYSTEM, chain.newest())
    return b"".join(exporting.FORMATS["jsonl"].write(export))


def in_order(seals):
    found = Event.objects.in_bulk()
    return [found[seal.event_id] for seal in seals]
