"""Retention: archived first, then deleted; a tombstone in the chain; killed anywhere, nothing is lost."""

from __future__ import annotations

import gzip
import json
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from sandboxes.lifecycle import archives, audit, chain, pruning, verifying
from sandboxes.models import Event, Outcome, Seal, guards

pytestmark = pytest.mark.django_db(transaction=True)
ALICE = audit.Origin("user", 1, "alice")
OLD = timedelta(days=100)


@pytest.fixture
def trail(monkeypatch):
    """Seven events of a hundred days ago, three of today; pieces of three."""
    monkeypatch.setattr(pruning, "PIECE", 3)
    for day, many in ((OLD, 7), (timedelta(0), 3)):
        at = timezone.now() - day
        for number in range(many):
            audit.record("user.profile", ALICE, at=at + timedelta(seconds=number), reason=f"Ünïcode {number}")
        with monkeypatch.context() as then:
            then.setattr(chain.timezone, "now", lambda at=at: at)
            chain.seal(full=True)
    return texts()


def texts():
    return {link.number: link.text for link in chain.links()}


def run(*words):
    out = StringIO()
    call_command("audit", *words, stdout=out, stderr=out)
    return out.getvalue()


def prune(path, before="90d"):
    return run("prune", "--before", before, "--archive", str(path))


def archived(path):
    with gzip.open(path, "rt") as file:
        lines = [json.loads(line) for line in file]
    for line in lines[1:-1]:
        line.pop("seal")
    return {line["number"]: chain.encode(line) for line in lines[1:-1]}


def test_what_is_old_is_in_the_archive_and_what_is_left_is_whole(trail, tmp_path):
    file = tmp_path / "a.jsonl.gz"
    said = prune(file)
    assert "Numbers 1 to 7 are in" in said
    assert archived(file) == {number: trail[number] for number in range(1, 8)}
    assert {number: text for number, text in texts().items() if number <= 10} == {
        number: trail[number] for number in range(8, 11)
    }
    verdict = verifying.verify()
    assert verdict.is_whole, verdict.findings
    assert verdict.start.number == 7
    assert "whole" in run("verify", "--archive", str(file))


def test_it_is_itself_on_record_with_what_a_verifier_needs(trail, tmp_path):
    file = tmp_path / "a.jsonl.gz"
    last = Seal.objects.get(number=7).digest
    prune(file)
    asked, done = Event.objects.filter(action="audit.prune").order_by("id")
    assert (asked.outcome, done.outcome) == (Outcome.REQUESTED, Outcome.OK)
    assert asked.operation == done.operation != ""
    assert done.detail == {
        "first": 1, "last": 7, "before": chain.GENESIS, "digest": last, "count": 7,
        "archive": "a.jsonl.gz", "sha256": archives.fingerprint(file),
    }  # fmt: skip
    assert done.actor_kind == "console"
    assert done.actor_name.endswith("(command line)")
    assert Seal.objects.filter(event_id=done.pk).exists()


def test_nothing_old_is_nothing_done(trail, tmp_path):
    many = Event.objects.count()
    assert "Nothing happened" in prune(tmp_path / "a.gz", "200d")
    assert Event.objects.count() == many
    assert not list(tmp_path.iterdir())


def test_a_second_prune_goes_on_where_the_first_ended_and_takes_its_tombstone_along(trail, tmp_path):
    one, two = tmp_path / "1.gz", tmp_path / "2.gz"
    prune(one)
    later = (timezone.now() + timedelta(minutes=1)).isoformat()
    prune(two, later)
    assert sorted(archived(one) | archived(two)) == list(range(1, 13)), "with the first prune's two lines"
    assert "audit.prune" in archived(two)[12]
    assert verifying.verify().is_whole
    assert "whole" in run("verify", "--archive", str(one), str(two))


def test_archives_with_a_gap_between_them_are_told(trail, tmp_path):
    paths = [tmp_path / f"{number}.gz" for number in range(3)]
    for path in paths:
        prune(path, (timezone.now() + timedelta(minutes=1)).isoformat())
    with pytest.raises(CommandError, match="are in none of the archives"):
        run("verify", "--archive", str(paths[0]), str(paths[2]))
    with pytest.raises(CommandError, match="are in none of the archives"):
        run("verify", "--archive", str(paths[0]))


@pytest.mark.parametrize("harm", ["line", "seal", "end", "cut", "foreign"])
def test_an_archive_that_was_changed_is_told(trail, tmp_path, harm):
    file = tmp_path / "a.gz"
    prune(file)
    with gzip.open(file, "rt") as known:
        lines = known.read().splitlines()
    if harm == "line":
        lines[3] = lines[3].replace("alice", "malory")
    elif harm == "seal":
        lines[3] = lines[3].replace('"seal":"', '"seal":"0')
    elif harm == "end":
        lines[-1] = lines[-1].replace('"count":7', '"count":8')
    elif harm == "cut":
        del lines[-2]
    else:
        lines = ["{}"]
    with gzip.open(file, "wt") as changed:
        changed.write("\n".join(lines))
    with pytest.raises(CommandError, match=r"a\.gz"):
        run("verify", "--archive", str(file))


def test_a_whole_archive_of_something_else_is_told(trail, tmp_path):
    file = tmp_path / "a.gz"
    prune(file)
    with gzip.open(file, "rt") as known:
        text = known.read()
    with gzip.open(file, "wt", compresslevel=1) as changed:
        changed.write(text)
    with pytest.raises(CommandError, match="not the archive that a tombstone names"):
        run("verify", "--archive", str(file))


def test_a_broken_trail_is_not_pruned_and_the_attempt_is_on_record(trail, tmp_path):
    with transaction.atomic(), connection.cursor() as cursor:
        guards.uninstall(connection)
        cursor.execute(
            "UPDATE sandboxes_event SET reason = 'x' WHERE id = (SELECT min(id) FROM sandboxes_event)"
        )
        guards.install(connection)
    many = Event.objects.count()
    with pytest.raises(CommandError, match="broken at number 1; nothing was pruned"):
        prune(tmp_path / "a.gz")
    assert Event.objects.count() == many + 2
    failed = Event.objects.get(action="audit.prune", outcome=Outcome.FAILED)
    assert "broken at number 1" in failed.reason
    assert not (tmp_path / "a.gz").exists()


def test_another_file_is_never_written_over(trail, tmp_path):
    (tmp_path / "a.gz").write_bytes(b"precious")
    with pytest.raises(CommandError):
        prune(tmp_path / "a.gz")
    assert (tmp_path / "a.gz").read_bytes() == b"precious"
    assert verifying.start().number == 0


class Killed(BaseException):
    """What nothing catches, as a kill."""


def kills(when):
    """Stand in for a function: does its work ``when`` times, then the process is dead."""

    def stand_in(original):
        left = [when]

        def run(*args, **kwargs):
            if not left[0]:
                raise Killed
            left[0] -= 1
            return original(*args, **kwargs)

        return run

    return stand_in


def dies_at_the_end(original):
    """Stand in for a context: what was done in it is done, then the process is dead."""

    @contextmanager
    def run(*args):
        with original(*args):
            yield
            raise Killed

    return run


@pytest.mark.parametrize(
    ("module", "name", "when"),
    [(chain, "seal", 0), (pruning, "_archive", 0), (archives, "_write", 0), (archives, "_next", 3),
     (archives, "_to_disk", 0), (archives, "read", 0), (archives, "_to_disk", 1),
     (archives, "fingerprint", 0), (pruning, "_bury", 0), (chain, "seal", 1),
     (pruning, "sweep", 1), (pruning, "_delete", 0), (pruning, "_delete", 1), (guards, "pruning", 0)],
)  # fmt: skip
def test_killed_between_any_two_steps_nothing_is_lost(trail, tmp_path, monkeypatch, module, name, when):
    file = tmp_path / "a.gz"
    with monkeypatch.context() as patch:
        stand_in = dies_at_the_end if name == "pruning" else kills(when)
        patch.setattr(module, name, stand_in(getattr(module, name)))
        with pytest.raises(Killed):
            prune(file)
    verdict = verifying.verify()
    assert verdict.is_whole, verdict.findings
    left = {number: text for number, text in texts().items() if number <= 10}
    whole = archived(file) if verdict.start.number else {}
    assert whole | left == trail
    prune(file)
    assert archived(file) == {number: trail[number] for number in range(1, 8)}
    assert min(texts()) == 8
    assert verifying.verify().is_whole
    assert "whole" in run("verify", "--archive", str(file))
