"""Makes sure that a Docker Engine answers, or says in plain words what to do.

    python -m scripts.engine            exit code 1 when none answers
    python -m scripts.engine --go-on    exit code 0 all the same: the site starts without an engine

Uses the engine at DOCKER_HOST or the default socket. With none there, root on Debian or Ubuntu
gets Debian's docker.io installed and started; SANDBOX_INSTALL_ENGINE=0 forbids that.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from scripts import debian

SOCKET = Path("/var/run/docker.sock")
LOG = Path("/var/log/sandboxes-dockerd.log")
START, INSTALL, TELL = "start", "install", "tell"


def version() -> str | None:
    """The version of the engine that DOCKER_HOST or the default socket leads to, None without."""
    host = os.environ.get("DOCKER_HOST") or f"unix://{SOCKET}"
    try:
        return _ask_socket(host[7:]) if host.startswith("unix://") else _ask_elsewhere()
    except (OSError, ValueError, KeyError, HTTPException):
        return None


def _ask_socket(path: str) -> str:
    """The version by hand: docker-py alone needs 0.3 s to be imported, on every `make run`."""
    connection = HTTPConnection("localhost", timeout=5)
    with socket.socket(socket.AF_UNIX) as connection.sock:
        connection.sock.settimeout(5)
        connection.sock.connect(path)
        connection.request("GET", "/version")
        return str(json.load(connection.getresponse())["Version"])


def _ask_elsewhere() -> str:
    """The version over TCP, TLS or SSH, as the site itself connects."""
    from docker import from_env
    from docker.errors import DockerException

    try:
        return str(from_env(timeout=5).version()["Version"])
    except DockerException as error:
        raise OSError(str(error)) from error


@dataclass(frozen=True)
class Machine:
    """What decides about the engine here.

    ``host`` is DOCKER_HOST, ``other`` an engine's address that would answer if it were set.
    """

    host: str = ""
    other: str = ""
    has_socket: bool = False
    may_use_socket: bool = False
    has_dockerd: bool = False
    is_root: bool = False
    is_debian: bool = False
    may_install: bool = True


def look(environ: Mapping[str, str]) -> Machine:
    """This machine as it is."""
    return Machine(
        host=environ.get("DOCKER_HOST", ""),
        other=other_engine(environ),
        has_socket=SOCKET.exists(),
        may_use_socket=os.access(SOCKET, os.R_OK | os.W_OK),
        has_dockerd=shutil.which("dockerd", path=environ.get("PATH", "") + ":/usr/sbin") is not None,
        is_root=os.geteuid() == 0,
        is_debian=debian.is_debian(),
        may_install=environ.get("SANDBOX_INSTALL_ENGINE", "1") != "0",
    )


def other_engine(environ: Mapping[str, str]) -> str:
    """The address of a rootless engine or of Docker Desktop, "" when there is none."""
    places = [
        Path(environ.get("XDG_RUNTIME_DIR", "/nowhere")) / "docker.sock",
        Path(environ.get("HOME", "/nowhere")) / ".docker/run/docker.sock",
    ]
    return next((f"unix://{place}" for place in places if place.exists()), "")


def decide(machine: Machine) -> tuple[str, str]:
    """What to do about an engine that does not answer: START, INSTALL or TELL, and what to say."""
    if machine.host:
        return TELL, (
            f"No Docker Engine answers at DOCKER_HOST={machine.host}. Start it, or correct or unset "
            "DOCKER_HOST."
        )
    if machine.other:
        return TELL, (
            "No Docker Engine answers at the default socket, but there is one of yours: run this "
            f"again with DOCKER_HOST={machine.other}"
        )
    if machine.has_socket and not machine.may_use_socket:
        return TELL, (
            f"You may not use the Docker Engine's socket {SOCKET}. Join its group with "
            "`sudo usermod -aG docker $USER`, sign in again and run this again."
        )
    return _decide_dockerd(machine) if machine.has_dockerd else _decide_nothing(machine)


def _decide_dockerd(machine: Machine) -> tuple[str, str]:
    if machine.is_root:
        return START, "The Docker Engine is installed but not running: starting it."
    return TELL, (
        "The Docker Engine is installed but not running. Start it with `sudo systemctl start docker` "
        "(or `sudo dockerd`) and run this again."
    )


def _decide_nothing(machine: Machine) -> tuple[str, str]:
    if machine.is_root and machine.is_debian and machine.may_install:
        return INSTALL, (
            "No Docker Engine here: installing Debian's docker.io and starting it "
            "(SANDBOX_INSTALL_ENGINE=0 forbids this)."
        )
    return TELL, (
        "No Docker Engine here. Install one (on Debian and Ubuntu: `sudo apt-get install docker.io`; "
        "elsewhere see docs.docker.com/engine/install), or point DOCKER_HOST at one, and run this "
        "again."
    )


def install() -> None:
    """Installs docker.io. Its recommendations too: without them runc has no cgroups or AppArmor."""
    debian.install("docker.io", recommends=True)


def start(command: Sequence[str] = ("dockerd",), log: Path = LOG) -> None:
    """Starts the engine so that it outlives us: by systemd where that runs, else by hand.

    By hand its output goes to `log`.
    """
    if Path("/run/systemd/system").is_dir() and command == ("dockerd",):
        subprocess.run(["systemctl", "start", "docker"], check=False)
        return
    mount_cgroups()
    with log.open("ab") as output:
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=os.environ | {"PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"},
        )


def mount_cgroups() -> None:
    """Mounts the control groups where no init system did (a no-op where they are there)."""
    helper = shutil.which("cgroupfs-mount")
    if helper and not os.path.ismount("/sys/fs/cgroup"):
        subprocess.run([helper], check=False)


def wait(seconds: float, ask: Callable[[], str | None] = version) -> str | None:
    """The engine's version once it answers, None when it does not within so many seconds."""
    end = time.monotonic() + seconds
    while not (answer := ask()) and time.monotonic() < end:
        time.sleep(0.3)
    return answer


def say(text: str) -> None:
    """One line about the engine."""
    print(f"engine: {text}", flush=True)


def bring_up(machine: Machine) -> str | None:
    """Does what `decide` says and returns the version of the engine that answers then."""
    action, words = decide(machine)
    say(words)
    if action == TELL:
        return None
    if action == INSTALL:
        install()
    # the package starts it by itself where there is an init system; a second try, because after a
    # crash the first one may meet what the old engine left
    answer = wait(3 if action == INSTALL else 0)
    for _ in range(2):
        if not answer:
            start()
            answer = wait(30)
    if not answer:
        say(f"It does not answer. The end of {LOG}:\n{tail(LOG)}")
    return answer


def tail(log: Path, lines: int = 8) -> str:
    """The last lines of a log, "" when there is none."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""


def main(arguments: Sequence[str]) -> int:
    """Exit code 0 when an engine answers (or with --go-on), else 1."""
    answer = version()
    try:
        answer = answer or bring_up(look(os.environ))
    except debian.NotInstalled as error:
        say(str(error))
    if answer:
        say(f"Docker Engine {answer} answers.")
        return 0
    return 0 if "--go-on" in arguments else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
