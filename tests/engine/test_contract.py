"""What every Engine promises, told once and asked of each: the one in memory and the real one."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from dataclasses import replace

import pytest

from sandboxes.engine.base import (
    Conflict,
    ContainerStatus,
    Engine,
    ExecFacts,
    ImageMissing,
    NotFound,
)
from tests.engine.helpers import Sandboxes, run, together
from tests.fakes.engine import STARTER
from tests.fakes.processes import wait_until

MISSING = "0" * 64
Status = ContainerStatus


def status(engine: Engine, native_id: str) -> ContainerStatus:
    return engine.inspect(native_id).status


# -- from create to remove ------------------------------------------------------------------------


def test_a_created_container_is_listed_under_its_sandbox_id(engine: Engine, sandboxes: Sandboxes):
    spec = sandboxes.spec()
    native_id = sandboxes.created(spec)
    found = {one.native_id: one for one in engine.list()}
    assert found[native_id].sandbox_id == spec.sandbox_id
    assert found[native_id].status is Status.CREATED


def test_create_is_idempotent_on_the_sandbox_id(engine: Engine, sandboxes: Sandboxes):
    spec = sandboxes.spec()
    assert sandboxes.created(spec) == engine.create(spec)


def test_eight_creates_at_once_make_one_container(engine: Engine, sandboxes: Sandboxes):
    spec = sandboxes.spec()
    sandboxes.created(spec)
    assert len(set(together(8, lambda: engine.create(spec)))) == 1
    assert sum(one.sandbox_id == spec.sandbox_id for one in engine.list()) == 1


def test_creating_from_an_image_that_is_not_here(engine: Engine, sandboxes: Sandboxes):
    with pytest.raises(ImageMissing):
        engine.create(sandboxes.spec(image="no-such-image:never"))


def test_starting_twice_is_success(engine: Engine, sandboxes: Sandboxes):
    native_id = sandboxes.running()
    engine.start(native_id)
    state = engine.inspect(native_id)
    assert (state.status, state.exit_code) == (Status.RUNNING, None)
    assert state.started_at is not None
    assert state.started_at.tzinfo is not None


def test_stopping_twice_is_success_and_leaves_an_exit_code(engine: Engine, sandboxes: Sandboxes):
    native_id = sandboxes.running()
    engine.stop(native_id)
    engine.stop(native_id)
    state = engine.inspect(native_id)
    assert state.status is Status.EXITED
    assert state.exit_code  # 143 as a rule; a shell ended in its first instant may say 2
    assert state.finished_at is not None


def test_a_stopped_one_starts_again(engine: Engine, sandboxes: Sandboxes):
    native_id = sandboxes.running()
    engine.stop(native_id)
    engine.start(native_id)
    assert status(engine, native_id) is Status.RUNNING


def test_pausing_and_resuming_twice_is_success(engine: Engine, sandboxes: Sandboxes):
    native_id = sandboxes.running()
    for act, wanted in ((engine.pause, Status.PAUSED), (engine.resume, Status.RUNNING)):
        act(native_id)
        act(native_id)
        assert status(engine, native_id) is wanted


def test_a_paused_one_can_be_stopped(engine: Engine, sandboxes: Sandboxes):
    native_id = sandboxes.running()
    engine.pause(native_id)
    engine.stop(native_id)
    assert status(engine, native_id) is Status.EXITED


def test_a_paused_one_can_be_removed(engine: Engine, sandboxes: Sandboxes):
    native_id = sandboxes.running()
    engine.pause(native_id)
    engine.remove(native_id)
    with pytest.raises(NotFound):
        engine.inspect(native_id)


def test_what_does_not_fit_the_status_is_a_conflict(engine: Engine, sandboxes: Sandboxes):
    native_id = sandboxes.running()
    engine.pause(native_id)
    with pytest.raises(Conflict):
        engine.start(native_id)
    engine.stop(native_id)
    for act in (engine.pause, engine.resume):
        with pytest.raises(Conflict):
            act(native_id)


def test_removing_twice_is_success(engine: Engine, sandboxes: Sandboxes):
    native_id = sandboxes.running()
    engine.remove(native_id)
    engine.remove(native_id)
    assert native_id not in {one.native_id for one in engine.list()}


def test_two_removes_at_once_both_succeed(engine: Engine, sandboxes: Sandboxes):
    native_id = sandboxes.running()
    assert together(2, lambda: engine.remove(native_id)) == [None, None]
    with pytest.raises(NotFound):
        engine.inspect(native_id)


def test_a_container_that_does_not_exist(engine: Engine):
    for act in (engine.start, engine.stop, engine.pause, engine.resume, engine.inspect):
        with pytest.raises(NotFound):
            act(MISSING)
    with pytest.raises(NotFound):
        engine.exec(MISSING, ["true"])
    with pytest.raises(NotFound):
        engine.kill_marked(MISSING, "m")
    with pytest.raises(NotFound):
        next(iter(engine.stats(MISSING, lambda: False)))


# -- execs ----------------------------------------------------------------------------------------


def test_both_streams_come_apart_and_the_exit_code_is_right(engine: Engine, sandboxes: Sandboxes):
    native_id = sandboxes.running()
    assert run(engine, native_id, "true") == (b"", b"", 0)
    assert run(engine, native_id, "false") == (b"", b"", 1)
    line = "echo out; echo err >&2; exit 3"
    assert run(engine, native_id, "sh", "-c", line) == (b"out\n", b"err\n", 3)


def test_a_missing_program_is_an_exit_code_and_a_sentence(engine: Engine, sandboxes: Sandboxes):
    found = run(engine, sandboxes.running(), "no-such-program")
    assert found == (b"", b"no-such-program: program not found\n", 127)


def test_exec_in_a_paused_or_stopped_one_is_a_conflict(engine: Engine, sandboxes: Sandboxes):
    native_id = sandboxes.running()
    engine.pause(native_id)
    with pytest.raises(Conflict, match="paused"):
        engine.exec(native_id, ["true"])
    with pytest.raises(Conflict, match="paused"):
        engine.kill_marked(native_id, "m")
    engine.stop(native_id)
    with pytest.raises(Conflict, match="not running"):
        engine.exec(native_id, ["true"])


def test_the_exit_code_is_none_while_it_runs(engine: Engine, sandboxes: Sandboxes):
    with closing(engine.exec(sandboxes.running(), ["sleep", "60"])) as stream:
        assert stream.exit_code() is None


def test_an_exec_of_ours_is_known_by_whichever_process(engine: Engine, sandboxes: Sandboxes):
    native_id = sandboxes.running()
    stream = engine.exec(native_id, ["echo", "secret"])
    list(stream)
    assert engine.describe_exec(stream.exec_id) == ExecFacts("echo", is_ours=True)
    with pytest.raises(NotFound):
        engine.describe_exec("0" * 64)


def test_a_mark_is_ended_and_no_other(engine: Engine, sandboxes: Sandboxes):
    native_id = sandboxes.running()
    mine = engine.exec(native_id, ["sleep", "60"], marker="term-1")
    other = engine.exec(native_id, ["sleep", "60"], marker="term-10")
    time.sleep(0.2)
    with closing(mine), closing(other):
        assert engine.kill_marked(native_id, "term-1") == 0
        assert list(mine) == []
        assert mine.exit_code() in (129, 137)
        assert other.exit_code() is None
        assert engine.kill_marked(native_id, "term-1") == 0


@pytest.mark.parametrize("marker", ["", "a b", "a;b", "a.b", "$(id)", "a\n", "ä", "x" * 129])
def test_an_impossible_mark_is_refused(engine: Engine, marker: str):
    with pytest.raises(ValueError, match="SANDBOX_MARKER"):
        engine.kill_marked(MISSING, marker)


def test_a_stream_ends_when_its_container_does(engine: Engine, sandboxes: Sandboxes):
    native_id = sandboxes.running()
    with closing(engine.exec(native_id, ["sleep", "60"])) as stream:
        threading.Timer(0.3, lambda: engine.remove(native_id)).start()
        assert list(stream) == []


# -- images and the engine itself -----------------------------------------------------------------


def test_the_starter_image_is_here_and_building_it_again_changes_nothing(engine: Engine):
    before = engine.has_image(STARTER)
    engine.build_starter(STARTER)
    after = engine.has_image(STARTER)
    assert before is not None
    assert before == after
    assert STARTER in before.references
    assert before.size > 1 << 20
    assert before.native_id in {one.native_id for one in engine.images()}
    assert engine.has_image("no-such-image:never") is None


def test_a_pull_from_nowhere(engine: Engine):
    with pytest.raises(ImageMissing, match="offline"):
        engine.pull("127.0.0.1:1/nothing:here", lambda _: None)


def test_the_engine_describes_itself(engine: Engine):
    engine.ping()
    info = engine.info()
    assert info.cpus >= 1
    assert info.memory > 1 << 28
    assert info.version
    assert info.cgroup_version in ("1", "2")


def test_of_which_image_a_container_was_made_is_told(engine: Engine, sandboxes: Sandboxes):
    spec = sandboxes.spec()
    native_id = sandboxes.created(spec)
    image = engine.has_image(spec.image)
    assert image is not None
    assert engine.inspect(native_id).image_id == image.native_id
    (listed,) = [one for one in engine.list() if one.native_id == native_id]
    assert listed.image_id == image.native_id


# -- checked --------------------------------------------------------------------------------------


def test_a_container_is_what_was_asked_for_and_nothing_else(engine: Engine, sandboxes: Sandboxes):
    spec = sandboxes.spec()
    native_id = sandboxes.created(spec)
    assert list(engine.differences(native_id, spec)) == []
    assert len(engine.differences(native_id, replace(spec, memory=spec.memory * 2))) >= 1
    assert len(engine.differences(native_id, replace(spec, pids=spec.pids + 1))) == 1
    with pytest.raises(NotFound):
        engine.differences(MISSING, spec)


def test_what_another_hand_changed_of_it_is_told_in_words(engine: Engine, sandboxes: Sandboxes):
    spec = sandboxes.spec()
    native_id = sandboxes.created(spec)
    assert list(engine.changes(native_id, spec)) == []
    assert "memory" in engine.changes(native_id, replace(spec, memory=spec.memory * 2))
    assert list(engine.changes(native_id, replace(spec, cpus=spec.cpus * 2))) == ["CPUs"]
    assert list(engine.changes(native_id, replace(spec, pids=spec.pids + 1))) == ["processes"]
    with pytest.raises(NotFound):
        engine.changes(MISSING, spec)


def test_whose_an_exec_is_can_be_told(engine: Engine, sandboxes: Sandboxes):
    native_id = sandboxes.running()
    assert engine.unowned(native_id, ()) == 0
    with closing(engine.exec(native_id, ["sleep", "60"], marker="whose-1")):
        assert wait_until(lambda: engine.unowned(native_id, ()) == 1)
        assert engine.unowned(native_id, ["whose-1", "whose-2"]) == 0
        engine.kill_marked(native_id, "whose-1")
    assert wait_until(lambda: engine.unowned(native_id, ()) == 0)
