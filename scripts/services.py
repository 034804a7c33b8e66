"""A private PostgreSQL, Redis and nginx for tests, gone with whoever started them.

    python -m scripts.services install           Debian's packages, when root and missing
    python -m scripts.services run -- COMMAND    COMMAND with DATABASE_URL and REDIS_URL set

The first two listen on a unix socket in a fresh folder of the machine's temporary directory, since a
socket's path may have 107 characters at most and PostgreSQL refuses to run as root.
"""

from __future__ import annotations

import grp
import os
import pwd
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

PACKAGES = {"postgres": "postgresql", "redis-server": "redis-server", "nginx": "nginx-light",
            "sqlite3": "sqlite3", "openssl": "openssl"}  # fmt: skip
OWN_INSTANCES = ("postgresql", "redis-server", "nginx")
"""What the packages start by themselves."""


SBIN = ("/usr/sbin", "/sbin")


class NotStarted(Exception):
    """A service did not come up; the message has the end of its log."""


def find(program: str) -> str | None:
    """The path of a program; Debian keeps PostgreSQL's off the PATH, and nginx off that of people."""
    return shutil.which(
        program, path=os.pathsep.join([*postgres_programs(), os.environ.get("PATH", ""), *SBIN])
    )


def postgres_programs() -> list[str]:
    """Where Debian keeps `postgres`, `initdb` and the like, the newest first."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    return [str(one) for one in reversed(versions)]


def install() -> None:
    """Installs what is missing; raises debian.NotInstalled with what to do."""
    missing = [program for program in PACKAGES if find(program) is None]
    if not missing:
        return
    packages = [PACKAGES[program] for program in missing]
    print(f"services: installing {' and '.join(packages)} for the tests", flush=True)
    debian.install(*packages)
    for name in OWN_INSTANCES:
        if any(package.startswith(name) for package in packages):
            _keep_down(name)


def _keep_down(name: str) -> None:
    """A service that a package has started is not wanted: neither now nor after the next boot."""
    for command in (["service", name, "stop"], ["update-rc.d", name, "disable"]):
        subprocess.run(command, capture_output=True, check=False)


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
def nginx(blocks: str) -> Iterator[Path]:
    """Runs an nginx with these blocks of its `http` part; gives its folder, which has the log `access`.

    A line of the log is: request id, address, status, path. As root it reads certificates as root, and
    its workers are nobody, as Debian's are www-data.
    """
    with _folder("nobody") as (folder, _):
        user = "" if os.geteuid() else f"user nobody {grp.getgrgid(pwd.getpwnam('nobody').pw_gid).gr_name};"
        (folder / "conf").write_text(NGINX.format(user=user, folder=folder, blocks=blocks))
        command = [str(find("nginx")), "-p", str(folder), "-e", "stderr", "-c", str(folder / "conf")]
        with _running(command, folder, {"cwd": folder}, signal.SIGTERM, ready=folder / "pid"):
            yield folder


NGINX = """
{user}
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    log_format told '$request_id $remote_addr $status $request_uri'; access_log {folder}/access told;
{blocks}
}}
"""


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
