"""The hash chain: what is tampered with behind the triggers' back is named, on both databases."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from sandboxes.lifecycle import audit, chain, heads, sealing, verifying
from sandboxes.models import Event, Lease, Seal, guards

pytestmark = pytest.mark.django_db
ALICE = audit.Origin("user", 1, "alice", "192.0.2.1", "user", user_agent="Browser", request_id="r-1")


def add(many=1, **facts):
    for number in range(many):
        audit.record("user.profile", ALICE, detail={"b": number, "a": [1, {"z": 1, "y": None}]}, **facts)


@pytest.fixture
def trail(db):
    """Nine events in three batches."""
    for _ in range(3):
        add(3)
        chain.seal()
    return list(Event.objects.order_by("id").values_list("pk", flat=True))


@contextmanager
def unguarded():
    """What somebody does who may drop triggers."""
    with transaction.atomic(), connection.cursor() as cursor:
        guards.uninstall(connection)
        yield cursor.execute
        guards.install(connection)


def findings():
    return verifying.verify().findings


def run(*words):
    out = StringIO()
    call_command("audit", *words, stdout=out, stderr=out)
    return out.getvalue()


def test_what_nobody_touched_is_whole(trail):
    verdict = verifying.verify()
    assert verdict.is_whole
    assert (verdict.count, verdict.number) == (9, 9)
    assert "The trail is whole: 9 events, numbers 1 to 9" in run("verify")


def test_the_order_is_total_and_each_event_has_one_seal(trail):
    assert list(Seal.objects.values_list("number", "event_id")) == list(enumerate(trail, 1))
    assert chain.seal(full=True) == 0


def test_a_line_is_what_the_documents_say_and_any_program_can_recompute_it(trail):
    before = chain.GENESIS
    for link in chain.links():
        line = json.loads(link.text)
        plain = json.dumps(line, sort_keys=True, separators=(",", ":"))
        before = sha256((before + plain).encode()).hexdigest()
        assert (plain, before) == (link.text, link.digest)
        event = Event.objects.get(pk=line["id"])
        assert line["at"] == event.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        assert (line["detail"], line["address"], line["actor_id"]) == (event.detail, "192.0.2.1", 1)


@pytest.mark.parametrize(
    ("column", "value"),
    [("actor_name", "mallory"), ("reason", "because"), ("address", "192.0.2.9"), ("actor_id", 2),
     ("at", "2020-01-01 00:00:00"), ("detail", "{}"), ("changes", '{"quota": [1, 2]}'), ("duration", 5),
     ("outcome", "refused"), ("engine_key", "die-1"), ("request_id", "")],
)  # fmt: skip
def test_a_changed_column_is_named_with_its_number(trail, column, value):
    with unguarded() as sql:
        sql(f"UPDATE sandboxes_event SET {column} = %s WHERE id = %s", [value, trail[4]])
    (found,) = findings()
    assert found.startswith("Number 5 is broken: ")
    with pytest.raises(CommandError, match="Number 5 is broken"):
        run("verify")


def test_an_event_that_was_deleted_is_named(trail):
    with unguarded() as sql:
        sql("DELETE FROM sandboxes_event WHERE id = %s", [trail[4]])
    assert findings() == [f"Number 5 is broken: event {trail[4]} was deleted."]


def test_an_event_that_was_deleted_with_its_seal_is_named(trail):
    with unguarded() as sql:
        sql("DELETE FROM sandboxes_event WHERE id = %s", [trail[4]])
        sql("DELETE FROM sandboxes_seal WHERE number = 5")
    assert findings() == ["Number 5 is missing: deleted with their seals."]


def test_numbers_that_were_closed_up_after_a_deletion_break_where_it_was(trail):
    with unguarded() as sql:
        sql("DELETE FROM sandboxes_event WHERE id = %s", [trail[4]])
        sql("DELETE FROM sandboxes_seal WHERE number = 5")
        for number in range(6, 10):
            sql("UPDATE sandboxes_seal SET number = %s WHERE number = %s", [number - 1, number])
    assert findings()[0].startswith("Number 5 is broken: ")


def test_two_events_that_changed_places_are_both_named(trail):
    with unguarded() as sql:
        sql("UPDATE sandboxes_seal SET event_id = -1 WHERE number = 3")
        sql("UPDATE sandboxes_seal SET event_id = %s WHERE number = 6", [trail[2]])
        sql("UPDATE sandboxes_seal SET event_id = %s WHERE number = 3", [trail[5]])
    assert [one[:18] for one in findings()] == ["Number 3 is broken", "Number 6 is broken"]


def test_an_event_put_in_with_an_old_time_is_named_once_it_is_sealed(trail, monkeypatch):
    add(at=timezone.now() - timedelta(days=3))
    assert chain.seal() == 1
    (found,) = findings()
    assert found.startswith("Number 10 was put in later than it says: ")


def test_an_old_event_that_was_never_sealed_is_named(trail):
    add(at=timezone.now() - timedelta(days=3))
    (found,) = findings()
    assert "has no seal, though it is old" in found


def test_an_event_of_the_engine_may_tell_of_an_earlier_time(trail):
    audit.record("engine.exit", audit.ENGINE, engine_key="k", at=timezone.now() - timedelta(hours=3))
    chain.seal()
    assert verifying.verify().is_whole


def test_a_new_event_waits_for_its_seal_and_breaks_nothing(trail):
    add()
    assert "1 wait for their seal" in run("verify")


def test_an_id_that_commits_late_is_next(trail):
    """As PostgreSQL hands out ids: a lower one may become visible after a higher one was sealed."""
    with unguarded() as sql:
        sql("DELETE FROM sandboxes_seal WHERE number > 6")
        sql("DELETE FROM sandboxes_event WHERE id > %s", [trail[5]])
    add(at=timezone.now())
    late = Event.objects.order_by("-id").first()
    with unguarded() as sql:
        sql("UPDATE sandboxes_event SET id = %s WHERE id = %s", [trail[6], late.pk])
    assert chain.seal() == 1
    assert verifying.verify().is_whole


def test_a_full_round_finds_what_a_quick_one_does_not_look_at(trail, monkeypatch):
    monkeypatch.setattr(chain, "BEHIND", 0)
    add(2)
    first, second = Event.objects.order_by("-id")[:2][::-1]
    Seal.objects.create(number=10, event_id=second.pk, digest="0" * 64, sealed_at=timezone.now())
    assert chain.seal() == 0
    assert chain.seal(full=True) == 1
    assert Seal.objects.get(number=11).event_id == first.pk


def test_guards_that_are_gone_are_part_of_the_verdict(trail):
    with transaction.atomic():
        guards.uninstall(connection)
        found = findings()
        guards.install(connection)
    assert len(found) == len(guards.TABLES) * (3 if connection.vendor == "sqlite" else 2)
    assert "guard sandboxes_event_no_" in found[0]


# -- the signed head ----------------------------------------------------------------------------


def test_a_tail_that_was_cut_off_shows_beside_the_head(trail, tmp_path):
    file = tmp_path / "head.json"
    run("head", "--file", str(file))
    with unguarded() as sql:
        sql("DELETE FROM sandboxes_event WHERE id > %s", [trail[6]])
        sql("DELETE FROM sandboxes_seal WHERE number > 7")
    assert verifying.verify().is_whole, "the chain alone cannot know"
    with pytest.raises(CommandError, match=r"ends at number 7, the head of .* knows 9"):
        run("verify", "--head", str(file))


def test_a_chain_that_was_made_anew_shows_beside_the_head(trail, tmp_path):
    file = tmp_path / "head.json"
    run("head", "--file", str(file))
    with unguarded() as sql:
        sql("UPDATE sandboxes_event SET actor_name = 'mallory' WHERE id = %s", [trail[4]])
        sql("DELETE FROM sandboxes_seal")
    chain.seal(full=True)
    assert verifying.verify().is_whole
    with pytest.raises(CommandError, match="Number 9 has another digest"):
        run("verify", "--head", str(file))


def test_a_trail_that_only_grew_fits_its_head(trail, tmp_path):
    file = tmp_path / "head.json"
    run("head", "--file", str(file))
    add(3)
    chain.seal()
    assert "whole" in run("verify", "--head", str(file), "--key", run("key").strip())


@pytest.mark.parametrize(("name", "value"), [("number", 3), ("digest", "f" * 64), ("signature", "00" * 64)])
def test_a_head_that_was_changed_is_not_believed(trail, tmp_path, name, value):
    file = tmp_path / "head.json"
    run("head", "--file", str(file))
    file.write_text(json.dumps(json.loads(file.read_text()) | {name: value}))
    with pytest.raises(CommandError, match="signature"):
        run("verify", "--head", str(file))


def test_a_head_is_not_believed_under_another_key(trail, tmp_path, settings):
    run("head", "--file", str(tmp_path / "head.json"))
    other = settings.SANDBOX_AUDIT_KEY[::-1]
    settings.SANDBOX_AUDIT_KEY = other
    with pytest.raises(CommandError, match="signature"):
        run("verify", "--head", str(tmp_path / "head.json"))


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense"])
def test_a_file_that_is_no_head_is_told_so(trail, tmp_path, text):
    (tmp_path / "head.json").write_text(text)
    with pytest.raises(CommandError, match=r"no head|cannot be read"):
        run("verify", "--head", str(tmp_path / "head.json"))


def test_the_head_that_the_loop_keeps_is_looked_at_by_itself(trail, tmp_path, settings):
    settings.SANDBOX_AUDIT_HEAD_FILE = str(tmp_path / "head.json")
    sealing.Rounds().one()
    with unguarded() as sql:
        sql("DELETE FROM sandboxes_seal WHERE number > 7")
        sql("DELETE FROM sandboxes_event WHERE id > %s", [trail[6]])
    with pytest.raises(CommandError, match="ends at number 7"):
        run("verify")


# -- the loop -----------------------------------------------------------------------------------


def test_a_round_seals_and_reports_and_hands_the_head_on(trail, tmp_path, settings):
    settings.SANDBOX_AUDIT_HEAD_FILE = str(tmp_path / "head.json")
    add(2)
    rounds = sealing.Rounds()
    assert rounds.one() == 2
    assert heads.read(tmp_path / "head.json")["number"] == 11
    assert Lease.objects.get(name="audit").report["number"] == 11
    add()
    assert rounds.one() == 1
    assert heads.read(tmp_path / "head.json")["number"] == 11, "its interval is not over"


def test_a_round_leaves_the_trail_alone_while_another_process_has_the_role(trail):
    for name in ("audit", "process:another"):
        Lease.objects.create(name=name, owner="another", until=timezone.now() + timedelta(minutes=1))
    add()
    assert sealing.Rounds().one() == 0
    assert Seal.objects.count() == 9


def test_a_head_that_cannot_be_handed_on_stops_nothing(trail, settings, caplog):
    settings.SANDBOX_AUDIT_HEAD_FILE = "/proc/nowhere/head.json"
    add()
    assert sealing.Rounds().one() == 1
    assert "could not be handed on" in caplog.text
