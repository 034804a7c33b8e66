"""A pause and the beginning of a program stay apart."""

from __future__ import annotations

import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from sandboxes.engine import starts
from sandboxes.engine.base import Conflict, ContainerStatus, EngineError, Unreachable
from sandboxes.engine.docker_engine import DockerEngine
from sandboxes.engine.starts import Starts
from tests.engine.helpers import INSTALL, Sandboxes, run
from tests.fakes.apart import apart


def test_a_pause_waits_for_what_is_beginning():
    made, order = Starts(), list[str]()
    inside, go = threading.Event(), threading.Event()

    def begin() -> None:
        with made.beginning("box") as ids:
            ids.append("exec")
            inside.set()
            go.wait(5)
            order.append("begun")

    thread = threading.Thread(target=begin)
    thread.start()
    inside.wait(5)
    threading.Timer(0.1, go.set).start()
    with made.pausing("box") as begun:
        order.append("paused")
        assert begun == ["exec"]
    thread.join()
    assert order == ["begun", "paused"]


def test_what_begins_waits_for_a_pause_of_its_own_container_only():
    made, order = Starts(), list[str]()

    def begin() -> None:
        with made.beginning("box"):
            order.append("begun")

    thread = threading.Thread(target=begin)
    with made.pausing("box"):
        thread.start()
        time.sleep(0.05)
        with made.beginning("other"):
            order.append("other")
    thread.join()
    assert order == ["other", "begun"]


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(starts, "_PATIENCE", 0.05)
    made = Starts()
    with made.pausing("box"), pytest.raises(Conflict), made.beginning("box"):
        pass
    with made.beginning("box"), pytest.raises(Conflict), made.pausing("box"):
        pass
    with made.beginning("box"), made.pausing("other"):
        pass


def test_each_start_is_looked_at_once_and_a_refused_one_never():
    made = Starts()
    with suppress(EngineError), made.beginning("box") as ids:
        ids.append("refused")
        raise EngineError("no")
    with suppress(Unreachable), made.beginning("box") as ids:
        ids.append("unsure")
        raise Unreachable("away")
    with made.pausing("box") as begun:
        assert begun == ["unsure"]
    with made.pausing("box") as begun:
        assert begun == []


@pytest.mark.engine
@pytest.mark.parametrize("elsewhere", [False, True])
def test_pausing_amid_starting_programs(real: Sandboxes, tmp_path: Path, elsewhere: bool):
    """An engine 20.10 that is not spared this hangs within a few rounds, and its statistics too.

    As the web server starts programs while the loop pauses, where that is ``elsewhere``.
    """
    native_id, over = real.running(), threading.Event()

    def keep_starting(engine: DockerEngine) -> None:
        while not over.is_set():
            with suppress(Conflict):
                run(engine, native_id, "true")
            time.sleep(0.02)

    with (
        closing(DockerEngine(INSTALL, locks=tmp_path)) as ours,
        closing(DockerEngine(INSTALL, locks=tmp_path)) as theirs,
    ):
        threads = [apart(keep_starting, theirs if elsewhere else ours) for _ in range(2)]
        try:
            for _ in range(10):
                ours.pause(native_id)
                assert ours.inspect(native_id).status is ContainerStatus.PAUSED
                ours.resume(native_id)
                time.sleep(0.1)
        finally:
            over.set()
            for one in threads:
                one.join()
