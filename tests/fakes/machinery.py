"""What is behind FakeEngine: its containers and events, and how tests programme it."""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sandboxes.engine.base import (
    Conflict,
    ContainerSpec,
    ContainerState,
    ContainerStatus,
    EngineEvent,
    ExecFacts,
    LocalImage,
    NotFound,
    PullProgress,
    Reach,
    StatsSample,
    Unreachable,
)
from sandboxes.engine.health import Health

from .processes import FakeExec, FakeTerminal, Script

Status = ContainerStatus
Failure = Exception | list[Exception]
STARTER = "sandboxes/starter:latest"


@dataclass
class FakeContainer:
    """One container: what was asked for, how it is, and what runs in it."""

    spec: ContainerSpec
    state: ContainerState
    processes: list[FakeExec | FakeTerminal] = field(default_factory=list)
    written: int = 0
    passed: int = 0
    """What went to the disk, whether or not it is on the tree."""
    cpu: float = 0.0


def default_sample(native_id: str, count: int) -> StatsSample:
    cpu = None if count == 0 else 0.25
    return StatsSample(time.time(), cpu, 5 << 20, 512 << 20, None, None, 0, 4096 * count, 2)


def now() -> datetime:
    return datetime.now(UTC)


class Machinery:
    """State, programming and the inner steps; the Engine's own methods are in FakeEngine."""

    def __init__(self, *images: str) -> None:
        self.health = Health()
        self.fail: dict[str, Failure] = {}
        self.delay: dict[str, float] = {}
        self.gate: dict[str, threading.Event] = {}
        self.away: Exception | None = None
        self.calls: list[tuple[str, object]] = []
        self.containers: dict[str, FakeContainer] = {}
        self.local = {name: self._image(name) for name in (STARTER, *images)}
        self.pulls: dict[str, list[PullProgress]] = {}
        self.scripts: dict[tuple[str, ...], Script] = {}
        self.stubborn: set[str] = set()
        self.odd: dict[str, list[str]] = {}
        self.changed: dict[str, list[str]] = {}
        self.execs: dict[str, ExecFacts] = {}
        self.stats_interval = 0.01
        self.stats_open = 0
        self.sample: Callable[[str, int], StatsSample] = default_sample
        self.reached = Reach(host=False, metadata=False)
        self.runtimes: tuple[str, ...] = ()
        self.many_files: set[str] = set()
        self.files: tuple[int | None, int | None] = (None, None)
        self.closed = False
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._news = threading.Condition(self._lock)
        self._events: list[EngineEvent] = []
        self._breaks = 0

    # -- programming it ---------------------------------------------------------------------

    def kill_by_hand(self, native_id: str, code: int = 137, oom: bool = False) -> None:
        """PID 1 ends by somebody else's hand (or, with ``oom``, the kernel's)."""
        with self._lock:
            if oom:
                self._emit("oom", native_id)
            self._end(native_id, code, oom)

    def remove_by_hand(self, native_id: str) -> None:
        """``docker rm -f`` by somebody else."""
        with self._lock:
            self._end(native_id, 137)
            self._drop(native_id)

    def exec_by_hand(self, native_id: str, *argv: str) -> str:
        """``docker exec`` by somebody else; returns its exec id."""
        with self._lock:
            return self._begin_exec(native_id, ExecFacts(argv[0], is_ours=False))

    def emit(self, action: str, native_id: str, **attributes: str) -> EngineEvent:
        """Something else happens to a container; nothing but the event."""
        with self._lock:
            self._emit(action, native_id, attributes)
            return self._events[-1]

    @property
    def happened(self) -> Sequence[EngineEvent]:
        """All events so far."""
        return tuple(self._events)

    def break_events(self) -> None:
        """Cut every open event stream."""
        with self._news:
            self._breaks += 1
            self._news.notify_all()

    def processes(self, native_id: str) -> Sequence[FakeExec | FakeTerminal]:
        """What still runs in the container besides PID 1."""
        return [one for one in self.containers[native_id].processes if one.running]

    def memory(self) -> tuple[Any, ...]:
        """What it knows of its containers and of what was done to them, to be pickled."""
        assert not any(one.processes for one in self.containers.values()), "they do not go into a pickle"
        return self.containers, self.calls, self.execs, self._events, next(self._numbers)

    def remember(self, memory: tuple[Any, ...]) -> None:
        """Be an engine to which that was done."""
        self.containers, self.calls, self.execs, self._events, number = memory
        self._numbers = itertools.count(number)

    # -- inside -----------------------------------------------------------------------------

    def _call(self, name: str, argument: object) -> None:
        """Record, wait and fail as programmed; every method comes through here first."""
        self.calls.append((name, argument))
        if name in self.gate:
            self.gate[name].wait(30)
        if name in self.delay:
            time.sleep(self.delay[name])
        failure = self._failure(name)
        if isinstance(failure, Unreachable):
            self.health.note_error(failure)
        else:
            self.health.note_ok()
        if failure:
            raise failure

    def _failure(self, name: str) -> Exception | None:
        with self._lock:
            planned = self.fail.get(name)
            if isinstance(planned, list):
                return planned.pop(0) if planned else self.away
            return planned or self.away

    def _get(self, native_id: str) -> FakeContainer:
        with self._lock:
            if native_id not in self.containers:
                raise NotFound("The container does not exist.", native_id)
            return self.containers[native_id]

    def _running(self, native_id: str) -> FakeContainer:
        one = self._get(native_id)
        if one.state.status is Status.PAUSED:
            raise Conflict("The sandbox is paused.")
        if one.state.status is not Status.RUNNING:
            raise Conflict("The sandbox is not running.")
        return one

    def _begin_exec(self, native_id: str, facts: ExecFacts) -> str:
        exec_id = self._new_id()
        self.execs[exec_id] = facts
        self._emit("exec_create", native_id, {"execID": exec_id})
        self._emit("exec_start", native_id, {"execID": exec_id})
        return exec_id

    def _set(self, native_id: str, state: ContainerState) -> None:
        self._get(native_id).state = state

    def _freeze(self, native_id: str, old: Status, new: Status, action: str) -> None:
        with self._lock:
            one = self._get(native_id)
            if one.state.status is new:
                return
            if one.state.status is not old:
                raise Conflict(f"The sandbox is not {old}.")
            self._set(native_id, replace(one.state, status=new))
            for each in one.processes:
                if isinstance(each, FakeTerminal):
                    each.freeze(new is Status.PAUSED)
            self._emit(action, native_id)

    def _end(self, native_id: str, code: int, oom: bool = False, last: str = "") -> None:
        one = self._get(native_id)
        if one.state.status not in (Status.RUNNING, Status.PAUSED):
            return
        for each in one.processes:
            each.finish(137)
        ended = replace(one.state, status=Status.EXITED, exit_code=code, finished_at=now())
        self._set(native_id, replace(ended, oom_killed=oom))
        self._emit("die", native_id, {"exitCode": str(code)})
        if last:
            self._emit(last, native_id)

    def _drop(self, native_id: str) -> None:
        self._emit("destroy", native_id)
        del self.containers[native_id]

    def _emit(self, action: str, native_id: str, attributes: dict[str, str] | None = None) -> None:
        with self._news:
            sandbox_id = self.containers[native_id].spec.sandbox_id
            key, at = f"{action}-{next(self._numbers)}", time.time()
            event = EngineEvent(action, native_id, sandbox_id, at, key, attributes or {})
            self._events.append(event)
            self._news.notify_all()

    def _samples(self, native_id: str, stop: Callable[[], bool]) -> Iterator[StatsSample]:
        for count in itertools.count():
            if stop() or native_id not in self.containers or self.away:
                return
            if self.containers[native_id].state.status not in (Status.RUNNING, Status.PAUSED):
                return
            yield self.sample(native_id, count)
            time.sleep(self.stats_interval)

    def _new_id(self) -> str:
        return hashlib.sha256(f"fake{next(self._numbers)}".encode()).hexdigest()

    @staticmethod
    def _image(reference: str) -> LocalImage:
        digest = hashlib.sha256(reference.encode()).hexdigest()
        return LocalImage(f"sha256:{digest}", (reference,), 2 << 20)
