"""What an engine is told and what it tells: plain values in our own words, without behaviour.

Sources: Docker Engine API v1.41; the meanings of our words are in docs/explanation/architecture.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

LABEL_ID = "sandboxes.id"
LABEL_INSTALL = "sandboxes.install"
MARKER_VARIABLE = "SANDBOX_MARKER"


@dataclass(frozen=True)
class ContainerSpec:
    """All that may vary between two sandboxes' containers; everything else is fixed and safe.

    memory in bytes, cpus in cores (0.01 steps), pids a positive count, workdir absolute.
    ``root`` is true only where an admin's image says so; else the image's own user is taken, or
    1000:1000 when the image names none or root. ``shell`` is PID 1 and reads an open stdin.
    ``strict``: 1000:1000 in any case, no network, and nothing to write but the working directory and
    /tmp, which are in memory and gone when it stops. ``disk`` is the size of one file at most; of all
    of them the caller keeps count. ``runtime``: another of the engine's than its usual one.
    """

    sandbox_id: str
    image: str
    memory: int
    cpus: float
    pids: int
    network: str = "none"  # "none" or "internet"
    workdir: str = "/workspace"
    environment: dict[str, str] = field(default_factory=dict)
    shell: str = "sh"
    root: bool = False
    strict: bool = False
    disk: int = 2 << 30
    runtime: str = ""
    hostname: str = "sandbox"


class ContainerStatus(StrEnum):
    """What a container is, as the engine sees it."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    EXITED = "exited"
    REMOVING = "removing"
    DEAD = "dead"


@dataclass(frozen=True)
class ContainerState:
    """One container as the engine described it. Times are UTC; ``exit_code`` only once it ended."""

    native_id: str
    sandbox_id: str
    status: ContainerStatus
    exit_code: int | None = None
    oom_killed: bool = False
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    image_id: str = ""
    """Native id of the image it was made of, whatever that is called by now."""


@dataclass(frozen=True)
class EngineEvent:
    """A hint that something happened to one of our containers, by whatever hand.

    ``action`` is the engine's word without arguments (create start die oom kill pause unpause
    destroy rename update exec_create exec_start exec_die archive-path ...); ``at`` in seconds since
    the epoch; ``key`` is unique for the event, so a replayed one is recognised.
    """

    action: str
    native_id: str
    sandbox_id: str
    at: float
    key: str
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StatsSample:
    """One reading of one container. Counters are cumulative; rates are the reader's business.

    ``cpu`` is in cores used since the engine's previous reading, None on the first. ``memory`` is
    bytes in use without page cache, ``memory_limit`` the cap. ``rx``/``tx`` sum all interfaces and
    are None without a network; ``block_read``/``block_write`` bytes; ``pids`` a count.
    """

    at: float
    cpu: float | None
    memory: int | None
    memory_limit: int | None
    rx: int | None
    tx: int | None
    block_read: int | None
    block_write: int | None
    pids: int | None


@dataclass(frozen=True)
class PullProgress:
    """Where a pull stands: bytes done and wanted over all layers known so far, and each layer.

    ``layers`` maps a layer's id to (word, done, wanted); wanted is 0 while unknown.
    """

    done: int
    wanted: int
    layers: dict[str, tuple[str, int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class LocalImage:
    """An image that is present: its id, size in bytes, and what it says of user and workdir."""

    native_id: str
    references: tuple[str, ...]
    size: int


@dataclass(frozen=True)
class EngineInfo:
    """The environment itself. memory and free_disk in bytes; free_disk None if unknown.

    ``free_files``: how many more its disk takes, ``most_files`` in all; None where that is not known.
    """

    name: str
    version: str
    cpus: int
    memory: int
    cgroup_version: str
    free_disk: int | None
    containers_running: int
    runtimes: tuple[str, ...] = ()
    """Those that a spec may ask for, beside the usual one."""
    free_files: int | None = None
    most_files: int | None = None


@dataclass(frozen=True)
class Reach:
    """What a container on the network of sandboxes with internet reached and should not."""

    host: bool
    metadata: bool
    is_near: bool = True
    """Whether a port of the host was opened for it; else the host's answers were looked at."""


@dataclass(frozen=True)
class ExecFacts:
    """An exec as the engine remembers it: its program without arguments, and whether it is ours.

    "Ours" means: made through this protocol, by whichever process.
    """

    program: str
    is_ours: bool


@dataclass(frozen=True)
class Capabilities:
    """What an environment can do; pages show buttons by these, never by the engine's name."""

    pause: bool = True
    stop_keeps_files: bool = True
    stats_live: bool = True
    pids_limit: bool = True
    network_none: bool = True
