"""scripts/beside.py: suites at the same time, each with its own things, and a second try alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WAITS = """
import os, time, pathlib
def test_meets_the_other():
    here = pathlib.Path(__file__).parent
    (here / "{mine}").touch()
    end = time.monotonic() + 60
    while not (here / "{other}").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
def test_has_its_own_folder():
    (pathlib.Path(os.environ["SANDBOX_DATA"]).parent / "mine").touch(exist_ok=False)
"""
ONCE = """
import pathlib
def test_passes_the_second_time():
    seen = pathlib.Path(__file__).with_suffix(".seen")
    there = seen.exists()
    seen.touch()
    assert there
def test_is_run_once():
    pathlib.Path(__file__).with_suffix(".once").touch(exist_ok=False)
"""


@pytest.fixture
def beside(tmp_path):
    """``beside(name=text, ...)``: run these test files as suites; exit code and output."""

    def run(**files):
        for name, text in files.items():
            (tmp_path / f"test_{name}.py").write_text(text)
        suites = [f"-p no:django --rootdir {tmp_path} {tmp_path / f'test_{name}.py'}" for name in files]
        environment = {**os.environ, "SANDBOX_DATA": str(tmp_path / "var")}
        command = [sys.executable, "-m", "scripts.beside", *suites]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    return run


def test_they_run_at_the_same_time_each_with_its_own_folder(beside):
    one, other = WAITS.format(mine="one", other="other"), WAITS.format(mine="other", other="one")
    code, told = beside(one=one, other=other)
    assert code == 0, told
    assert told.count("2 passed") == 2


def test_what_failed_runs_once_more_and_nothing_else(beside):
    code, told = beside(once=ONCE, fine="def test_fine(): pass")
    assert code == 0, told
    assert told.count("once more, alone") == 1


def test_what_fails_twice_has_failed(beside):
    code, told = beside(bad="def test_bad(): assert False", fine="def test_fine(): pass")
    assert code == 1, told


def test_what_cannot_be_run_has_failed_at_once(beside):
    code, told = beside(broken="def test_broken(:", fine="def test_fine(): pass")
    assert code == 2, told
    assert "once more" not in told


def test_nothing_to_run_is_no_success(beside):
    assert beside(empty="")[0] == 5
