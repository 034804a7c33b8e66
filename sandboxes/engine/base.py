"""The Engine protocol in our own words; it knows neither Docker nor the database.

One Engine instance stands for one environment that runs containers. Today that is the local
Docker Engine; the words here are chosen so that another host or a cluster fits behind them.

Sources: Docker Engine API v1.41; the meanings of our words are in docs/explanation/architecture.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Protocol

from .errors import (  # noqa: F401 - handed on, so that base alone needs to be known
    Conflict,
    EngineError,
    ImageMissing,
    Mismatch,
    NoCapacity,
    NotFound,
    TimedOut,
    Unreachable,
    Unsupported,
)
from .facts import (  # noqa: F401 - the same
    LABEL_ID,
    LABEL_INSTALL,
    MARKER_VARIABLE,
    Capabilities,
    ContainerSpec,
    ContainerState,
    ContainerStatus,
    EngineEvent,
    EngineInfo,
    ExecFacts,
    LocalImage,
    PullProgress,
    Reach,
    StatsSample,
)
from .health import Health


class ExecStream(Protocol):
    """A one-shot exec under way, for a worker thread.

    Iterating yields ``("stdout" | "stderr", bytes)`` in the order the engine sent them and ends
    with the stream. Raises Unreachable when the stream breaks.
    """

    exec_id: str

    def __iter__(self) -> Iterator[tuple[str, bytes]]: ...
    def exit_code(self) -> int | None:
        """The exit code, or None while the process still runs. Waits up to 2 s for the engine."""
        ...

    def close(self) -> None:
        """Let go of the stream. Does not end the process: see Engine.kill_marked."""
        ...


class TerminalStream(Protocol):
    """One tty exec, for the event loop; no thread behind it."""

    exec_id: str
    never_began: bool
    """Whether what was read is a sentence of ours, because the shell could not be started."""

    async def read(self, limit: int = 65536) -> bytes:
        """The next bytes, or b"" when the shell has ended."""
        ...

    def read_nowait(self, limit: int) -> bytes | None:
        """Bytes already there (b"" at the end), or None when nothing waits."""
        ...

    async def write(self, data: bytes) -> None: ...
    async def resize(self, cols: int, rows: int) -> None:
        """Tell the tty its size; quietly does nothing once the shell has ended."""
        ...

    async def exit_code(self) -> int | None: ...
    def close(self) -> None: ...


class Engine(Protocol):
    """What runs containers. Blocking calls are for worker threads unless marked async.

    Connect within 2 s, answer within 10 s (create, start, stop and remove: 30 s). Every method may
    raise Unreachable; others as stated. ``native_id`` is the engine's id of a container.
    """

    capabilities: Capabilities
    health: Health

    def info(self) -> EngineInfo: ...
    def ping(self) -> None:
        """Return if the engine answers within 2 s, else raise Unreachable."""
        ...

    def create(self, spec: ContainerSpec) -> str:
        """Create (do not start) the sandbox's container and return its native id.

        Idempotent on ``spec.sandbox_id``: a container of ours by that name is taken over after the
        same inspection. Steps: 1. create 2. inspect and compare knob by knob 3. on a difference
        remove it and raise Mismatch. Raises ImageMissing, Conflict, NoCapacity, EngineError.
        """
        ...

    def start(self, native_id: str) -> None:
        """Start it; already running is success. Raises NotFound, Conflict (paused), EngineError.

        A shell that the image does not have shows as exit code 127 a moment later.
        """
        ...

    def stop(self, native_id: str, grace: int = 2) -> None:
        """TERM, then KILL after ``grace`` seconds. Stopped already is success; paused stops too."""
        ...

    def pause(self, native_id: str) -> None:
        """Freeze it; paused already is success. Waits for programs that are just being started.

        Raises NotFound, Conflict (not running, or busy starting a program for more than 10 s).
        """
        ...

    def resume(self, native_id: str) -> None:
        """Let it go on; running already is success. Raises NotFound, Conflict (not running)."""
        ...

    def remove(self, native_id: str) -> None:
        """End and remove it for good; gone already, or going, is success once it is gone."""
        ...

    def inspect(self, native_id: str) -> ContainerState:
        """The truth about one container. Raises NotFound."""
        ...

    def list(self) -> Sequence[ContainerState]:
        """All containers that carry this install's label, in any status, in one call.

        Of the times only ``created_at`` is known here, and not ``oom_killed``: ask ``inspect``.
        """
        ...

    def differences(self, native_id: str, spec: ContainerSpec) -> Sequence[str]:
        """Every knob in which a container differs from this demand, as text for staff. Raises NotFound."""
        ...

    def changes(self, native_id: str, spec: ContainerSpec) -> Sequence[str]:
        """What another hand has changed of a container since it was made, in a word or two each.

        Limits, restart policy and networks: nothing else can be. Raises NotFound.
        """
        ...

    def unowned(self, native_id: str, markers: Collection[str]) -> int:
        """How many marked execs of ours run in it with none of these markers. Raises NotFound.

        Those without a marker are our own short ones, at most a minute long, and stand in no record.
        """
        ...

    def disk_use(self, stopped: bool = False) -> Mapping[str, int]:
        """Bytes that each of this install's containers has written to its own layer, by native id.

        Of those that have processes, or with ``stopped`` of all. Up to 30 s where much was written: the
        engine counts file by file.
        """
        ...

    def disk_use_of(self, native_id: str, seconds: float) -> int:
        """The same of one alone. Raises NotFound, and TimedOut only where the engine does answer else."""
        ...

    def written(self, native_id: str) -> int:
        """Bytes written to the disk since it was started, and on their way to it, as far as the engine knows.

        With control groups of version 1 that is only what did not go through the page cache, or has not left
        it. Raises NotFound.
        """
        ...

    def reach(self, image: str) -> Reach:
        """Look from a throwaway container of ``image`` at what a sandbox with internet reaches.

        About a second; some more where the bridge is on another machine. Raises ImageMissing.
        """
        ...

    def events(self, since: float, stop: Callable[[], bool]) -> Iterator[EngineEvent]:
        """Events of this install's containers from ``since`` (epoch seconds) on, until ``stop()``.

        Yields hints only. Raises Unreachable when the stream breaks; the caller reconnects.
        """
        ...

    def exec(
        self,
        native_id: str,
        argv: Sequence[str],
        *,
        marker: str = "",
        environment: dict[str, str] | None = None,
        workdir: str = "",
    ) -> ExecStream:
        """Start ``argv`` as the container's user, without a tty, both streams apart.

        ``marker`` is put into its environment as SANDBOX_MARKER (with a full stop at its end, so
        that no marker is found in a longer one). A missing program is exit code 127, one that cannot
        be run 126, with a sentence on stderr, not an error. Raises NotFound, Conflict (paused or not
        running).

        Read it or close it: an engine that cannot get rid of a program's output may notice neither
        that program's end nor that of others in the same container.
        """
        ...

    def put_files(self, native_id: str, folder: str, archive: bytes, owner: int = 1000) -> None:
        """Unpack a tar into a folder; see files.repack. Raises NotFound, BadArchive (a ValueError)."""
        ...

    def describe_exec(self, exec_id: str) -> ExecFacts:
        """What an exec was, a while after its end too. Raises NotFound."""
        ...

    def kill_marked(self, native_id: str, marker: str) -> int:
        """End all that was started with the marker: HUP, then KILL after 0.5 s.

        That is every process that carries it, descends from one that does or from the exec itself,
        or shares its session or terminal; clearing the environment does not hide it. Only what put
        itself into a session of its own, outlived its parent and let go of its output is not found.

        Returns how many are still there (0: all gone). Raises NotFound, Conflict while paused,
        ValueError for a marker that is not of ``A-Z a-z 0-9 _ -``. Is itself one or more execs, and
        its events are heard as such.
        """
        ...

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
    ) -> TerminalStream:
        """Open a tty exec. Raises NotFound, Conflict (paused or not running), EngineError."""
        ...

    def stats(self, native_id: str, stop: Callable[[], bool]) -> Iterator[StatsSample]:
        """One sample a second until ``stop()`` or the container ends. Raises NotFound."""
        ...

    def cpu_time(self, native_id: str) -> float:
        """Seconds of CPU that it has used since it was started, all cores together. Raises NotFound."""
        ...

    def images(self) -> Sequence[LocalImage]:
        """The images that are present."""
        ...

    def has_image(self, reference: str) -> LocalImage | None: ...

    def pull(self, reference: str, progress: Callable[[PullProgress], None]) -> None:
        """Pull an image; an error inside the stream is an error.

        ``progress`` is called at most four times a second. Ends when the image is here; there is no
        overall time limit but a stall of 60 s is TimedOut. Raises ImageMissing with a sentence that
        tells not found, not allowed and offline apart; NoCapacity when the disk is full.
        """
        ...

    def build_starter(self, reference: str) -> None:
        """Build the starter image locally, without a registry, unless it is present.

        A static busybox, uid 1000, /workspace. Raises Unsupported when no busybox can be had.
        """
        ...

    def close(self) -> None: ...
