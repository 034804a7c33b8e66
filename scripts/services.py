"""A private PostgreSQL and Redis for tests, gone with whoever started them.

    python -m scripts.services install           Debian's packages, when root and missing
    python -m scripts.services run -- COMMAND    COMMAND with DATABASE_URL and REDIS_URL set

Both listen on a unix socket in a fresh folder of the machine's temporary directory, since a
socket's path may have 107 characters at most and PostgreSQL refuses to run as root.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sandboxes.management.supervisor import die_with
from scripts import debian

PACKAGES = {"postgres": "postgresql", "redis-server": "redis-server"}


class NotStarted(Exception):
    """A service did not come up; the message has the end of its log."""


def find(program: str) -> str | None:
    """The path of `postgres`, `initdb` or `redis-server`; Debian keeps the first two off the PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    path = os.pathsep.join([*map(str, reversed(versions)), os.environ.get("PATH", "")])
    return shutil.which(program, path=path)


def install() -> None:
    """Installs what is missing; raises debian.NotInstalled with what to do."""
    missing = [program for program in PACKAGES if find(program) is None]
    if not missing:
        return
    packages = [PACKAGES[program] for program in missing]
    print(f"services: installing {' and '.join(packages)} for the tests", flush=True)
    debian.install(*packages)
    for package in packages:  # their own instances are not wanted
        subprocess.run(["service", package, "stop"], capture_output=True, check=False)


@contextmanager
def postgres() -> Iterator[str]:
    """Runs a PostgreSQL and gives its DATABASE_URL (superuser `postgres`, no password)."""
    with _folder("postgres") as (folder, who):
        data = folder / "data"
        _initdb(data, who)
        options = {"unix_socket_directories": folder, "listen_addresses": "", "fsync": "off"}
        settings = [f"-c{name}={value}" for name, value in options.items()]
        command = [str(find("postgres")), "-D", str(data), *settings]
        with _running(command, folder, who, signal.SIGINT, ready=folder / ".s.PGSQL.5432"):
            yield f"postgres://postgres@{quote(str(folder), safe='')}/postgres"


def _initdb(data: Path, who: dict[str, Any]) -> None:
    command = [str(find("initdb")), "-D", str(data), "-U", "postgres", "-A", "trust", "-N"]
    subprocess.run([*command, "-E", "UTF8"], check=True, stdout=subprocess.DEVNULL, **who)


@contextmanager
def redis() -> Iterator[str]:
    """Runs a Redis without persistence and gives its REDIS_URL."""
    with _folder("nobody") as (folder, who):
        socket = folder / "redis.sock"
        command = [str(find("redis-server")), "--port", "0", "--unixsocket", str(socket)]
        command += ["--save", "", "--dir", str(folder)]
        with _running(command, folder, who, signal.SIGTERM, ready=socket):
            yield f"unix://{socket}"


@contextmanager
def _folder(user: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A fresh folder, and how to start a process in it that is not root: Popen's own words."""
    folder = Path(tempfile.mkdtemp(prefix="sandboxes-"))
    who: dict[str, Any] = {"cwd": folder}
    if os.geteuid() == 0:
        shutil.chown(folder, user)
        who |= {"user": user, "extra_groups": []}
    try:
        yield folder, who
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(
    command: Sequence[str], folder: Path, who: dict[str, Any], end: int, ready: Path
) -> Iterator[None]:
    """Runs `command` until the block ends, then sends it the signal `end`."""
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with(os.getpid()),
            **who,
        )
    try:
        _wait(lambda: ready.exists(), process, log)
        yield
    finally:
        _end(process, end)


def _wait(is_ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while not is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-800:]
            raise NotStarted(f"{process.args!r} did not come up:\n{tail}")
        time.sleep(0.05)


def _end(process: subprocess.Popen[bytes], number: int) -> None:
    process.send_signal(number)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run(command: Sequence[str]) -> int:
    """Runs `command` beside both services and returns its exit code."""
    with postgres() as database_url, redis() as redis_url:
        environment = os.environ | {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
        return subprocess.run(command, env=environment, check=False).returncode


def main(arguments: Sequence[str]) -> int:
    """Does `install` or `run -- COMMAND`; returns the exit code."""
    try:
        if arguments[:1] == ["install"]:
            install()
            return 0
        if arguments[:2] == ["run", "--"] and len(arguments) > 2:
            return run(arguments[2:])
    except (debian.NotInstalled, NotStarted) as error:
        print(f"services: {error}", file=sys.stderr)
        return 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
