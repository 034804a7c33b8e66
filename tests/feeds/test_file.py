"""Every event is one line of the file, in the trail's order: none lost, none doubled, whatever happens."""

import json
from pathlib import Path

import pytest

from sandboxes.lifecycle import audit, feeds
from sandboxes.lifecycle.feeds import cursor, file, lines
from sandboxes.models import Event, Outcome

from .conftest import sealed

pytestmark = pytest.mark.django_db
ALICE = audit.Origin("user", 7, "alice", "192.0.2.1")


@pytest.fixture
def feed(tmp_path, settings) -> Path:
    path = tmp_path / "audit.jsonl"
    settings.SANDBOX_FEED_FILE = str(path)
    return path


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_nothing_is_written_without_a_setting(happen, tmp_path, settings):
    settings.SANDBOX_FEED_FILE = ""
    happen()
    assert not file.run_round()
    assert list(tmp_path.iterdir()) == []


def test_a_line_says_who_did_what(happen, feed):
    event = happen("sandbox.pause", ALICE, operation="op1", detail={"b": 1, "a": {"y": 1, "x": [2]}})
    file.run_round()
    (row,) = rows(feed)
    assert (row["number"], row["id"], row["action"], row["outcome"]) == (1, event.pk, "sandbox.pause", "ok")
    assert (row["actor_name"], row["address"], row["operation"]) == ("alice", "192.0.2.1", "op1")
    assert row["sentence"] == "alice paused a sandbox"
    assert row["at"].endswith("Z")


def test_each_event_is_there_once_in_the_order_of_the_seals(feed):
    events = [audit.record("sandbox.pause", ALICE, reason=str(number)) for number in range(5)]
    sealed(*reversed(events))
    for _ in range(3):
        file.run_round()
    assert [row["reason"] for row in rows(feed)] == ["4", "3", "2", "1", "0"]
    assert [row["number"] for row in rows(feed)] == [1, 2, 3, 4, 5]


def test_the_file_may_be_renamed_between_two_rounds(happen, feed):
    happen(reason="before")
    file.run_round()
    feed.rename(feed.with_suffix(".1"))
    happen(reason="after")
    file.run_round()
    assert [row["reason"] for row in rows(feed.with_suffix(".1"))] == ["before"]
    assert [row["reason"] for row in rows(feed)] == ["after"]


def test_killed_between_the_lines_and_the_cursor_nothing_is_doubled(happen, feed, monkeypatch):
    happen(reason="one")
    happen(reason="two")
    with monkeypatch.context() as killed:
        killed.setattr(cursor, "move", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            file.run_round()
    happen(reason="three")
    file.run_round()
    assert [row["reason"] for row in rows(feed)] == ["one", "two", "three"]


def test_a_line_torn_by_a_crash_is_ended_and_written_again(happen, feed):
    happen(reason="one")
    happen(reason="two")
    file.run_round()
    whole = feed.read_bytes()
    feed.write_bytes(whole[:-20])
    feeds.cursor.Cursor.objects.filter(name=file.NAME).update(number=0)
    file.run_round()
    first, torn, again = feed.read_text().splitlines()
    assert [json.loads(one)["reason"] for one in (first, again)] == ["one", "two"]
    assert json.loads(again)["id"]
    with pytest.raises(json.JSONDecodeError):
        json.loads(torn)


def test_what_cannot_be_written_waits(happen, feed):
    feed.mkdir()
    happen(reason="one")
    feeds.run_round()
    assert cursor.of(file.NAME) == 0
    feed.rmdir()
    feeds.run_round()
    assert [row["reason"] for row in rows(feed)] == ["one"]


def test_to_the_standard_output(happen, settings, capsys):
    settings.SANDBOX_FEED_FILE = "-"
    happen(reason="said")
    file.run_round()
    file.run_round()
    assert [json.loads(line)["reason"] for line in capsys.readouterr().out.splitlines()] == ["said"]


def test_a_line_is_one_line_and_hides_names_of_variables(happen, feed):
    happen(
        "sandbox.launch",
        ALICE,
        reason="two\nlines\u2028three",
        detail={"environment": ["CANARY_NAME"], "image": "x"},
    )
    file.run_round()
    text = feed.read_text()
    assert text.count("\n") == 1
    assert "CANARY_NAME" not in text
    assert rows(feed)[0]["detail"] == {"image": "x"}


def test_the_file_is_for_its_owner_and_group(happen, feed):
    happen()
    file.run_round()
    assert feed.stat().st_mode & 0o007 == 0


def test_an_event_read_back_from_its_line_gives_the_same_line(happen):
    happen("sandbox.launch", ALICE, outcome=Outcome.FAILED, duration=12, reason="é “quoted” \\ done",
           detail={"z": [1, {"b": None, "a": True}], "é": 0.25}, changes={"x": ["1", None]},
           engine_key="k1", target=audit.Target("user", "3", "bob"), 
           place=audit.Place("crs_1", "Shells", "student"))  # fmt: skip
    texts = [lines.line(event) for event in Event.objects.all()]
    again = [lines.read(text) for text in texts]
    assert [lines.line(event) for event in again] == texts


@pytest.mark.parametrize("text", ["[]", "{}", '{"id": 1}'])
def test_what_is_no_event_is_refused(text):
    with pytest.raises(ValueError, match="no event"):
        lines.read(text)


def test_the_log_tells_of_changes_only(happen, feed, caplog):
    feed.mkdir()
    happen()
    for _ in range(3):
        feeds.run_round()
    feed.rmdir()
    for _ in range(3):
        feeds.run_round()
    assert [one.levelname for one in caplog.records] == ["ERROR", "WARNING"]


def test_of_a_trail_that_was_restored_no_line_is_missing(happen, feed):
    happen(reason="one")
    last = json.dumps({"number": 900, "reason": "before the restore"})
    feed.write_text(f"{last}\n")
    file.run_round()
    assert [row["reason"] for row in rows(feed)] == ["before the restore", "one"]
