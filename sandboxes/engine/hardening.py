"""The one place where a sandbox's container is described to the engine, and checked against it.

Everything that is not in a ContainerSpec is fixed here and safe. The engine silently ignores keys it
does not know and quietly changes some values, so what it made is compared knob by knob.

Source: Docker Engine API v1.41, "Create a container" and "Inspect a container".
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from . import seccomp
from .base import LABEL_ID, LABEL_INSTALL, MARKER_VARIABLE, ContainerSpec, EngineError

Raw = dict[str, Any]

STUDENT = "1000:1000"
ROOT = "0:0"
ROOT_CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID"]
"""What su, apt, tar and chown need as root inside; nothing that reaches the host."""

ROOT_SHARE = 4
"""Of what a sandbox of root may write one file is so small a part: /etc/hosts, hostname and resolv.conf are
files of the host, on no tree that the engine measures; it locks them together with everything else only."""

_MIB = 1 << 20
_FORBIDDEN_FOLDERS = ("/proc", "/sys", "/dev")

_SHARED = ("/", "/tmp", "/var/tmp")
"""Working directories that cannot be a mount of their own, or are one anyhow."""
HOME = "/workspace"
INODES = 32768
"""Files in a strict sandbox's working directory, and in its /tmp."""

_FIXED: Raw = {
    "Privileged": False,
    "AutoRemove": False,  # the engine's own removal loses the exit code and the reason
    "ReadonlyRootfs": False,
    "Init": True,  # reaps orphans, which otherwise count against the pids limit
    "CapDrop": ["ALL"],
    "SecurityOpt": ["no-new-privileges:true", seccomp.option()],
    "CpuShares": 128,  # keeps the host alive under full load
    "OomScoreAdj": 500,  # the kernel takes a sandbox before the engine
    "ShmSize": 16 * _MIB,
    "IpcMode": "private",
    "CgroupnsMode": "private",
    "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
    "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}},
    "Ulimits": [
        {"Name": "nofile", "Soft": 1024, "Hard": 1024},
        {"Name": "core", "Soft": 0, "Hard": 0},
    ],
}
_NEVER = (
    *("Binds", "Mounts", "VolumesFrom", "Devices", "DeviceRequests", "DeviceCgroupRules", "Links"),
    *("PortBindings", "PublishAllPorts", "GroupAdd", "Sysctls", "Tmpfs", "ExtraHosts", "PidMode"),
    *("UTSMode", "UsernsMode", "OomKillDisable", "CgroupParent"),
)
"""Host settings that must be empty in what the engine made."""

CHANGEABLE = {
    "Memory": "memory",
    "MemorySwap": "swap",
    "NanoCpus": "CPUs",
    "CpuShares": "CPU shares",
    "PidsLimit": "processes",
    "RestartPolicy": "restart policy",
}
"""What the engine lets others change of a container that exists, in words for everybody. The rest is as it
was made, perhaps by an older version; a new fixed value among these would stop all that are older."""


@dataclass(frozen=True)
class ImageFacts:
    """What an image says of itself that matters here: its user, its working directory, which one it is."""

    user: str = ""
    workdir: str = ""
    id: str = ""
    numbers: str = ""
    """Its user as ``uid:gid`` by its own lists, where that has been looked up."""

    @classmethod
    def of(cls, inspected: Raw) -> ImageFacts:
        """From ``GET /images/{name}/json``."""
        config = inspected.get("Config") or {}
        return cls(config.get("User") or "", config.get("WorkingDir") or "", inspected.get("Id") or "")

    @property
    def is_root(self) -> bool:
        """Whether its user is root by number, however that is spelt, or by the name that it always has."""
        name = self.user.partition(":")[0]
        return name in ("", "root") or number_of(name) == 0


def number_of(user: str) -> int | None:
    """The uid that a user's first part is, as the engine reads it (00 and +0 are 0); None for a name."""
    try:
        return int(user)
    except ValueError:
        return None


def is_pinned(user: str) -> bool:
    """Whether the engine looks nothing up for it: both uid and gid are numbers."""
    uid, _, gid = user.partition(":")
    return number_of(uid) is not None and number_of(gid) is not None


def user_for(spec: ContainerSpec, image: ImageFacts) -> str:
    """Who runs inside, in numbers where those have been looked up."""
    user = spelt_user(spec, image)
    return user if is_pinned(user) else image.numbers or user


def spelt_user(spec: ContainerSpec, image: ImageFacts) -> str:
    """Who runs inside: root where allowed, else the image's own user as it spells it, else 1000:1000."""
    if spec.strict:
        return STUDENT
    if spec.root:
        return ROOT
    return STUDENT if image.is_root else image.user


def create_config(spec: ContainerSpec, install: str, image: ImageFacts, network: str) -> Raw:
    """The body of the create call. ``network`` is our network's name, used for "internet" only.

    Raises EngineError for what must never reach the engine.
    """
    check(spec)
    return {
        "Image": spec.image,
        "Hostname": spec.hostname,
        "User": user_for(spec, image),
        "WorkingDir": spec.workdir,
        "Entrypoint": [spec.shell],  # reads its open stdin for ever, and TERM ends it at once
        "Cmd": [],
        "OpenStdin": True,
        "Tty": False,
        "Env": environment(spec, image),
        "Labels": {LABEL_ID: spec.sandbox_id, LABEL_INSTALL: install},
        "StopSignal": "SIGTERM",
        "Healthcheck": {"Test": ["NONE"]},  # an image's own would be an exec every few seconds
        "HostConfig": host_config(spec, network),
    }


def host_config(spec: ContainerSpec, network: str) -> Raw:
    """The limits and the fixed, safe rest."""
    return (
        _FIXED
        | (_closed(spec) if spec.strict else {})
        | ({"Runtime": spec.runtime} if spec.runtime else {})
        | {
            "Memory": spec.memory,
            "MemorySwap": spec.memory,  # the sum of both, so this means: no swap
            "NanoCpus": round(spec.cpus * 100) * 10**7,
            "PidsLimit": spec.pids,
            "CapAdd": ROOT_CAPABILITIES if spec.root and not spec.strict else [],
            "NetworkMode": "none" if spec.network == "none" else network,
            "Ulimits": [
                *_FIXED["Ulimits"],
                {"Name": "fsize", "Soft": file_size(spec), "Hard": file_size(spec)},
            ],
        }
    )


def file_size(spec: ContainerSpec) -> int:
    """Bytes that one file may have. Root may write three files that lie outside of what is counted."""
    is_root = spec.root and not spec.strict
    return max(spec.disk // ROOT_SHARE, 1) if is_root else spec.disk


def _closed(spec: ContainerSpec) -> Raw:
    """A root that cannot be written, and two places in memory that can; they count as memory."""
    usual = f"rw,exec,nosuid,nodev,nr_inodes={INODES},uid=1000,gid=1000"
    home = HOME if spec.workdir in _SHARED else spec.workdir
    return {
        "ReadonlyRootfs": True,
        "Tmpfs": {
            home: f"{usual},mode=0700,size={workspace_size(spec.memory)}",
            "/tmp": f"{usual},mode=1777,size={temporary_size(spec.memory)}",
        },
    }


def workspace_size(memory: int) -> int:
    """Bytes that a strict sandbox's working directory holds: half of its memory."""
    return memory // 2


def temporary_size(memory: int) -> int:
    """Bytes that a strict sandbox's /tmp holds."""
    return memory // 8


def environment(spec: ContainerSpec, image: ImageFacts) -> list[str]:
    """The environment as NAME=value. A user the image does not know gets the workdir as home."""
    user = spelt_user(spec, image)
    workdir = HOME if spec.strict and spec.workdir in _SHARED else spec.workdir
    home = {"HOME": workdir} if user[0].isdigit() and user != ROOT else {}
    wanted = home | spec.environment
    return [f"{name}={value}" for name, value in wanted.items() if name != MARKER_VARIABLE]


def check(spec: ContainerSpec) -> None:
    """The last barrier behind the forms. Raises EngineError.

    The engine takes 0 and negative limits as "unlimited", without a word.
    """
    faults = {
        "The limits of a sandbox must be positive.": min(spec.memory, spec.pids, spec.cpus, spec.disk) < 0.01,
        "The network must be none or internet.": spec.network not in ("none", "internet"),
        "A strict sandbox has no network.": spec.strict and spec.network != "none",
        "The working directory is not allowed.": not is_workdir(spec.workdir),
        "The environment holds something no container can take.": not all(
            is_variable(name, value) for name, value in spec.environment.items()
        ),
    }
    for sentence, wrong in faults.items():
        if wrong:
            raise EngineError(sentence)


def is_workdir(path: str) -> bool:
    """Absolute, in its shortest form, printable, and not in a place the kernel serves."""
    plain = path.startswith("/") and path.isprintable() and posixpath.normpath(path) == path
    served = any(path == top or path.startswith(f"{top}/") for top in _FORBIDDEN_FOLDERS)
    return plain and not served and not path.startswith("//")


def is_variable(name: str, value: str) -> bool:
    """A NAME the engine and every shell can take, with a value without NUL."""
    return bool(name) and "=" not in name and "\0" not in name + value and "\n" not in name


def differences(config: Raw, inspected: Raw, *, swap_limit: bool = True) -> list[str]:
    """Every knob in which the container the engine made differs from what was asked.

    ``swap_limit`` false: this host cannot limit swap at all, which the engine shows as -1.
    """
    return list(_differences(config, inspected, swap_limit))


def changes(spec: ContainerSpec, inspected: Raw, network: str, *, swap_limit: bool = True) -> list[str]:
    """What another hand has changed of a container since it was made, in a word or two each."""
    wanted, made = host_config(spec, network), inspected["HostConfig"]
    limits = {knob: wanted[knob] for knob in CHANGEABLE}
    knobs = {one.split(":")[0].removeprefix("HostConfig.") for one in _limits(limits, made, swap_limit)}
    words = [word for knob, word in CHANGEABLE.items() if knob in knobs]
    return words + (["networks"] if _is_elsewhere(spec, inspected) else [])


def _is_elsewhere(spec: ContainerSpec, inspected: Raw) -> bool:
    """Whether it is on other networks than the one that it was made for, whatever ours is called by now."""
    own = inspected["HostConfig"]["NetworkMode"]
    return (own == "none") != (spec.network == "none") or bool(_others(own, inspected))


def _others(network: str, inspected: Raw) -> list[str]:
    """The networks that it has beside its own."""
    return sorted({*((inspected.get("NetworkSettings") or {}).get("Networks") or ())} - {network})


def _differences(config: Raw, inspected: Raw, swap_limit: bool) -> Iterator[str]:
    made, host = inspected["Config"], inspected["HostConfig"]
    for knob, wanted in config.items():
        if knob not in ("HostConfig", "Env", "Labels") and not _same(wanted, made.get(knob)):
            yield f"{knob}: {made.get(knob)!r} instead of {wanted!r}"
    yield from _missing("Env", config["Env"], made.get("Env") or [])
    yield from _missing("Labels", config["Labels"].items(), (made.get("Labels") or {}).items())
    yield from _host_differences(config["HostConfig"], host, swap_limit)
    for knob in ("MaskedPaths", "ReadonlyPaths"):
        if not host.get(knob):
            yield f"{knob}: empty"
    allowed = () if config["HostConfig"]["ReadonlyRootfs"] else ("volume",)
    if any(mount.get("Type") not in allowed for mount in inspected.get("Mounts") or []):
        yield f"Mounts: {inspected['Mounts']!r}"
    if others := _others(config["HostConfig"]["NetworkMode"], inspected):
        yield f"Networks: {', '.join(others)} beside its own"


def _host_differences(wanted: Raw, made: Raw, swap_limit: bool) -> Iterator[str]:
    yield from _limits(wanted, made, swap_limit)
    for knob in _NEVER:
        if made.get(knob) and knob not in wanted:
            yield f"HostConfig.{knob}: {made[knob]!r} instead of nothing"


def _limits(wanted: Raw, made: Raw, swap_limit: bool) -> Iterator[str]:
    for knob, value in wanted.items():
        found = made.get(knob)
        if knob.startswith("Cap") or knob == "SecurityOpt":
            value, found = _plain(value), _plain(found)
        if not _same(value, found) and (swap_limit or (knob, found) != ("MemorySwap", -1)):
            yield f"HostConfig.{knob}: {_brief(made.get(knob))} instead of {_brief(wanted[knob])}"


def _missing(knob: str, wanted: Iterable[Any], found: Iterable[Any]) -> Iterator[str]:
    lost = [one for one in wanted if one not in list(found)]
    if lost:  # names only: values may be secrets
        yield f"{knob}: {len(lost)} missing"


def _same(wanted: Any, found: Any) -> bool:
    return bool(wanted == found or (not wanted and not found and wanted is not False))


def _brief(value: Any) -> str:
    """A value for the record; a whole seccomp profile is too much for it."""
    return ", ".join(one[:60] for one in map(str, value)) if isinstance(value, list) else repr(value)


def _plain(words: Iterable[str] | None) -> list[str]:
    """Spellings that engines use for the same thing: CAP_CHOWN, no-new-privileges=true."""
    return sorted(word.removeprefix("CAP_").replace("=", ":") for word in words or ())
