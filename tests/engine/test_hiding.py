"""Processes that hide from their marker on the real engine: they clear their environment, and are ended."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import Any

import pytest

from sandboxes.engine.docker_engine import DockerEngine
from tests.engine.helpers import INSTALL, Sandboxes, run
from tests.fakes.processes import wait_until
from tests.recording import by_hand

pytestmark = pytest.mark.engine


def sleepers(native_id: str) -> list[str]:
    """The arguments of every sleep in the container, in order."""
    with by_hand() as api:
        rows = api.top(native_id, "-o pid,stat,args")["Processes"]
    return sorted(row[-1].removeprefix("sleep ") for row in rows if row[-1].startswith("sleep "))


def begin(engine: Any, native_id: str, line: str, asleep: int, marker: str = "") -> Any:
    """A command under way whose ``asleep`` sleeps have begun."""
    before = len(sleepers(native_id))
    stream = engine.exec(native_id, ["sh", "-c", line], marker=marker)
    assert wait_until(lambda: len(sleepers(native_id)) == before + asleep, 10)
    return stream


HIDING = {
    "a child": "env -i sleep 901",
    "a child behind": "env -i sleep 902 & wait",
    "a session of its own": "env -i setsid sleep 903 & wait",
    "a shell of its own": "setsid env -i sh -c 'sleep 904; true' & wait",
    "the first one itself": "exec env -i sleep 905",
    "the first one itself and its children": "exec env -i sh -c 'sleep 906 & setsid sleep 906 & wait'",
    "a forged mark": "SANDBOX_MARKER=other. sleep 907",
    "an orphan that speaks": "(env -i setsid sleep 908 &) ; sleep 908",
    "an orphan of a hidden one": "exec env -i sh -c '(setsid sleep 909 &) ; sleep 909'",
    "all at once": "env -i sleep 910 & exec env -i sh -c 'env -i setsid sleep 910 & sleep 910; true'",
}
ASLEEP = {"902": 1, "906": 2, "908": 2, "909": 2, "910": 3}


@pytest.mark.parametrize("how", HIDING)
def test_a_cleared_environment_hides_nothing(real: Sandboxes, how: str):
    native_id, line = real.running(), HIDING[how]
    asleep = next((count for number, count in ASLEEP.items() if number in line), 1)
    with closing(begin(real.engine, native_id, line, asleep, "mine")):
        assert real.engine.kill_marked(native_id, "mine") == 0
        assert sleepers(native_id) == []


def test_what_its_shell_left_behind_is_ended_too(real: Sandboxes):
    native_id = real.running()
    with closing(begin(real.engine, native_id, "env -i sleep 911 & env -i sleep 911 & exit", 2, "mine")):
        assert real.engine.kill_marked(native_id, "mine") == 0
        assert sleepers(native_id) == []


def test_another_process_of_ours_can_end_it(real: Sandboxes):
    """After a crash: all that is known is the marker in the record."""
    native_id = real.running()
    with closing(begin(real.engine, native_id, "exec env -i sh -c 'sleep 912; true'", 1, "mine")):
        with closing(DockerEngine(INSTALL)) as other:
            assert other.kill_marked(native_id, "mine") == 0
        assert sleepers(native_id) == []


def test_others_who_clear_their_environment_live(real: Sandboxes):
    native_id, engine = real.running(), real.engine
    by_hand = begin(engine, native_id, "exec env -i sh -c 'sleep 921 & setsid sleep 921 & wait'", 2)
    theirs = begin(engine, native_id, "exec env -i sh -c 'sleep 922 & sleep 922'", 2, "theirs")
    left = begin(engine, native_id, "(env -i setsid sleep 923 >/dev/null 2>&1 &)", 1, "gone")
    mine = begin(engine, native_id, "exec env -i sh -c 'sleep 924 & sleep 924'", 2, "mine")
    with closing(by_hand), closing(theirs), closing(left), closing(mine):
        assert engine.kill_marked(native_id, "mine") == 0
        assert sleepers(native_id) == ["921"] * 2 + ["922"] * 2 + ["923"]
        assert engine.kill_marked(native_id, "theirs") == 0
        assert sleepers(native_id) == ["921", "921", "923"]


def test_another_user_s_hidden_processes_are_ended_where_root_is_allowed(real: Sandboxes):
    native_id = real.running(root=True)
    line = "su student -c 'exec env -i sh -c \"sleep 931; true\"'"
    with closing(begin(real.engine, native_id, line, 1, "mixed")):
        assert real.engine.kill_marked(native_id, "mixed") == 0
        assert sleepers(native_id) == []


TYPED = {
    "another shell": b"exec env -i sh\nsleep 941\n",
    "a job": b"env -i sleep 942 &\n",
    "a session of its own": b"env -i setsid sleep 943\n",
    "a shell that ends": b"set -m; env -i sleep 944 & exit\n",
}


@pytest.mark.parametrize("how", TYPED)
async def test_a_terminal_s_hidden_processes_are_ended(real: Sandboxes, how: str):
    native_id, engine = await asyncio.to_thread(real.running), real.engine
    other = await engine.open_terminal(native_id, ["sh"], cols=80, rows=24, marker="other")
    await other.write(b"exec env -i sh\nsleep 949\n")
    terminal = await engine.open_terminal(native_id, ["sh"], cols=80, rows=24, marker="mine")
    await terminal.write(TYPED[how])
    assert await asyncio.to_thread(wait_until, lambda: len(sleepers(native_id)) == 2, 10)
    assert await asyncio.to_thread(engine.kill_marked, native_id, "mine") == 0
    assert await asyncio.to_thread(sleepers, native_id) == ["949"]
    for one in (terminal, other):
        one.close()


@pytest.mark.parametrize("turn", range(3))
def test_many_hidden_ones_are_told_apart(real: Sandboxes, turn: int):
    native_id = real.running(pids=128)
    line = "exec env -i sh -c 'sleep 95{0} & env -i setsid sleep 95{0} & sleep 95{0}'"
    streams = [
        real.engine.exec(native_id, ["sh", "-c", line.format(n)], marker=f"m{n}" if n < 8 else "")
        for n in range(10)
    ]
    assert wait_until(lambda: len(sleepers(native_id)) == 30, 20)
    for n in range(0, 8, 2):
        assert real.engine.kill_marked(native_id, f"m{n}") == 0
    assert sleepers(native_id) == sorted(3 * [f"95{n}" for n in (1, 3, 5, 7, 8, 9)])
    for stream in streams:
        stream.close()


def test_the_sandbox_goes_on(real: Sandboxes):
    native_id = real.running()
    with closing(begin(real.engine, native_id, "exec env -i sleep 961", 1, "mine")):
        assert real.engine.kill_marked(native_id, "mine") == 0
    assert run(real.engine, native_id, "echo", "on")[0] == b"on\n"
