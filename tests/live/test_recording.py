"""A recorder takes all that comes and never waits; what the disk is too slow for is said, not kept."""

import asyncio
import os
import threading
import time

import pytest

from sandboxes.live import recording
from sandboxes.live.recording import CAP, DISK, ENDED, STOPPED, Recorder
from sandboxes.live.recording_format import CastFile
from sandboxes.live.recording_writer import Writer
from tests.fakes.processes import wait_until
from tests.live.stage import Page, World, settle
from tests.live.test_recording_format import HEAD, cast


class Tape:
    """A recorder on a file of its own, and how it came out."""

    def __init__(self, folder, most=1 << 20, keystrokes=False):
        self.file = CastFile(folder / "rec_a.cast.gz", HEAD, most)
        self.totals = None
        self._over = threading.Event()
        self.recorder = Recorder(self.file, self._ended, keystrokes, Writer())

    def _ended(self, totals):
        self.totals = totals
        self._over.set()

    def end(self, *words):
        self.recorder.stop(*words)
        assert self._over.wait(10), "it does not end"
        return self.totals

    def waited(self, seconds=10):
        assert self._over.wait(seconds), "it does not end"
        return self.totals

    def events(self):
        return cast(self.file.path)[1]

    def text(self, code="o"):
        return "".join(text for _, one, text in self.events() if one == code)


@pytest.fixture
def tape(tmp_path):
    return Tape(tmp_path)


def test_what_was_shown_is_in_it_in_order(tape):
    for number in range(100):
        tape.recorder.output(f"{number} ".encode())
    totals = tape.end(ENDED, "The shell has ended.")
    assert tape.text() == "".join(f"{number} " for number in range(100))
    assert (totals.reason, totals.sentence) == (ENDED, "The shell has ended.")
    assert (totals.bytes, totals.cast_bytes) == (tape.file.path.stat().st_size, tape.file.size)
    assert tape.events()[-1][1:] == ["m", "The shell has ended."]


def test_times_are_those_of_the_terminal_and_never_run_back(tape):
    began = time.monotonic()
    for text in (b"one", b"two", b"three"):
        tape.recorder.output(text)
        time.sleep(0.05)
    tape.end()
    times = [at for at, code, _ in tape.events() if code == "o"]
    assert times == sorted(times)
    assert 0.09 < times[-1] - times[0] < time.monotonic() - began


def test_a_character_that_comes_in_pieces_is_one(tape):
    for byte in "é日🎉".encode():
        tape.recorder.output(bytes([byte]))
    tape.recorder.output(b"\xff\xe6")
    tape.end()
    assert tape.text() == "é日🎉\ufffd\ufffd"


def test_sizes_are_in_it(tape):
    tape.recorder.resized(120, 40)
    tape.end()
    assert ["r", "120x40"] in [one[1:] for one in tape.events()]


@pytest.mark.parametrize("keys", [True, False])
def test_keystrokes_are_kept_only_where_the_policy_says_so(tmp_path, keys):
    tape = Tape(tmp_path, keystrokes=keys)
    tape.recorder.typed(b"secret\r")
    tape.recorder.output(b"shown")
    tape.end()
    assert tape.text("i") == ("secret\r" if keys else "")
    assert tape.text() == "shown"


def test_it_is_on_disk_soon_while_it_runs(tape):
    tape.recorder.output(b"here")
    began = time.monotonic()
    assert wait_until(lambda: tape.text() == "here", 15)
    assert time.monotonic() - began < 15
    tape.end()


def test_a_busy_one_is_flushed_every_second_too(tape):
    over = time.monotonic() + 2.2
    while time.monotonic() < over:
        tape.recorder.output(b"x" * 2000)
        time.sleep(0.002)
        if time.monotonic() > over - 0.1:
            break
    shown = tape.events()[-1][0]
    tape.end()
    assert shown > 1.0


def test_at_its_size_it_ends_with_a_word_and_takes_no_more(tmp_path):
    tape = Tape(tmp_path, most=10_000)
    for _ in range(50):
        tape.recorder.output(b"y" * 1000)
        time.sleep(0.006)
    totals = tape.waited()
    assert totals.reason == CAP
    assert "reached its size of 10 kB" in totals.sentence
    assert tape.events()[-1][1:] == ["m", totals.sentence]
    assert tape.recorder.is_over
    assert tape.file.size <= 10_000


def test_a_full_disk_ends_it_and_says_so(tape):
    tape.recorder.output(b"before")
    assert wait_until(lambda: tape.text() == "before", 5)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, tape.file._fd)
    os.close(full)
    tape.recorder.output(b"after")
    totals = tape.waited()
    assert (totals.reason, totals.sentence) == (
        DISK,
        "The recording ended here: there is no room on the disk.",
    )
    assert tape.recorder.is_over
    assert tape.text() == "before"
    tape.recorder.output(b"no fault")


def test_a_slow_disk_is_never_waited_for_and_what_is_missing_is_said(tape, monkeypatch):
    monkeypatch.setattr(recording, "BOUND", 200_000)
    opened, write = threading.Event(), os.write

    def slow(fd, data):
        opened.wait(10)
        return write(fd, data)

    monkeypatch.setattr("sandboxes.live.recording_format.os.write", slow)
    began = time.monotonic()
    for number in range(1000):
        tape.recorder.output(f"{number:06d}".encode() + b"z" * 994)
    assert time.monotonic() - began < 8
    waiting = sum(len(item.data) for item in tape.recorder._items)
    assert waiting <= 200_000 + 1000
    opened.set()
    assert wait_until(lambda: not tape.recorder._items, 5)
    tape.recorder.output(b"afterwards")
    tape.end()
    remarks = [text for _, code, text in tape.events() if code == "m"]
    assert [one for one in remarks if "are missing here: it came faster than it could be written" in one]
    assert tape.text().startswith("000000zzz")
    assert tape.text().endswith("afterwards")


def test_stopped_twice_is_stopped_once(tape):
    tape.recorder.output(b"x")
    assert tape.end(STOPPED, "Stopped by alice.").reason == STOPPED
    tape.recorder.stop(ENDED, "later")
    time.sleep(0.05)
    assert tape.totals.reason == STOPPED
    assert tape.events()[-1][2] == "Stopped by alice."


def test_one_thread_writes_them_all(tmp_path):
    writer, tapes = Writer(), []
    for number in range(20):
        folder = tmp_path / str(number)
        folder.mkdir()
        tapes.append(Tape(folder))
        tapes[-1].recorder._thread = writer
        writer.add(tapes[-1].recorder)
    for number, tape in enumerate(tapes):
        tape.recorder.output(f"this is {number}".encode())
    writer.end_all("The server was stopped.")
    assert writer.drain(10)
    assert [tape.text() for tape in tapes] == [f"this is {number}" for number in range(20)]


# -- in a terminal --------------------------------------------------------------------------------


async def test_a_terminal_is_recorded_once_however_many_look(tmp_path):
    world = World()
    tape = Tape(tmp_path, keystrokes=True)
    world.live.recorder = tape.recorder
    pages = [await Page().enter(world.live), await Page(cols=70).enter(world.live)]
    world.live.type(pages[0].viewer, "echo héllo\r".encode())
    await settle(0.2)
    world.live.type(pages[0].viewer, b"exit 3\r")
    await asyncio.wait_for(world.live.over.wait(), 5)
    await asyncio.to_thread(tape.waited)
    assert tape.text().encode() == pages[0].seen
    assert tape.text("i") == "echo héllo\rexit 3\r"
    assert ["r", "70x24"] in [one[1:] for one in tape.events()]
    assert tape.totals.sentence == "The shell has ended."


async def test_a_recording_that_fails_leaves_the_terminal_as_it_was(tmp_path):
    world = World()
    tape = Tape(tmp_path, most=2000)
    world.live.recorder = tape.recorder
    page = await Page().enter(world.live)
    await world.print(b"q" * 50_000)
    await asyncio.to_thread(tape.waited)
    await world.print(b"still here")
    await settle(0.1)
    assert page.seen.endswith(b"still here")
    assert world.live.ending is None
