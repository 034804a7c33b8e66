"""asciicast v2 on disk: the text as it was, whatever cuts the bytes, and whatever cuts the file."""

import errno
import gzip
import json
import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.live import recording_format as form
from sandboxes.live.recording_format import CastFile, Full, Text

HEAD = form.header(80, 24, 1_700_000_000.9, "main of web", "bash")


def cast(path):
    """The header and the events of a file."""
    lines = b"".join(form.read(path)).decode().split("\n")
    assert lines.pop() == ""
    return json.loads(lines[0]), [json.loads(line) for line in lines[1:]]


@pytest.fixture
def file(tmp_path):
    made = CastFile(tmp_path / "rec_a.cast.gz", HEAD, 1 << 20)
    yield made
    made.drop()


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=12))
def test_any_cut_of_any_bytes_gives_the_same_text(data, cuts):
    text, out, last = Text(), "", 0
    for cut in sorted(min(one, len(data)) for one in cuts):
        out, last = out + text.take(data[last:cut]), cut
    assert out + text.take(data[last:]) + text.end() == data.decode("utf-8", "replace")


@given(st.text(max_size=50), st.integers(1, 4))
def test_no_character_is_split_and_none_is_lost(words, width):
    data, text = words.encode("utf-8", "replace"), Text()
    pieces = [text.take(data[at : at + width]) for at in range(0, len(data), width)]
    assert "".join(pieces) == data.decode()
    assert text.end() == ""


@given(st.lists(st.tuples(st.floats(0, 1e6), st.sampled_from("oirm"), st.text())))
def test_every_event_is_one_line_that_says_it(events):
    for at, code, text in events:
        line = form.event(at, code, text)
        assert line.count(b"\n") == 1
        assert line.endswith(b"\n")
        found = json.loads(line)
        assert found == [pytest.approx(at, abs=1e-6), code, text]


def test_the_header_is_what_players_expect(file):
    file.close()
    head, events = cast(file.path)
    assert head == {
        "version": 2, "width": 80, "height": 24, "timestamp": 1_700_000_000, "title": "main of web",
        "env": {"TERM": "xterm-256color", "SHELL": "bash"},
    }  # fmt: skip
    assert events == []


def test_only_its_user_may_read_it(file):
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_a_file_of_that_name_is_never_written_over(file):
    with pytest.raises(FileExistsError):
        CastFile(file.path, HEAD, 1 << 20)
    assert file.path.exists()


def test_closed_it_is_a_gzip_file_that_anybody_unpacks(file):
    file.add(0.5, "o", "hé\x1b[1m")
    file.close("Stopped by alice.", 3.25)
    lines = gzip.decompress(file.path.read_bytes()).decode().splitlines()
    assert [json.loads(line) for line in lines[1:]] == [
        [0.5, "o", "hé\x1b[1m"],
        [3.25, "m", "Stopped by alice."],
    ]
    assert (file.size, file.bytes) == (
        sum(len(line.encode()) + 1 for line in lines),
        file.path.stat().st_size,
    )
    assert form.measure(file.path) == (3.25, file.size)


def test_what_was_flushed_is_readable_and_the_rest_does_no_harm(file):
    file.add(1, "o", "kept")
    file.flush()
    flushed = file.path.stat().st_size
    file.add(2, "o", os.urandom(40_000).hex())
    file.drop()  # as when the process is killed
    assert cast(file.path)[1] == [[1, "o", "kept"]]
    assert file.path.stat().st_size > flushed


@pytest.mark.parametrize("part", range(4, 40))
def test_a_file_that_is_cut_anywhere_has_all_that_was_flushed_before(file, part):
    flushed = []
    for number in range(200):
        file.add(number, "o", f"line {number} of some text that is not all the same: {number * 7919}\r\n")
        file.flush()
        flushed.append(file.bytes)
    file.close()
    data = file.path.read_bytes()
    cut = len(data) * part // 40
    file.path.write_bytes(data[:cut])
    head, events = cast(file.path)
    assert head["version"] == 2
    assert [one[0] for one in events] == list(range(len(events)))
    assert len(events) >= len([at for at in flushed if at <= cut])


def test_garbage_is_no_recording_and_no_fault(tmp_path):
    path = tmp_path / "rec_b.cast.gz"
    path.write_bytes(b"no gzip at all")
    assert list(form.read(path)) == []
    assert form.measure(path) == (0.0, 0)


def fill(file):
    for number in range(1000):
        file.add(number, "o", "x" * 50)


def test_it_never_grows_beyond_its_most(tmp_path):
    file = CastFile(tmp_path / "rec_c.cast.gz", HEAD, 4000)
    with pytest.raises(Full):
        fill(file)
    file.close("It has reached its size.")
    assert 3000 < file.size <= 4000
    assert cast(file.path)[1][-1][1:] == ["m", "It has reached its size."]


def test_a_large_recording_is_read_in_pieces(file):
    text = "0123456789" * 10_000
    big = CastFile(file.path.with_name("rec_d.cast.gz"), HEAD, 1 << 30)
    for number in range(300):
        big.add(number, "o", text)
    big.close()
    pieces = [len(piece) for piece in form.read(big.path)]
    assert sum(pieces) == big.size > 30_000_000
    assert max(pieces) < 4_000_000
    assert big.bytes < big.size / 100


def test_a_disk_without_room_is_said_at_once(tmp_path, monkeypatch):
    def write(fd, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(form.os, "write", write)
    with pytest.raises(OSError, match="space"):
        CastFile(tmp_path / "rec_e.cast.gz", HEAD, 1 << 20)
    assert list(tmp_path.iterdir()) == []
