"""An Engine in memory for fast unit tests: thread-safe, programmable, keeps the same promises.

    fake = FakeEngine()
    fake.fail["start"] = Unreachable("away")        # until deleted; a list is used up one by one
    fake.delay["create"] = 0.1                      # seconds before the call acts
    fake.gate["pull"] = threading.Event()           # the call waits until it is set
    fake.away = Unreachable("engine is away")       # every call fails
    fake.scripts[("make",)] = Script((("stdout", b"ok"),), code=2, hold=None)
    fake.kill_by_hand(native_id)                    # what others do behind our back
    assert ("stop", native_id) in fake.calls

The names in fail, delay and gate are those of the Engine's methods.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import fields, replace

from sandboxes.engine.base import (
    Capabilities,
    Conflict,
    ContainerSpec,
    ContainerState,
    EngineEvent,
    EngineInfo,
    ExecFacts,
    ImageMissing,
    LocalImage,
    NotFound,
    PullProgress,
    Reach,
    StatsSample,
    TimedOut,
    Unreachable,
)
from sandboxes.engine.files import repack
from sandboxes.engine.marks import check_marker

from .machinery import STARTER, FakeContainer, Machinery, Status, now
from .processes import FakeExec, FakeTerminal, Script, script_for


class FakeEngine(Machinery):
    """See the module. ``containers`` maps native ids to FakeContainer and may be read freely."""

    capabilities = Capabilities()

    def info(self) -> EngineInfo:
        self._call("info", None)
        running = sum(one.state.status is Status.RUNNING for one in self.containers.values())
        return EngineInfo("fake", "1.0", 4, 8 << 30, "1", 100 << 30, running, self.runtimes, *self.files)

    def ping(self) -> None:
        self._call("ping", None)

    def create(self, spec: ContainerSpec) -> str:
        self._call("create", spec)
        with self._lock:
            for native_id, one in self.containers.items():
                if one.spec.sandbox_id == spec.sandbox_id:
                    return native_id
            if spec.image not in self.local:
                raise ImageMissing("The image is not present.", spec.image)
            native_id = self._new_id()
            made_of = self.local[spec.image].native_id
            state = ContainerState(
                native_id, spec.sandbox_id, Status.CREATED, created_at=now(), image_id=made_of
            )
            self.containers[native_id] = FakeContainer(spec, state)
            self._emit("create", native_id)
            return native_id

    def start(self, native_id: str) -> None:
        self._call("start", native_id)
        with self._lock:
            state = self._get(native_id).state
            if state.status is Status.PAUSED:
                raise Conflict("The sandbox is paused.")
            if state.status is Status.RUNNING:
                return
            fresh = ContainerState(native_id, state.sandbox_id, Status.RUNNING, image_id=state.image_id)
            self._set(native_id, replace(fresh, created_at=state.created_at, started_at=now()))
            self._emit("start", native_id)

    def stop(self, native_id: str, grace: int = 2) -> None:
        self._call("stop", native_id)
        with self._lock:
            self._get(native_id)
            self._end(native_id, 143, last="stop")

    def pause(self, native_id: str) -> None:
        self._call("pause", native_id)
        self._freeze(native_id, Status.RUNNING, Status.PAUSED, "pause")

    def resume(self, native_id: str) -> None:
        self._call("resume", native_id)
        self._freeze(native_id, Status.PAUSED, Status.RUNNING, "unpause")

    def remove(self, native_id: str) -> None:
        self._call("remove", native_id)
        with self._lock:
            if native_id in self.containers:
                self._end(native_id, 137)
                self._drop(native_id)

    def inspect(self, native_id: str) -> ContainerState:
        self._call("inspect", native_id)
        return self._get(native_id).state

    def list(self) -> Sequence[ContainerState]:
        self._call("list", None)
        with self._lock:
            return [one.state for one in self.containers.values()]

    def differences(self, native_id: str, spec: ContainerSpec) -> list[str]:
        """Names of what is otherwise in the demand; also what a test put into ``self.odd[native_id]``."""
        self._call("differences", native_id)
        mine = self._get(native_id).spec
        other = [one.name for one in fields(spec) if getattr(spec, one.name) != getattr(mine, one.name)]
        return [*other, *self.odd.get(native_id, ())]

    def changes(self, native_id: str, spec: ContainerSpec) -> list[str]:
        """What a test put into ``self.changed[native_id]``, and limits that are others than demanded."""
        self._call("changes", native_id)
        mine = self._get(native_id).spec
        words = {"memory": "memory", "cpus": "CPUs", "pids": "processes"}
        other = [word for name, word in words.items() if getattr(spec, name) != getattr(mine, name)]
        return [*other, *self.changed.get(native_id, ())]

    def unowned(self, native_id: str, markers: Collection[str]) -> int:
        self._call("unowned", native_id)
        running = [one for one in self._get(native_id).processes if one.running and one.marker]
        return sum(one.marker not in markers for one in running)

    def disk_use(self, stopped: bool = False) -> Mapping[str, int]:
        self._call("disk_use", None)
        if self.many_files & self.containers.keys():
            raise TimedOut("This took too long.")
        up = (Status.RUNNING, Status.PAUSED)
        with self._lock:
            found = self.containers.items()
            return {native_id: one.written for native_id, one in found if stopped or one.state.status in up}

    def disk_use_of(self, native_id: str, seconds: float) -> int:
        self._call("disk_use_of", native_id)
        if native_id in self.many_files:
            raise TimedOut("This took too long.")
        return self._get(native_id).written

    def written(self, native_id: str) -> int:
        """What a test put into the container's ``passed``."""
        self._call("written", native_id)
        return self._get(native_id).passed

    def cpu_time(self, native_id: str) -> float:
        """What a test put into the container's ``cpu``."""
        self._call("cpu_time", native_id)
        return self._get(native_id).cpu

    def reach(self, image: str) -> Reach:
        self._call("reach", image)
        return self.reached

    def events(self, since: float, stop: Callable[[], bool]) -> Iterator[EngineEvent]:
        self._call("events", since)
        seen, breaks = 0, self._breaks
        while not stop():
            with self._news:
                fresh = self._events[seen:]
                if not fresh:
                    self._news.wait(0.02)
                if self._breaks != breaks or self.away:
                    raise self.away or Unreachable("The event stream broke.")
            seen += len(fresh)
            yield from (event for event in fresh if event.at >= int(since))

    def exec(
        self,
        native_id: str,
        argv: Sequence[str],
        *,
        marker: str = "",
        environment: dict[str, str] | None = None,
        workdir: str = "",
    ) -> FakeExec:
        self._call("exec", (native_id, tuple(argv)))
        with self._lock:
            self._running(native_id)
            exec_id = self._begin_exec(native_id, ExecFacts(argv[0], is_ours=True))

            def on_end(code: int) -> None:
                attributes = {"execID": exec_id, "exitCode": str(code)}
                self._emit("exec_die", native_id, attributes)

            made = FakeExec(exec_id, marker, script_for(argv, self.scripts), on_end)
            self._get(native_id).processes.append(made)
            return made

    def put_files(self, native_id: str, folder: str, archive: bytes, owner: int = 1000) -> None:
        with tarfile.open(fileobj=io.BytesIO(repack(archive, owner))) as packed:
            names = packed.getnames()
        self._call("put_files", (native_id, folder, tuple(names)))
        with self._lock:
            self._get(native_id)
            self._emit("extract-to-dir", native_id)

    def describe_exec(self, exec_id: str) -> ExecFacts:
        self._call("describe_exec", exec_id)
        if exec_id not in self.execs:
            raise NotFound("The command is not known to the engine any more.", exec_id)
        return self.execs[exec_id]

    def kill_marked(self, native_id: str, marker: str) -> int:
        """Markers in ``self.stubborn`` survive."""
        check_marker(marker)
        self._call("kill_marked", (native_id, marker))
        with self._lock:
            one = self._running(native_id)
            marked = [each for each in one.processes if each.running and each.marker == marker]
            if marker not in self.stubborn:
                for each in marked:
                    each.finish(129)
            return sum(each.running for each in marked)

    async def open_terminal(
        self,
        native_id: str,
        argv: Sequence[str],
        *,
        cols: int,
        rows: int,
        marker: str,
        environment: dict[str, str] | None = None,
        workdir: str = "",
    ) -> FakeTerminal:
        check_marker(marker)
        self._call("open_terminal", native_id)
        with self._lock:
            one = self._running(native_id)
            exec_id = self._begin_exec(native_id, ExecFacts(argv[0], is_ours=True))
            made = FakeTerminal(exec_id, marker, cols, rows)
            one.processes.append(made)
            return made

    def stats(self, native_id: str, stop: Callable[[], bool]) -> Iterator[StatsSample]:
        self._call("stats", native_id)
        self._get(native_id)
        with self._lock:
            self.stats_open += 1
        try:
            yield from self._samples(native_id, stop)
        finally:
            with self._lock:
                self.stats_open -= 1

    def images(self) -> Sequence[LocalImage]:
        self._call("images", None)
        return list(self.local.values())

    def has_image(self, reference: str) -> LocalImage | None:
        self._call("has_image", reference)
        return self.local.get(reference)

    def pull(self, reference: str, progress: Callable[[PullProgress], None]) -> None:
        """Succeeds for references in ``self.pulls`` (the steps it reports), else is offline."""
        self._call("pull", reference)
        if reference not in self.pulls:
            raise ImageMissing("The registry cannot be reached; is this machine offline?")
        for step in self.pulls[reference]:
            progress(step)
        self.local[reference] = self._image(reference)

    def build_starter(self, reference: str) -> None:
        self._call("build_starter", reference)
        self.local.setdefault(reference, self._image(reference))

    def close(self) -> None:
        self.closed = True


__all__ = ["STARTER", "FakeContainer", "FakeEngine", "FakeExec", "FakeTerminal", "Script"]
