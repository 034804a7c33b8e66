"""Locks that processes share: each instance here is as good as a process of its own."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from sandboxes.engine.base import Conflict
from sandboxes.engine.locks import Locks
from sandboxes.engine.starts import Starts
from tests.fakes.apart import apart

ROOT = Path(__file__).parents[2]


def test_one_alone_or_many_beside_each_other(tmp_path: Path):
    ours, theirs = Locks(tmp_path), Locks(tmp_path)
    with ours.held("box", 5, alone=False), theirs.held("box", 5, alone=False):
        pass
    with ours.held("box", 5, alone=True), pytest.raises(Conflict), theirs.held("box", 0.05, alone=False):
        pass
    with ours.held("box", 5, alone=False), pytest.raises(Conflict), theirs.held("box", 0.05, alone=True):
        pass
    with ours.held("box", 5, alone=True), theirs.held("other", 0, alone=True):
        pass


def test_the_files_are_few_and_ours_alone(tmp_path: Path):
    locks = Locks(tmp_path / "locks")
    for number in range(1000):
        with locks.held(f"container {number}", 0, alone=True):
            pass
    assert 200 < len(list((tmp_path / "locks").iterdir())) <= 256
    assert (tmp_path / "locks").stat().st_mode & 0o777 == 0o700


HOLD = """
import pathlib, sys
from sandboxes.engine.locks import Locks
with Locks(pathlib.Path(sys.argv[1])).held("box", 5, alone=True):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_who_dies_lets_go(tmp_path: Path):
    argv = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(Conflict), Locks(tmp_path).held("box", 0.05, alone=False):
            pass
        other.kill()
    with Locks(tmp_path).held("box", 0, alone=True):
        pass


def test_where_no_file_can_be_the_work_goes_on_and_it_is_said(tmp_path: Path, caplog):
    (tmp_path / "locks").write_text("no folder")
    with caplog.at_level(logging.WARNING), Locks(tmp_path / "locks").held("box", 0, alone=True):
        pass
    assert "not kept apart" in caplog.text


def test_a_pause_and_what_begins_in_another_process_wait_for_each_other(tmp_path: Path):
    ours, theirs, order = Starts(Locks(tmp_path)), Starts(Locks(tmp_path)), list[str]()

    def begin() -> None:
        with theirs.beginning("box"):
            order.append("begun")

    def pause() -> None:
        with theirs.pausing("box"):
            order.append("paused")

    with ours.pausing("box"):
        other = apart(begin)
        other.join(0.1)
        order.append("paused here")
    other.join(20)
    with ours.beginning("box"):
        other = apart(pause)
        other.join(0.1)
        order.append("begun here")
    other.join(20)
    assert order == ["paused here", "begun", "begun here", "paused"]
