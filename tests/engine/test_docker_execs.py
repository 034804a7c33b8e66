"""Execs on the real engine: byte-exact output, limits that hold, and processes that end."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from sandboxes.engine.base import ContainerStatus, EngineError
from sandboxes.engine.docker_engine import DockerEngine
from tests import recording
from tests.engine.helpers import INSTALL, MIB, Sandboxes, collect, run
from tests.engine.local_images import image_of
from tests.fakes.processes import wait_until

pytestmark = pytest.mark.engine


# -- output ---------------------------------------------------------------------------------------


def test_ten_megabytes_arrive_byte_for_byte(real: Sandboxes):
    native_id = real.running()
    run(real.engine, native_id, "sh", "-c", "head -c 10000000 /dev/urandom > data")
    wanted = run(real.engine, native_id, "sha256sum", "data")[0].split()[0].decode()
    out, err, code = run(real.engine, native_id, "cat", "data")
    assert (len(out), err, code) == (10_000_000, b"", 0)
    assert hashlib.sha256(out).hexdigest() == wanted


def test_both_streams_stay_apart_under_load(real: Sandboxes):
    line = "i=0; while [ $i -lt 2000 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done"
    out, err, code = run(real.engine, real.running(), "sh", "-c", line)
    assert code == 0
    assert out == b"".join(b"o%d\n" % i for i in range(2000))
    assert err == b"".join(b"e%d\n" % i for i in range(2000))


def test_output_arrives_while_it_runs(real: Sandboxes):
    stream = real.engine.exec(real.running(), ["sh", "-c", "echo first; sleep 60"])
    with closing(stream):
        began = time.monotonic()
        assert next(iter(stream)) == ("stdout", b"first\n")
        assert time.monotonic() - began < 10


def test_an_unread_command_does_not_run_ahead(real: Sandboxes):
    """The engine's own flow control holds the writer: nothing is gathered on our side."""
    native_id = real.running()
    stream = real.engine.exec(native_id, ["sh", "-c", "yes & echo $!; wait"], marker="unread")
    with closing(stream):
        time.sleep(1)
        sample = next(iter(real.engine.stats(native_id, lambda: False)))
        assert sample.memory < 32 * MIB
        assert real.engine.kill_marked(native_id, "unread") == 0


def test_close_wakes_the_reader(real: Sandboxes):
    stream = real.engine.exec(real.running(), ["sleep", "60"])
    threading.Timer(0.3, stream.close).start()
    began = time.monotonic()
    assert list(stream) == []
    assert time.monotonic() - began < 5


def test_environment_and_working_directory(real: Sandboxes):
    given: dict[str, Any] = {"environment": {"WORD": "a b=c", "SANDBOX_MARKER": "forged"}}
    out, _, _ = run(
        real.engine,
        real.running(),
        *("sh", "-c", 'echo "$WORD"; pwd; echo $SANDBOX_MARKER'),
        marker="real",
        workdir="/tmp",
        **given,
    )
    assert out == b"a b=c\n/tmp\nreal.\n"


@pytest.mark.parametrize(
    ("argv", "workdir", "sentence", "code"),
    [
        (["no-such-program"], "", b"no-such-program: program not found\n", 127),
        (["/no/such/program"], "", b"/no/such/program: program not found\n", 127),
        (["/etc/passwd"], "", b"/etc/passwd: this is not a program, or may not be run\n", 126),
        (["true"], "/nowhere", b"The working directory cannot be entered.\n", 126),
    ],
)
def test_what_cannot_be_started_is_told_without_engine_text(
    real: Sandboxes, argv: list[str], workdir: str, sentence: bytes, code: int
):
    assert run(real.engine, real.running(), *argv, workdir=workdir) == (b"", sentence, code)


def test_a_program_that_prints_like_the_engine_is_left_alone(real: Sandboxes):
    out, err, code = run(real.engine, real.running(), "echo", "OCI runtime exec failed: not")
    assert (out, err, code) == (b"OCI runtime exec failed: not\n", b"", 0)


def test_the_shell_s_own_127_is_not_touched(real: Sandboxes):
    out, err, code = run(real.engine, real.running(), "sh", "-c", "nothing-here")
    assert (out, code) == (b"", 127)
    assert b"nothing-here: not found" in err


# -- output that nobody reads ---------------------------------------------------------------------

FLOOD = ["sh", "-c", "yes & wait"]


@pytest.mark.parametrize("act", ["stop", "remove"])
def test_unread_output_does_not_delay_the_end(real: Sandboxes, act: str):
    native_id = real.running()
    with closing(real.engine.exec(native_id, FLOOD)):
        time.sleep(0.5)
        began = time.monotonic()
        getattr(real.engine, act)(native_id)
        assert time.monotonic() - began < 6


def test_unread_output_does_not_delay_an_end_by_another_hand(real: Sandboxes):
    native_id, over, other = real.running(), threading.Event(), DockerEngine(INSTALL)
    watcher = threading.Thread(target=lambda: list(real.engine.events(time.time(), over.is_set)))
    watcher.start()
    try:
        with closing(other), closing(real.engine.exec(native_id, FLOOD)):
            time.sleep(0.5)
            began = time.monotonic()
            other.remove(native_id)
            assert time.monotonic() - began < 8
    finally:
        over.set()
        watcher.join()


# -- limits ---------------------------------------------------------------------------------------


def test_out_of_memory_in_an_exec_is_137_and_an_event(real: Sandboxes):
    began, native_id = time.time(), real.running(memory=32 * MIB)
    assert run(real.engine, native_id, "tail", "/dev/zero")[2] == 137
    state = real.engine.inspect(native_id)
    assert state.status is ContainerStatus.RUNNING

    def seen(events: list[Any]) -> bool:
        return any((one.action, one.native_id) == ("oom", native_id) for one in events)

    assert seen(collect(real.engine, began - 1, seen))


def test_memory_is_told_without_page_cache(real: Sandboxes):
    native_id = real.running(memory=64 * MIB)
    run(real.engine, native_id, "dd", "if=/dev/zero", "of=file", "bs=1M", "count=40")
    with closing(real.engine.stats(native_id, lambda: False)) as samples:
        assert next(samples).memory < 25 * MIB


def test_a_network_has_counters_and_none_has_not(real: Sandboxes):
    for network, known in (("none", False), ("internet", True)):
        with closing(real.engine.stats(real.running(network=network), lambda: False)) as samples:
            sample = next(samples)
        assert (sample.rx is not None, sample.tx is not None) == (known, known)


def test_a_fork_bomb_stays_inside_and_is_ended(real: Sandboxes):
    native_id = real.running(pids=32)
    bomb = ["sh", "-c", "bomb() { bomb | bomb & sleep 0.01; bomb; }; bomb"]
    with closing(real.engine.exec(native_id, bomb, marker="bomb")):
        time.sleep(1)
        with closing(real.engine.stats(native_id, lambda: False)) as samples:
            assert next(samples).pids <= 32
        real.engine.ping()
        # a program of ours has to get in first, where there is room for none
        assert wait_until(lambda: real.engine.kill_marked(native_id, "bomb") == 0, 60)
    assert run(real.engine, native_id, "true")[2] == 0


# -- ending what was marked -----------------------------------------------------------------------

STUBBORN = """
trap '' HUP TERM INT
setsid sleep 71 &
sleep 72 &
(trap '' HUP; while :; do sleep 73; done) &
(sleep 74 & sleep 74 &)
wait; while :; do sleep 75; done
"""


@pytest.fixture(scope="module", params=["busybox", "dash", "bash"])
def shells(request: pytest.FixtureRequest, docker_engine: DockerEngine) -> Iterator[dict[str, str]]:
    """The spec's image for each kind of shell."""
    if request.param == "busybox":
        yield {}
        return
    programs = {"bin/sh": request.param} | {f"bin/{name}": name for name in ("sleep", "setsid", "env")}
    with image_of(request.param, programs) as reference:
        yield {"image": reference}


def commands(engine: Any, native_id: str) -> str:
    """Every command line in the container."""
    line = 'for f in /proc/[0-9]*; do read -r l < $f/cmdline; echo "$l"; done 2>/dev/null'
    out: bytes = run(engine, native_id, "sh", "-c", line)[0]
    return out.decode()


def has(text: str, *words: str) -> bool:
    return all(word in text for word in words)


def test_everything_that_was_marked_is_ended(real: Sandboxes, shells: dict[str, str]):
    native_id = real.running(**shells)
    marked = real.engine.exec(native_id, ["sh", "-c", STUBBORN], marker="mine")
    other = real.engine.exec(native_id, ["sleep", "99"], marker="mine2")
    with closing(marked), closing(other):
        assert wait_until(
            lambda: (
                "sleep75" in commands(real.engine, native_id) or "sleep74" in commands(real.engine, native_id)
            )
        )
        began = time.monotonic()
        assert real.engine.kill_marked(native_id, "mine") == 0
        assert time.monotonic() - began < 5
        left = commands(real.engine, native_id)
        assert "sleep7" not in left
        assert "sleep99" in left
        assert list(marked) == []
        assert other.exit_code() is None


def test_what_cleared_its_environment_is_ended_by_any_shell(real: Sandboxes, shells: dict[str, str]):
    native_id = real.running(**shells)
    line = "env -i setsid sleep 76 & exec env -i sh -c 'sleep 77 & sleep 78; true'"
    with closing(real.engine.exec(native_id, ["sh", "-c", line], marker="mine")):
        assert wait_until(lambda: has(commands(real.engine, native_id), "sleep76", "sleep77", "sleep78"), 30)
        assert real.engine.kill_marked(native_id, "mine") == 0
        assert "sleep7" not in commands(real.engine, native_id)


def test_a_library_that_its_environment_loads_first_is_in_nobody_else_s_way(
    real: Sandboxes, shells: dict[str, str]
):
    """Every program inside is told of it, those that end others among them."""
    native_id = real.running(environment={"LD_PRELOAD": "/workspace/mine.so"}, **shells)
    out, err, code = run(real.engine, native_id, "sh", "-c", "echo $LD_PRELOAD; exit 3")
    assert (out, code) == (b"/workspace/mine.so\n", 3)
    assert (b"cannot be preloaded" in err) is bool(shells)  # busybox has no loader
    with closing(real.engine.exec(native_id, ["sh", "-c", "env -i sleep 79 & sleep 79"], marker="mine")):
        assert wait_until(lambda: commands(real.engine, native_id).count("sleep79") == 2, 30)
        assert real.engine.kill_marked(native_id, "mine") == 0
        assert "sleep79" not in commands(real.engine, native_id)


def test_another_user_s_processes_are_ended_where_root_is_allowed(real: Sandboxes):
    native_id = real.running(root=True)
    line = "su student -c 'trap \"\" HUP; sleep 71 & wait'; sleep 72"
    with closing(real.engine.exec(native_id, ["sh", "-c", line], marker="mixed")):
        assert wait_until(lambda: "sleep71" in commands(real.engine, native_id))
        assert real.engine.kill_marked(native_id, "mixed") == 0
        assert "sleep7" not in commands(real.engine, native_id)


def test_a_stopped_job_is_ended_too(real: Sandboxes):
    native_id = real.running()
    with closing(real.engine.exec(native_id, ["sh", "-c", "kill -STOP $$"], marker="still")):
        time.sleep(0.3)
        assert real.engine.kill_marked(native_id, "still") == 0


def test_processes_without_the_mark_live(real: Sandboxes):
    native_id = real.running()
    with closing(real.engine.exec(native_id, ["sleep", "99"])) as stream:
        assert real.engine.kill_marked(native_id, "nobody") == 0
        assert stream.exit_code() is None
    assert real.engine.inspect(native_id).status is ContainerStatus.RUNNING


# -- housekeeping ---------------------------------------------------------------------------------


def open_files() -> int:
    """This process's, without those of the way on which calls are written down; twice the same in a row."""
    found = [0, 1]
    while found[-1] != found[-2]:
        found.append(len(os.listdir("/proc/self/fd")) - recording.sockets())
        time.sleep(0.1)
    return found[-1]


def test_nothing_is_left_open(real: Sandboxes):
    native_id = real.running()
    run(real.engine, native_id, "true")
    next(iter(real.engine.stats(native_id, lambda: False)))
    before = open_files()
    for _ in range(15):
        run(real.engine, native_id, "echo", "x")
        with closing(real.engine.exec(native_id, ["echo", "unread"])):
            pass
    for _ in range(3):
        with closing(real.engine.stats(native_id, lambda: False)) as samples:
            next(samples)
        list(real.engine.events(time.time(), lambda: True))
        with pytest.raises(EngineError):
            real.engine.exec("0" * 64, ["true"])
    assert wait_until(lambda: abs(open_files() - before) <= 1)


def test_engine_health_is_good(real: Sandboxes):
    real.engine.ping()
    assert real.engine.health.unreachable_since is None
