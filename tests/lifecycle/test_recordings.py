"""Recordings on record: the strictest policy, what a launch was told, what is left, what is removed."""

from __future__ import annotations

import os
import time
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.lifecycle import audit, cleanup, process, recording_policy, recordings
from sandboxes.lifecycle.recording_policy import Policy, strictest, told
from sandboxes.lifecycle.refusals import Refused
from sandboxes.live.recording import CAP, ENDED, Recorder, Totals
from sandboxes.models import Event, Image, Outcome, Recording, RecordingPolicy, Terminal
from tests.fakes.recordings import taped

pytestmark = pytest.mark.django_db
policies = st.builds(Policy, st.sampled_from([str(word) for word in RecordingPolicy]), st.booleans())
DAY = timedelta(days=1)


def events(word):
    return list(Event.objects.filter(action=f"recording.{word}").order_by("id"))


# -- the policy -----------------------------------------------------------------------------------


@given(st.lists(policies, max_size=4))
def test_the_strictest_holds_whatever_the_order(wishes):
    found = strictest(*wishes)
    order = ["off", "optional", "always"]
    assert found.recording == max((one.recording for one in wishes), key=order.index, default="off")
    assert found == strictest(*reversed(wishes))
    assert found.keystrokes == any(one.keystrokes and one.recording != "off" for one in wishes)


@pytest.mark.parametrize(
    ("install", "of_image", "asked", "holds"),
    [
        ("off", "off", "off", "off"),
        ("off", "optional", "off", "optional"),
        ("off", "optional", "always", "always"),
        ("optional", "off", "off", "optional"),
        ("always", "off", "off", "always"),
        ("off", "always", "off", "always"),
    ],
)
def test_a_launch_takes_the_strictest_of_install_image_and_lab(
    settings, launch, image, install, of_image, asked, holds
):
    settings.SANDBOX_RECORDING = install
    Image.objects.filter(pk=image.pk).update(recording=of_image)
    assert launch(recording=Policy(asked)).recording == holds


def test_a_launch_keeps_what_it_was_told(settings, launch, image):
    settings.SANDBOX_RECORDING = "optional"
    Image.objects.filter(pk=image.pk).update(recording="always", recording_keystrokes=True)
    sandbox = launch()
    Image.objects.filter(pk=image.pk).update(recording="off", recording_keystrokes=False)
    settings.SANDBOX_RECORDING = "off"
    sandbox.refresh_from_db()
    assert recording_policy.of_sandbox(sandbox) == Policy("always", True)
    assert launch(name="later").recording == "off"
    event = Event.objects.filter(action="sandbox.launch", outcome=Outcome.REQUESTED).earliest("id")
    assert (event.detail["recording"], event.detail["keystrokes"]) == ("always", True)


def test_people_are_told_of_passwords_only_where_keystrokes_are_kept():
    assert told(Policy()) == told(Policy("off", True)) == ""
    assert "are recorded" in told(Policy("always"))
    assert "passwords" not in told(Policy("always"))
    assert "What you type is kept too, also passwords." in told(Policy("always", True))
    assert "the owner starts and stops it" in told(Policy("optional"))
    assert "passwords" in told(Policy("optional", True))


# -- begin and end --------------------------------------------------------------------------------


@pytest.fixture
def terminal(running):
    return Terminal.objects.create(sandbox=running, name="main", process="p", opened_by="alice")


@pytest.fixture
def begun(running, terminal):
    """A recording that runs, its file, and its sandbox."""
    running.recording = "always"
    row, file = recordings.prepare(running, terminal, "alice", 100, 30)
    recordings.begin(row, running, audit.Origin("user", name="alice"))
    yield row, file
    file.drop()


def test_it_is_on_record_with_copied_names_and_a_file_named_by_its_id(begun, running):
    row = Recording.objects.get()
    assert (row.sandbox_id, row.sandbox_name, row.owner_name, row.opened_by, row.terminal_name) == (
        running.pk, "quiet-otter", "alice", "alice", "main",
    )  # fmt: skip
    assert (row.cols, row.rows, row.policy, row.keystrokes, row.is_running) == (
        100,
        30,
        "always",
        False,
        True,
    )
    assert recordings.path_of(row).name == f"{row.pk}.cast.gz"
    assert recordings.path_of(row).is_file()
    (event,) = events("start")
    assert (event.actor_name, event.sandbox_id, event.target_id) == ("alice", running.pk, row.pk)
    assert event.detail == {"terminal": "main", "recording": row.pk, "policy": "always", "keystrokes": False}


def test_it_outlives_its_terminal_and_its_sandbox(begun, running, terminal):
    (row, _), pk = begun, running.pk
    running.delete()
    row.refresh_from_db()
    assert (row.terminal, row.sandbox_name) == (None, "quiet-otter")
    assert recordings.ended(row, Totals(ENDED, "It ended.", 10, 20, 3.0))
    (event,) = events("stop")
    assert (event.sandbox_id, event.detail["sandbox"], event.detail["owner"]) == ("", pk, "alice")


def test_its_end_is_written_once(begun):
    row, _ = begun
    assert recordings.ended(row, Totals(ENDED, "It ended.", 10, 200, 3.25))
    assert not recordings.ended(row, Totals(ENDED, "Again.", 1, 1, 1))
    row.refresh_from_db()
    assert (row.bytes, row.cast_bytes, row.duration, row.ended_reason) == (10, 200, 3.25, "It ended.")
    (event,) = events("stop")
    assert (event.outcome, event.reason, event.detail["seconds"]) == (Outcome.OK, "It ended.", 3.2)


def test_one_that_could_not_go_on_has_failed(begun):
    recordings.ended(begun[0], Totals(CAP, "It is full.", 1, 1, 1.0))
    assert events("stop")[0].outcome == Outcome.FAILED


def test_a_folder_that_cannot_be_written_refuses_before_anything_is_on_record(running, terminal, settings):
    (settings.DATA_DIR / "recordings").write_text("a file is in the way")
    with pytest.raises(Refused, match="cannot be written"):
        recordings.prepare(running, terminal, "alice", 80, 24)
    assert not Recording.objects.exists()


# -- what a process leaves behind -------------------------------------------------------------------


def test_the_loop_ends_what_a_dead_process_left_as_it_lies_on_disk(begun, engine):
    row, file = begun
    file.add(2.5, "o", "shown")
    file.flush()
    Recording.objects.update(process="dead")
    assert cleanup.run_round().counts["recordings"] == 1
    row.refresh_from_db()
    assert (row.ended_reason, row.duration) == ("its server process ended", 2.5)
    assert (row.bytes, row.cast_bytes) == (file.path.stat().st_size, file.size)
    assert (events("stop")[0].actor_kind, events("stop")[0].outcome) == ("cleanup", Outcome.FAILED)


def test_a_process_that_was_only_slow_has_the_last_word(begun):
    row, _ = begun
    recordings.reap(set())
    assert recordings.ended(row, Totals(ENDED, "It ended.", 5, 6, 7.0))
    row.refresh_from_db()
    assert (row.ended_reason, row.bytes) == ("It ended.", 5)
    assert not recordings.ended(row, Totals(ENDED, "Again.", 1, 1, 1))


def test_the_loop_leaves_alone_what_is_written_by_a_living_process(begun, engine):
    process.renew()
    assert cleanup.run_round().counts["recordings"] == 0
    assert Recording.objects.get().is_running


def test_one_whose_file_is_gone_is_ended_and_says_so(begun):
    begun[1].path.unlink()
    assert recordings.reap(set()) == 1
    assert Recording.objects.get().ended_reason == "its server process ended; its file is missing"


@pytest.mark.django_db(transaction=True)
def test_a_server_that_is_stopped_finishes_its_recordings(begun):
    row, file = begun
    recorder = Recorder(file, lambda totals: None)
    recorder.output(b"the last words")
    recordings.end_all(5)
    row.refresh_from_db()
    assert row.ended_reason == "the server was stopped"
    assert b"the last words" in b"".join(recordings.recording_format.read(file.path))
    assert row.bytes == file.path.stat().st_size


# -- retention --------------------------------------------------------------------------------------


def test_what_is_too_old_goes_and_each_is_an_event(running, settings):
    settings.SANDBOX_RECORDING_DAYS = 30
    now = timezone.now()
    old, young = taped(running, ended_at=now - 31 * DAY), taped(running, ended_at=now - 29 * DAY)
    assert recordings.prune(now) == 1
    assert list(Recording.objects.all()) == [young]
    assert not recordings.path_of(old).exists()
    assert recordings.path_of(young).exists()
    (event,) = events("removed")
    assert (event.actor_kind, event.sandbox_id, event.reason) == (
        "cleanup", running.pk, "It was older than 30 days.",
    )  # fmt: skip
    assert event.detail["recording"] == old.pk


def test_the_oldest_go_until_all_fit(running, settings):
    now = timezone.now()
    rows = [taped(running, ended_at=now - days * DAY) for days in (1, 5, 3, 4, 2)]
    settings.SANDBOX_RECORDING_TOTAL = sum(row.bytes for row in rows[:1]) * 2 + 10
    assert recordings.prune(now) == 3
    assert set(Recording.objects.all()) == {rows[0], rows[4]}
    assert [event.detail["recording"] for event in events("removed")] == [rows[1].pk, rows[3].pk, rows[2].pk]
    assert "the oldest" in events("removed")[0].reason
    assert recordings.total() <= settings.SANDBOX_RECORDING_TOTAL


def test_who_has_most_gives_way_first(running, bob, settings):
    now = timezone.now()
    mine = [taped(running, ended_at=now - days * DAY) for days in (1, 2, 3)]
    theirs = {"owner_id": bob.pk, "owner_name": "bob"}
    old = taped(running, ended_at=now - 9 * DAY)
    Recording.objects.filter(pk=old.pk).update(**theirs)
    settings.SANDBOX_RECORDING_TOTAL = old.bytes * 2 + 10
    assert recordings.prune(now) == 2
    assert set(Recording.objects.all()) == {mine[0], old}
    assert events("removed")[0].reason.endswith("it was the oldest of alice, who had most.")


def test_what_runs_counts_but_is_never_removed(begun, running, settings):
    row, file = begun
    file.add(1, "o", os.urandom(20_000).hex())
    file.flush()
    ended = taped(running)
    settings.SANDBOX_RECORDING_TOTAL = ended.bytes + 1000
    assert recordings.prune(timezone.now() + 90 * DAY) == 1
    assert Recording.objects.get() == row
    assert file.path.exists()


def test_a_file_without_a_record_is_kept_as_long_as_any(running, settings):
    kept, stray = taped(running), recordings.folder() / "rec_2222.cast.gz"
    stray.write_bytes(b"x")
    assert recordings.prune(timezone.now()) == 0
    past = time.time() - (settings.SANDBOX_RECORDING_DAYS + 1) * 86400
    os.utime(stray, (past, past))
    os.utime(recordings.path_of(kept), (past, past))
    assert recordings.prune(timezone.now()) == 1
    assert not stray.exists()
    assert recordings.path_of(kept).exists()
    assert events("removed")[0].detail == {"recording": "rec_2222"}


def test_removing_one_twice_is_removing_it_once(running):
    row = taped(running)
    assert recordings.remove(row, "old")
    assert not recordings.remove(row, "old")
    assert len(events("removed")) == 1


def test_a_file_that_cannot_be_removed_keeps_its_record(running, monkeypatch):
    row = taped(running)

    def unlink(*args, **kwargs):
        raise PermissionError("not yours")

    monkeypatch.setattr("pathlib.Path.unlink", unlink)
    assert not recordings.remove(row, "old")
    assert Recording.objects.filter(pk=row.pk).exists()
    assert not events("removed")


def test_nothing_was_ever_recorded_and_the_loop_does_not_mind(engine, db):
    assert cleanup.run_round().error == ""
    assert recordings.prune(timezone.now()) == 0
