"""A Docker Engine of a test's own, which it may kill: own data, own containerd, own network namespace.

Nothing of it is shared with the machine's engine, and nothing of it is left: its processes are known
by its folder in their command line, those of its containers by their control group.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from sandboxes.engine.docker_engine import DockerEngine
from sandboxes.management.supervisor import die_with
from tests.fakes.engine import STARTER
from tests.fakes.processes import wait_until

PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
CGROUPS = Path("/sys/fs/cgroup")
PREFIX = "sandboxes-engine-"
CONFIG = 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
NEEDED = ("dockerd", "containerd", "unshare", "mkfs.ext4", "mount")
DAEMONS, SHIMS = ("dockerd", "containerd"), ("containerd-shim",)


class PrivateEngine:
    """One engine in one folder, with a disk of its own of so many MiB."""

    def __init__(self, folder: Path, disk: int) -> None:
        self.folder, self.data = folder, folder / "data"
        self.socket = folder / "engine.sock"
        self.host = f"unix://{self.socket}"
        self.group = folder.name
        self.below: subprocess.Popen[bytes] | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self._configure(live_restore=False)
        (folder / "containerd.toml").write_text(CONFIG)
        self._mount(disk)

    def _mount(self, disk: int) -> None:
        image = self.folder / "disk"
        self.data.mkdir()
        with image.open("wb") as file:
            file.truncate(disk << 20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(self.data)], check=True)

    # -- life -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Have it answer. Raises RuntimeError with its log's end."""
        if self.below is None or self.below.poll() is not None:
            self.start_below()
        (self.folder / "pid").unlink(missing_ok=True)
        self.process = self._spawn("unshare", "--net", "dockerd", *self._options())
        if not wait_until(lambda: self.answers() or not lives(self.process), 60) or not lives(self.process):
            raise RuntimeError(f"A private engine did not start: {self.log()[-2000:]}")

    def start_below(self) -> None:
        """Have its containerd answer: one of its own, as an init system runs it, and not the engine's child.

        An engine that is killed takes its child along, and the next one mistakes it for alive.
        """
        options = {
            "config": self.folder / "containerd.toml", "root": self.folder / "containerd",
            "state": self.folder / "state", "address": self.folder / "below.sock", "log-level": "warn",
        }  # fmt: skip
        self.below = self._spawn("containerd", *(f"--{name}={value}" for name, value in options.items()))
        assert wait_until(lambda: reaches(self.folder / "below.sock"), 60), self.log()[-2000:]

    def _spawn(self, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={"PATH": PATH, "HOME": str(self.folder)}, preexec_fn=die_with(os.getpid()),
            )  # fmt: skip

    def _options(self) -> list[str]:
        options = {
            "config-file": self.folder / "daemon.json", "data-root": self.data,
            "exec-root": self.folder / "exec", "pidfile": self.folder / "pid", "host": self.host,
            "containerd": self.folder / "below.sock",
            "bridge": "none", "iptables": "false", "ip6tables": "false", "userland-proxy": "false",
            "exec-opt": "native.cgroupdriver=cgroupfs", "cgroup-parent": f"/{self.group}",
            "log-level": "warn",
        }  # fmt: skip
        return [f"--{name}={value}" for name, value in options.items()]

    def answers(self) -> bool:
        with contextlib.suppress(Exception), contextlib.closing(self.client(2)) as api:
            return bool(api.ping())
        return False

    def signal(self, number: int) -> None:
        """Send it a signal and wait for its end."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(60)

    def kill_below(self) -> None:
        """Kill its containerd, and start another, as an init system does."""
        assert self.below is not None
        self.below.kill()
        self.below.wait(60)
        self.start_below()

    def live_restore(self, on: bool) -> None:
        """Whether containers run on while it is away."""
        self._configure(live_restore=on)
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)
        with contextlib.closing(self.client()) as api:
            assert wait_until(lambda: api.info()["LiveRestoreEnabled"] is on, 20)

    def _configure(self, live_restore: bool) -> None:
        (self.folder / "daemon.json").write_text(json.dumps({"live-restore": live_restore}))

    # -- to use it --------------------------------------------------------------------------------

    def client(self, timeout: float = 30) -> docker.APIClient:
        return docker.APIClient(base_url=self.host, version="auto", timeout=timeout)

    def load(self) -> None:
        """Give it the starter image, which needs no registry."""
        with contextlib.closing(DockerEngine(self.group, host=self.host)) as ours:
            ours.build_starter(STARTER)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")


def lives(process: subprocess.Popen[bytes] | None) -> bool:
    return process is not None and process.poll() is None


def reaches(path: Path) -> bool:
    """Whether somebody listens there."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(path))
        return True
    return False


def of_folder(folder: Path, names: tuple[str, ...]) -> list[int]:
    """Living processes of these names that have the folder in their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            name = Path(line[0]).name
            is_one = name in names or (names == SHIMS and name.startswith(SHIMS))
            if is_one and any(str(folder) in word for word in line[1:]):
                found.append(int(entry.name))
    return found


def kill(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def groups(group: str) -> list[Path]:
    """The control groups of an engine's containers, the innermost first."""
    tops = [place / group for place in (CGROUPS, *CGROUPS.glob("*")) if (place / group).is_dir()]
    inner = [path for top in tops for path in top.rglob("*") if path.is_dir()]
    return sorted([*tops, *inner], key=lambda path: -len(path.parts))


def inside(group: str) -> list[int]:
    """The processes of an engine's containers."""
    found: set[int] = set()
    for place in groups(group):
        with contextlib.suppress(OSError):
            found.update(map(int, (place / "cgroup.procs").read_text().split()))
    return sorted(found)


def thaw(group: str) -> None:
    """What is paused does not even die."""
    for place in groups(group):
        for name, word in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
            with contextlib.suppress(OSError):
                if (place / name).exists():
                    (place / name).write_text(word)


def prune(group: str) -> bool:
    """Remove the control groups; not at once where a process has only just ended."""
    for place in groups(group):
        with contextlib.suppress(OSError):
            place.rmdir()
    return not groups(group)


def clear(folder: Path) -> None:
    """Leave nothing of an engine: processes, mounts, sockets, control groups, files."""
    group = folder.name
    for names in (DAEMONS, SHIMS):
        kill(of_folder(folder, names))
    kill(inside(group))
    thaw(group)
    wait_until(lambda: not (of_folder(folder, DAEMONS) or of_folder(folder, SHIMS) or inside(group)), 20)
    for address in folder.glob("state/**/address"):
        Path(address.read_text().removeprefix("unix://")).unlink(missing_ok=True)
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        if line.split()[1].startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", line.split()[1]], check=False)
    wait_until(lambda: prune(group), 10)
    shutil.rmtree(folder, ignore_errors=True)


def sweep() -> None:
    """What test runs have left that were killed themselves."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if not Path("/proc", owner).exists():
            clear(folder)


def refuse(reason: str) -> None:
    """Skip on a developer's machine; in CI nothing may be skipped."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


@contextlib.contextmanager
def fresh() -> Iterator[Path]:
    """A folder for an engine, gone without a trace afterwards, and all of the engine with it."""
    if os.geteuid() or not all(shutil.which(name, path=PATH) for name in NEEDED):
        refuse(f"a private Docker Engine needs root and {', '.join(NEEDED)}")
    sweep()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    try:
        yield folder
    finally:
        clear(folder)


@contextlib.contextmanager
def made(disk: int = 512) -> Iterator[PrivateEngine]:
    """A private engine that has the starter image."""
    with fresh() as folder:
        one = PrivateEngine(folder, disk)
        one.start()
        one.load()
        yield one
