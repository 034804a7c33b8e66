"""The ring keeps the last bytes, numbered, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.live.ring import Ring

chunks = st.lists(st.binary(min_size=1, max_size=50), max_size=40)


@given(chunks, st.integers(1, 200), st.integers(0, 2000), st.integers(1, 100))
def test_what_is_kept_is_what_came(parts, capacity, offset, limit):
    ring, whole = Ring(capacity), b"".join(parts)
    for part in parts:
        ring.add(part)
    assert ring.head == len(whole)
    offset = min(max(offset, ring.start), ring.head)
    assert ring.read(offset, limit) == whole[offset : offset + limit]


@given(chunks, st.integers(1, 200))
def test_it_never_grows_beyond_its_capacity_and_one_chunk(parts, capacity):
    ring = Ring(capacity)
    for part in parts:
        ring.add(part)
        assert ring.head - ring.start <= max(capacity, len(part))


def test_a_byte_that_is_gone_or_not_there_yet_is_an_error():
    ring = Ring(4)
    ring.add(b"abcd")
    ring.add(b"efgh")
    for offset in (0, 3, 9):
        with pytest.raises(ValueError, match="not kept"):
            ring.read(offset, 1)


def test_a_program_that_writes_byte_by_byte_costs_no_object_a_byte():
    ring = Ring(1024 * 1024)
    for number in range(100_000):
        ring.add(b"%02d" % (number % 100))
    assert len(ring._blocks) < 20
    assert ring.read(ring.head - 4, 10) == b"9899"
