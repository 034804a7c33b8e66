"""The supervisor, with real child processes: nothing dies unnoticed and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandboxes.management.supervisor import (
    FIRST_DELAY,
    HEALTHY,
    LONGEST_DELAY,
    Child,
    Supervisor,
    describe_end,
)

ROOT = Path(__file__).resolve().parents[2]
LASTING = ["sleep", "600"]
STUBBORN = ["sh", "-c", "trap '' TERM; echo $$; while :; do sleep 0.1; done"]
PROGRAM = """
import sys
from sandboxes.management import supervisor
supervisor.GRACE = float(sys.argv[1])
say = lambda text: print(text, flush=True)
children = [supervisor.Child(f"child{n}", eval(text)) for n, text in enumerate(sys.argv[2:])]
s = supervisor.Supervisor(children, say)
s.on_tick = lambda: say("pids " + " ".join(str(c.process.pid) for c in children if c.process))
s.run()
say("clean")
"""


def until(fact: Callable[[], object], seconds: float = 10) -> None:
    """Waits for a fact; fails the test when it does not come true in time."""
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether this process exists and is not a zombie that waits for its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Running:
    """A supervisor in a process of its own."""

    def __init__(self, grace: float, *commands: list[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(grace), *map(repr, commands)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.pids = self.wait_for_pids(len(commands))

    def wait_for_pids(self, count: int) -> list[int]:
        """The pids of the children, once there are so many."""
        assert self.process.stdout
        for line in self.process.stdout:
            if line.startswith("pids") and len(line.split()) == count + 1:
                return [int(pid) for pid in line.split()[1:]]
        raise AssertionError("it ended")

    def end(self) -> tuple[int, str]:
        """Waits for its end; returns the exit code and what it said."""
        said, _ = self.process.communicate(timeout=15)
        return self.process.returncode, said


@pytest.fixture
def launch() -> Iterator[Callable[..., Running]]:
    """Runs supervisors that are gone after the test."""
    running: list[Running] = []

    def launch(*commands: list[str], grace: float = 10) -> Running:
        running.append(Running(grace, *commands))
        return running[-1]

    yield launch
    for one in running:
        one.process.kill()
        one.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_ends_all_children_and_the_exit_is_clean(launch, number):
    one = launch(LASTING, LASTING)
    one.process.send_signal(number)
    code, said = one.end()
    assert (code, said.splitlines()[-1]) == (0, "clean")
    assert not any(map(is_alive, one.pids))


def test_child_that_ignores_the_signal_is_killed_after_the_grace(launch):
    one = launch(STUBBORN, LASTING, grace=0.5)
    one.process.terminate()
    code, said = one.end()
    assert code == 0
    assert "child0 did not end and is killed" in said
    assert "child1 did not end" not in said
    assert not any(map(is_alive, one.pids))


def test_second_signal_does_not_wait_for_the_grace(launch):
    one = launch(STUBBORN, grace=600)
    one.process.send_signal(signal.SIGINT)
    time.sleep(0.6)
    one.process.send_signal(signal.SIGINT)
    assert one.end()[0] == 0
    assert not any(map(is_alive, one.pids))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a child to its parent")
def test_killed_supervisor_takes_its_children_along(launch):
    one = launch(LASTING, STUBBORN)
    one.process.kill()
    until(lambda: not any(map(is_alive, one.pids)))


def test_what_a_child_has_started_ends_with_it(launch, tmp_path):
    pid = tmp_path / "pid"
    one = launch(["sh", "-c", f"sleep 600 & echo $! > {pid}; wait"])
    until(lambda: pid.exists() and pid.read_text().strip())
    one.process.terminate()
    assert one.end()[0] == 0
    until(lambda: not is_alive(int(pid.read_text())))


def test_killed_child_is_replaced_and_the_other_left_alone(launch):
    one = launch(LASTING, LASTING)
    os.kill(one.pids[0], signal.SIGKILL)
    one.wait_for_pids(1)
    new = one.wait_for_pids(2)
    assert new[0] != one.pids[0]
    assert new[1] == one.pids[1]


class Clock:
    """A clock that goes when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def lines() -> list[str]:
    """What the supervisor said."""
    return []


@pytest.fixture
def clock() -> Clock:
    """The time, in the test's hands."""
    return Clock()


@pytest.fixture
def dying(clock, lines) -> Supervisor:
    """A supervisor whose only child always dies at once with exit code 3."""
    return Supervisor([Child("web", ["sh", "-c", "exit 3"])], lines.append, clock=clock)


def die_once(one: Supervisor) -> float:
    """Starts the child, lets it die, and returns in how many seconds its restart is due."""
    child = one.children[0]
    one.tick()
    assert child.process is not None
    child.process.wait()
    one.tick()
    assert child.process is None
    return child.due - one.clock()


def test_pauses_between_restarts_double_up_to_the_longest(dying, clock):
    delays = []
    for _ in range(9):
        delays.append(die_once(dying))
        clock.now += delays[-1]
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert (delays[0], delays[-1]) == (FIRST_DELAY, LONGEST_DELAY)


def test_restart_waits_until_it_is_due(dying, clock):
    delay = die_once(dying)
    clock.now += delay - 0.01
    dying.tick()
    assert dying.children[0].process is None
    clock.now += 0.02
    dying.tick()
    assert dying.children[0].process is not None


def test_healthy_minute_is_forgiven_all_that_was_before(dying, clock):
    for _ in range(4):
        clock.now += die_once(dying)
    dying.tick()
    child = dying.children[0]
    assert child.process is not None
    child.process.wait()
    clock.now += HEALTHY
    dying.tick()
    assert child.due - clock.now == FIRST_DELAY


def test_it_says_in_one_line_what_died_how_and_what_follows(dying, lines):
    die_once(dying)
    assert lines == ["web started", "web ended with code 3; restarting in 0.5 s"]


def test_end_by_a_signal_is_called_by_its_name():
    assert describe_end(-9) == "was killed by SIGKILL"
    assert describe_end(0) == "ended with code 0"
