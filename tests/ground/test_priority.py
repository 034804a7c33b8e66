"""The web server goes before what the engine does, where it may."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sandboxes.management import priority

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
        subprocess.run([sys.executable, "-c", "import os; os.nice(-1)"], capture_output=True).returncode == 0
    )


def group(niceness: int) -> str:
    return str(niceness) if priority.GROUP.exists() else "none"


def test_later_is_for_everybody():
    assert changed(3) == [str(min(present() + 3, 19)), group(3)]


def test_first_is_for_who_may():
    expected = [str(present() - 5), group(-5)] if may_go_first() else [str(present()), group(0)]
    assert changed(-5) == expected


def test_who_may_not_is_left_as_they_are():
    """Without the right to it: the kernel refuses, and the web server starts all the same."""
    as_nobody = "import os, sandboxes.management.priority\nif os.geteuid() == 0: os.setuid(65534)\n"
    assert changed(-5, as_nobody) == [str(present()), group(0)]


@pytest.mark.parametrize("told", ["", "/autogroup-7 nice 4\n"])
def test_a_system_without_groups_or_with_one_that_takes_nothing(told, tmp_path, monkeypatch):
    group = tmp_path / "autogroup"
    if told:
        group.write_text(told)
    monkeypatch.setattr(priority, "GROUP", group)
    monkeypatch.setattr(os, "nice", lambda niceness: 0)
    priority.change(-30)
    assert (group.read_text() if told else group.exists()) == ("-20" if told else False)
