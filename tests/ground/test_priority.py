"""The web server goes before what the engine does, where it may."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sandboxes.management import priority
from tests.fakes.processes import wait_until

TELL = """
import os, sys
from sandboxes.management import priority
priority.change(int(sys.argv[1]))
group = priority.GROUP.read_text() if priority.GROUP.exists() else ""
print(os.getpriority(os.PRIO_PROCESS, 0), group.split()[-1] if group else "none")
"""


def changed(niceness: int, before: str = "") -> list[str]:
    """Niceness of a process, and of its session, that asked for this."""
    command = [sys.executable, "-c", before + TELL, str(niceness)]
    return subprocess.run(
        command, start_new_session=True, capture_output=True, text=True, check=True
    ).stdout.split()


def present() -> int:
    return os.getpriority(os.PRIO_PROCESS, 0)


def may_go_first() -> bool:
    return (
        subprocess.run([sys.executable, "-c", "import os; os.nice(-5)"], capture_output=True).returncode == 0
    )


def group(niceness: int) -> str:
    return str(niceness) if priority.GROUP.exists() else "none"


def becomes(expected: list[str], niceness: int, before: str = "") -> bool:
    """Tried more than once: the kernel changes one session in 100 ms for whom it trusts less."""
    return wait_until(lambda: changed(niceness, before) == expected)


def test_later_is_for_everybody():
    assert becomes([str(min(present() + 3, 19)), group(3)], 3)


def test_first_is_for_who_may():
    expected = [str(present() - 5), group(-5)] if may_go_first() else [str(present()), group(0)]
    assert becomes(expected, -5)


def test_who_may_not_is_left_as_they_are():
    """Without the right to it: the kernel refuses, and the web server starts all the same."""
    as_nobody = """
import os, resource
import sandboxes.management.priority
resource.setrlimit(resource.RLIMIT_NICE, (0, 0))
if os.geteuid() == 0:
    os.setuid(65534)
"""
    assert changed(-5, as_nobody) == [str(present()), group(0)]


def test_a_session_that_is_somebody_elses_is_left_alone(tmp_path, monkeypatch):
    """A server that is started by hand: the shell it came from goes on."""
    group = tmp_path / "autogroup"
    group.write_text("/autogroup-7 nice 0\n")
    monkeypatch.setattr(priority, "GROUP", group)
    monkeypatch.setattr(os, "nice", lambda niceness: 0)
    monkeypatch.setattr(os, "getsid", lambda pid: os.getpid() + 1)
    priority.change(-5)
    assert group.read_text() == "/autogroup-7 nice 0\n"


@pytest.mark.parametrize("told", ["", "/autogroup-7 nice 4\n"])
def test_a_system_without_groups_or_with_one_that_takes_nothing(told, tmp_path, monkeypatch):
    group = tmp_path / "autogroup"
    if told:
        group.write_text(told)
    monkeypatch.setattr(priority, "GROUP", group)
    monkeypatch.setattr(os, "nice", lambda niceness: 0)
    monkeypatch.setattr(os, "getsid", lambda pid: os.getpid())
    priority.change(-30)
    assert (group.read_text() if told else group.exists()) == ("-20" if told else False)
