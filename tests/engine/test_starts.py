"""A pause and the beginning of a program stay apart."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import pytest

from sandboxes.engine import starts
from sandboxes.engine.base import Conflict, ContainerStatus, EngineError, Unreachable
from sandboxes.engine.starts import Starts
from tests.engine.helpers import Sandboxes, run


def test_a_pause_waits_for_what_is_beginning():
    made, order = Starts(), list[str]()
    inside, go = threading.Event(), threading.Event()

    def begin() -> None:
        with made.beginning("box", "exec"):
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
        with made.beginning("box", "exec"):
            order.append("begun")

    thread = threading.Thread(target=begin)
    with made.pausing("box"):
        thread.start()
        time.sleep(0.05)
        with made.beginning("other", "another"):
            order.append("other")
    thread.join()
    assert order == ["other", "begun"]


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(starts, "_PATIENCE", 0.05)
    made = Starts()
    with made.pausing("box"), pytest.raises(Conflict), made.beginning("box", "exec"):
        pass
    with made.beginning("box", "exec"), pytest.raises(Conflict), made.pausing("box"):
        pass
    with made.beginning("box", "exec"), made.pausing("other"):
        pass


def test_each_start_is_looked_at_once_and_a_refused_one_never():
    made = Starts()
    with suppress(EngineError), made.beginning("box", "refused"):
        raise EngineError("no")
    with suppress(Unreachable), made.beginning("box", "unsure"):
        raise Unreachable("away")
    with made.pausing("box") as begun:
        assert begun == ["unsure"]
    with made.pausing("box") as begun:
        assert begun == []


@pytest.mark.engine
def test_pausing_amid_starting_programs(real: Sandboxes):
    """An engine 20.10 that is not spared this hangs within a few rounds, and its statistics too."""
    native_id, over = real.running(), threading.Event()

    def keep_starting() -> None:
        while not over.is_set():
            with suppress(Conflict):
                run(real.engine, native_id, "true")
            time.sleep(0.02)

    threads = [threading.Thread(target=keep_starting) for _ in range(2)]
    for one in threads:
        one.start()
    try:
        for _ in range(10):
            real.engine.pause(native_id)
            assert real.engine.inspect(native_id).status is ContainerStatus.PAUSED
            real.engine.resume(native_id)
            time.sleep(0.1)
    finally:
        over.set()
        for one in threads:
            one.join()
