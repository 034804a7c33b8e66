"""The output parser: byte-exact whatever way the stream is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.engine.base import Unreachable
from sandboxes.engine.frames import FrameParser

CODES = {"stdout": 1, "stderr": 2}


def framed(parts: list[tuple[str, bytes]]) -> bytes:
    return b"".join(
        bytes([CODES[name], 0, 0, 0]) + len(data).to_bytes(4, "big") + data for name, data in parts
    )


def parsed(pieces: list[bytes]) -> list[tuple[str, bytes]]:
    """What comes out, with neighbours of one stream joined."""
    parser, out = FrameParser(), []
    for piece in pieces:
        out += parser.feed(piece)
    parser.finish()
    return joined(out)


def joined(parts: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    out: list[tuple[str, bytes]] = []
    for name, data in parts:
        if out and out[-1][0] == name:
            out[-1] = (name, out[-1][1] + data)
        elif data:
            out.append((name, data))
    return out


PARTS = [("stdout", b"one\n"), ("stderr", b""), ("stderr", "é\n".encode()), ("stdout", b"\0" * 9)]


@pytest.mark.parametrize("at", range(len(framed(PARTS)) + 1))
def test_cut_in_two_at_every_byte(at: int):
    whole = framed(PARTS)
    assert parsed([whole[:at], whole[at:]]) == joined(PARTS)


def test_one_byte_at_a_time():
    whole = framed(PARTS)
    assert parsed([whole[at : at + 1] for at in range(len(whole))]) == joined(PARTS)


parts = st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.binary(max_size=50)))


@given(parts, st.data())
def test_any_frames_cut_in_any_way(given_parts: list[tuple[str, bytes]], data: st.DataObject):
    whole = framed(given_parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=30)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert parsed(pieces) == joined(given_parts)


def test_payload_is_handed_on_before_its_frame_is_complete():
    parser = FrameParser()
    header = bytes([1, 0, 0, 0]) + (1 << 31).to_bytes(4, "big")
    assert list(parser.feed(header + b"abc")) == [("stdout", b"abc")]


@pytest.mark.parametrize("cut", [3, 8, 11])
def test_a_stream_that_breaks_off_inside_a_frame_is_told(cut: int):
    parser = FrameParser()
    list(parser.feed(framed([("stdout", b"abcdef")])[:cut]))
    with pytest.raises(Unreachable):
        parser.finish()


@pytest.mark.parametrize("junk", [b"HTTP/1.1 200 OK\r\n", b"\x09\0\0\0\0\0\0\x01a", b"\x01\x01\0\0abcd"])
def test_what_is_no_such_stream_is_told(junk: bytes):
    with pytest.raises(Unreachable):
        list(FrameParser().feed(junk))
