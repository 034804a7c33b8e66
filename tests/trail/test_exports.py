"""What is taken along: all that was asked for, in order, safe in a spreadsheet, provable, and on record."""

import csv
import io
import json
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from asgiref.sync import sync_to_async
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.test import AsyncClient

from sandboxes.lifecycle import audit, bundle_check, bundles, chain, exporting, heads, pruning
from sandboxes.lifecycle.event_filters import Asked
from sandboxes.lifecycle.feeds import lines
from sandboxes.models import Event, Outcome, User, guards

pytestmark = pytest.mark.django_db
AUDRA = audit.Origin("user", 9, "audra", "192.0.2.9", "staff")
ALICE = audit.Origin("user", 7, "alice", "192.0.2.7")
NOON = datetime(2025, 3, 7, 12, tzinfo=UTC)


@pytest.fixture
def trail():
    """Forty events; every fourth is alice's and refused."""
    for number in range(40):
        is_hers = number % 4 == 0
        audit.record(
            "sandbox.pause", ALICE if is_hers else AUDRA, reason=f"number {number}",
            outcome=Outcome.REFUSED if is_hers else Outcome.OK, at=NOON + timedelta(minutes=number),
            detail={"b": {"y": 1, "x": [True, None, "ü"]}, "a": 0.25},
        )  # fmt: skip
    chain.seal(full=True)


def export(form="jsonl", **asked):
    return b"".join(exporting.begin(Asked(**asked), form, AUDRA))


def bundle(tmp_path, **asked):
    path = tmp_path / "bundle.zip"
    path.write_bytes(export("bundle", **asked))
    return path


def events_of(data):
    return [lines.read(text) for text in data.decode().splitlines()]


@pytest.mark.parametrize("window", [7, 10_000])
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"who": "alice"},
        {"outcome": "refused"},
        {"q": "number 12"},
        {"on": "2025-03-07T12", "who": "alice"},
        {"since": "2025-03-07T12:30"},
        {"who": "nobody"},
    ],
)
def test_an_export_holds_exactly_what_the_list_shows(trail, asked, window, monkeypatch):
    monkeypatch.setattr(exporting, "WINDOW", window)
    monkeypatch.setattr(exporting, "PIECE", 3)
    wanted = list(Asked(**asked).rows().order_by("id").values_list("pk", flat=True))
    assert [event.pk for event in events_of(export(**asked))] == wanted


def test_json_lines_read_back_to_the_same_bytes(trail):
    data = export()
    again = events_of(data)
    with transaction.atomic(), guards.pruning(connection), connection.cursor() as cursor:
        cursor.execute("DELETE FROM sandboxes_event")
        cursor.execute("DELETE FROM sandboxes_seal")
    Event.objects.bulk_create(again)
    assert export(on="2025") == data


def test_a_spreadsheet_runs_nothing_of_an_export():
    for name in ("=1+1", "+2", "-3", "@x", "plain", "line\nbreak\ttab"):
        audit.record("sandbox.view", audit.Origin("user", name=name), reason=f"{name}!")
    told = list(csv.DictReader(io.StringIO(export("csv", action="sandbox.view").decode("utf-8-sig"))))
    assert [row["actor_name"] for row in told][:5] == ["'=1+1", "'+2", "'-3", "'@x", "plain"]
    assert not [cell for row in told for cell in row.values() if cell[:1] in "=+-@\t\r\n" and cell]


def test_a_spreadsheet_has_every_column_the_number_and_the_sentence(trail):
    told = list(csv.DictReader(io.StringIO(export("csv").decode("utf-8-sig"))))
    assert len(told) == 40
    assert set(told[0]) == {"number", "sentence", *(field.attname for field in lines.FIELDS)}
    assert (told[4]["number"], told[4]["sentence"]) == ("5", "alice asked to pause a sandbox and was refused")


@pytest.mark.parametrize("form", sorted(exporting.FORMATS))
def test_an_export_is_on_record_with_what_came_of_it(trail, form):
    export(form, who="alice")
    asked, done = Event.objects.filter(action="audit.export").order_by("id")
    assert (asked.outcome, done.outcome) == (Outcome.REQUESTED, Outcome.OK)
    assert asked.operation == done.operation != ""
    assert done.detail == {"format": form, "part": "who=alice", "count": 10}
    assert done.actor_name == "audra"


def test_an_export_that_is_broken_off_says_so(trail, monkeypatch):
    monkeypatch.setattr(exporting, "PIECE", 5)
    pieces = exporting.begin(Asked(), "jsonl", AUDRA)
    next(pieces)
    pieces.close()
    done = Event.objects.get(action="audit.export", outcome=Outcome.FAILED)
    assert done.detail["count"] == 5
    assert "went away" in done.reason


# -- bundles --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "count", "runs"), [({}, 40, 1), ({"who": "alice"}, 10, 10), ({"who": "x"}, 0, 0)]
)
def test_a_bundle_is_good_and_says_what_it_holds(trail, tmp_path, asked, count, runs):
    report = bundles.verify(bundle(tmp_path, **asked))
    assert (report.wrong, report.count, report.runs) == ([], count, runs)
    assert report.manifest["part"] == asked
    assert report.manifest["head"]["number"] == 40


def test_a_bundle_is_checked_without_this_program(trail, tmp_path):
    path = bundle(tmp_path)
    with zipfile.ZipFile(path) as file:
        (tmp_path / "check.py").write_bytes(file.read("check.py"))
    command = [sys.executable, "-I", str(tmp_path / "check.py"), str(path), heads.public_key()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "40 events" in done.stdout


def rewrite(path, change):
    """The bundle again with its rows or its manifest changed."""
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    change(parts)
    with zipfile.ZipFile(path, "w") as new:
        for name, data in parts.items():
            new.writestr(name, data)


def tamper_row(parts):
    parts["events.jsonl"] = parts["events.jsonl"].replace(b"number 12", b"number 99")


def tamper_row_and_digest(parts):
    rows = [json.loads(line) for line in parts["events.jsonl"].splitlines()]
    row = rows[12]
    before, _ = row.pop("before"), row.pop("seal")
    row["reason"] = "number 99"
    row |= {
        "before": before,
        "seal": bundle_check.sha256(f"{before}{bundle_check.encode(row)}".encode()).hexdigest(),
    }
    parts["events.jsonl"] = "".join(f"{chain.encode(one)}\n" for one in rows).encode()


def drop_row(parts):
    rows = parts["events.jsonl"].splitlines(keepends=True)
    parts["events.jsonl"] = b"".join(rows[:12] + rows[13:])


def drop_tail(parts):
    parts["events.jsonl"] = b"".join(parts["events.jsonl"].splitlines(keepends=True)[:-1])


def tamper_manifest(parts):
    parts["manifest.json"] = parts["manifest.json"].replace(b'"audra"', b'"somebody"')


def no_manifest(parts):
    del parts["manifest.json"]


CHANGES = [tamper_row, tamper_row_and_digest, drop_row, drop_tail, tamper_manifest, no_manifest]


@pytest.mark.parametrize("change", CHANGES)
def test_a_bundle_that_was_changed_is_refused(trail, tmp_path, change):
    path = bundle(tmp_path)
    rewrite(path, change)
    assert bundle_check.check(str(path), heads.public_key()).wrong
    with pytest.raises(CommandError):
        call_command("audit", "verify", "--bundle", str(path))


def test_a_bundle_of_another_key_is_refused(trail, tmp_path, settings):
    path = bundle(tmp_path)
    settings.SANDBOX_AUDIT_KEY = "ab" * 32
    assert "is not signed by this key" in " ".join(bundles.verify(path).wrong)


def test_a_file_that_is_no_bundle_is_said_so(tmp_path):
    path = tmp_path / "x.zip"
    path.write_text("no zip")
    assert bundle_check.check(str(path)).wrong == ["This is no whole bundle: File is not a zip file"]


def test_a_trail_that_was_changed_after_the_bundle_shows(trail, tmp_path):
    path = bundle(tmp_path)
    guards.uninstall(connection)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE sandboxes_seal SET digest = %s WHERE number = 12", ["0" * 64])
    guards.install(connection)
    assert bundles.verify(path).wrong == [
        "Number 12 has another digest in this trail: one of the two was changed."
    ]


def test_a_bundle_outlives_a_prune_and_begins_behind_one(trail, tmp_path, capsys):
    first = bundle(tmp_path)
    pruning.prune(NOON + timedelta(minutes=20), tmp_path / "archive.gz", AUDRA)
    report = bundles.verify(first)
    assert report.wrong == []
    assert "20 of its rows are not in this trail any more" in " ".join(report.notes)
    (tmp_path / "later").mkdir()
    call_command("audit", "verify", "--bundle", str(bundle(tmp_path / "later", on="2025")))
    assert "numbers 21 to 40 in 1 unbroken runs" in capsys.readouterr().out


# -- through the server -----------------------------------------------------------------------------


@pytest.fixture
def auditor(db):
    from django.contrib.auth.models import Permission

    user = User.objects.create_user("audra", password="audra's password", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_event"))
    return user


def test_a_download_is_posted_for_and_named(client, auditor, trail):
    client.force_login(auditor)
    answer = client.post("/admin/sandboxes/event/export/jsonl/?who=alice")
    data = b"".join(answer.streaming_content)
    assert [event.actor_name for event in events_of(data)] == ["alice"] * 10
    assert answer["Content-Disposition"].startswith('attachment; filename="audit-')
    assert client.get("/admin/sandboxes/event/export/jsonl/").status_code == 405
    assert client.post("/admin/sandboxes/event/export/exe/").status_code == 404


def test_who_may_not_read_the_trail_takes_none_of_it_along(client, prof, trail):
    client.force_login(prof)
    assert client.post("/admin/sandboxes/event/export/csv/").status_code == 403
    assert not Event.objects.filter(action="audit.export").exists()


def test_a_filter_that_is_not_understood_exports_nothing(client, auditor, trail):
    client.force_login(auditor)
    assert client.post("/admin/sandboxes/event/export/csv/?on=soon").status_code == 302
    assert not Event.objects.filter(action="audit.export").exists()


@pytest.mark.django_db(transaction=True)
async def test_a_download_streams_piece_by_piece_under_asgi(auditor, trail, monkeypatch):
    monkeypatch.setattr(exporting, "PIECE", 8)
    client = AsyncClient()
    await client.aforce_login(auditor)
    answer = await client.post("/admin/sandboxes/event/export/jsonl/?on=2025")
    assert answer.is_async
    parts = [part async for part in answer.streaming_content]
    await sync_to_async(connections.close_all)()  # the one of the thread that made the pieces
    assert [len(part.splitlines()) for part in parts] == [8] * 5
