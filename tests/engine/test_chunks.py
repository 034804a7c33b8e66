"""The reader of endless answers: chunked transfer coding and JSON lines, cut anywhere."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.engine.base import Unreachable
from sandboxes.engine.chunks import Dechunker, JsonLines

OBJECTS = [{"a": 1}, {"b": "é\n"}, {"c": [1, 2, {"d": None}]}]
BODY = b"".join(json.dumps(one).encode() + b"\n" for one in OBJECTS)


def chunked(pieces: list[bytes], end: bool = True) -> bytes:
    coded = b"".join(f"{len(one):x}\r\n".encode() + one + b"\r\n" for one in pieces if one)
    return coded + (b"0\r\n\r\n" if end else b"")


@given(st.lists(st.binary(max_size=40), max_size=8), st.data())
def test_any_chunks_cut_in_any_way(pieces: list[bytes], data: st.DataObject):
    whole = chunked(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=20)))
    reader = Dechunker()
    out = b"".join(reader.feed(whole[a:b]) for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True))
    assert out == b"".join(pieces)
    assert reader.ended


@pytest.mark.parametrize("at", range(len(BODY)))
def test_lines_cut_at_every_byte(at: int):
    reader = JsonLines(chunked=True)
    coded = chunked([BODY[:at], BODY[at:]])
    assert list(reader.feed(coded)) == OBJECTS
    assert reader.ended


def test_a_plain_answer_has_lines_too():
    reader = JsonLines(chunked=False)
    assert list(reader.feed(BODY[:20])) + list(reader.feed(BODY[20:])) == OBJECTS
    assert not reader.ended


def test_an_incomplete_line_waits():
    reader = JsonLines(chunked=True)
    assert list(reader.feed(chunked([b'{"a":'], end=False))) == []
    assert list(reader.feed(chunked([b"1}\n"], end=False))) == [{"a": 1}]


@pytest.mark.parametrize("junk", [b"zz\r\nabc", b"<html>" * 20, b"3\r\nabc\r\nhello\r\n"])
def test_what_is_not_chunked_is_told(junk: bytes):
    with pytest.raises(Unreachable):
        Dechunker().feed(junk)


@pytest.mark.parametrize("junk", [b"[]\n", b"nonsense\n", b"\xff\xfe\n", b"1\n"])
def test_what_is_no_json_object_is_told(junk: bytes):
    with pytest.raises(Unreachable):
        list(JsonLines(chunked=False).feed(junk))
