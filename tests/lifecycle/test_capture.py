"""How much of a command's output is kept: the head and the tail of each stream, and the gap is marked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.lifecycle import actions, commands
from sandboxes.lifecycle.capture import Capture
from tests.fakes.engine import Script
from tests.lifecycle.helpers import ALICE, moments_ago

pytestmark = pytest.mark.django_db


@given(st.lists(st.binary(max_size=40), max_size=30), st.integers(0, 64))
def test_the_first_and_the_last_bytes_are_kept_exactly(chunks, cap):
    capture = Capture(cap)
    for chunk in chunks:
        capture.add(chunk)
    whole = b"".join(chunks)
    head, tail = cap - cap // 2, cap // 2
    assert capture.total == len(whole)
    if len(whole) <= cap:
        assert (capture.kept, capture.head) == (whole, 0)
    else:
        assert capture.kept == whole[:head] + (whole[-tail:] if tail else b"")
        assert capture.head == head


def test_a_long_stream_is_capped_and_the_gap_is_marked(run, engine, settings):
    settings.SANDBOX_OUTPUT_CAP = 1000
    data = bytes(range(256)) * 400
    pieces = tuple(("stdout", data[at : at + 77]) for at in range(0, len(data), 77))
    engine.scripts[("sh",)] = Script(pieces)
    command = run("x")
    assert (command.stdout_bytes, command.stdout_head) == (len(data), 500)
    assert bytes(command.stdout) == data[:500] + data[-500:]


def test_old_output_of_removed_sandboxes_is_let_go(run, running):
    command = run("echo out")
    assert commands.prune(moments_ago()) == 0
    actions.remove(running, by=ALICE, wait=None)
    assert commands.prune(moments_ago()) == 1
    assert commands.prune(moments_ago()) == 0
    command.refresh_from_db()
    assert (bytes(command.stdout), command.stdout_bytes) == (b"", 4)
