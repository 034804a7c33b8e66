"""manage.py serve: the real web server and the real loop, started, killed and ended."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path

import pytest
from django.core.management import CommandError

from sandboxes.management.commands.serve import FRAMES, HEAD_START, Greeter, children, require_free

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_web_server_and_loop_are_what_is_served():
    web, *loops = children("127.0.0.1", 8123, verbosity=1)
    place = ["-b", "127.0.0.1", "-p", "8123", "-v", "0"]
    web_server = ["-m", "sandboxes.management.web_server"]
    assert web.command[1:] == [*web_server, *place, *FRAMES, "sandboxes.asgi:application"]
    assert [one.command[2] for one in loops] == ["cleanup", "provision", "audit"]


def test_a_socket_that_says_nothing_is_asked_and_gone_within_a_minute():
    given = dict(zip(FRAMES[::2], FRAMES[1::2], strict=True))
    often, patience, looks = int(given["--ping-interval"]), int(given["--ping-timeout"]), 2  # looks: daphne's
    assert 0 < patience < 60 - often - looks


def test_the_first_loop_looks_at_the_settings_for_all():
    _, *loops = children("127.0.0.1", 8123, verbosity=1)
    assert [one.command[3:] for one in loops] == [[], ["--skip-checks"], ["--skip-checks"]]


def test_only_the_web_server_carries_twisted():
    """Which is a quarter of what a process takes to start."""
    look = "import sys; from manage import main; main(); print('twisted' in sys.modules)"
    words = [sys.executable, "-c", look, "check"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "False"


def test_the_web_server_begins_first():
    web, *loops = children("127.0.0.1", 8123, verbosity=1)
    assert web.due == 0
    assert all(0 < one.due - time.monotonic() <= HEAD_START for one in loops)


def test_port_in_use_is_an_error_that_says_what_to_do():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=f"Cannot listen on 127.0.0.1:{port}.*--port"):
            require_free("127.0.0.1", port)


@pytest.mark.parametrize("port", [-1, 70000])
def test_port_that_cannot_be_is_an_error(port):
    with pytest.raises(CommandError, match="Cannot listen"):
        require_free("127.0.0.1", port)


def test_address_is_told_once_and_not_before_somebody_answers(port):
    said: list[str] = []
    greet = Greeter("0.0.0.0", port, said.append)
    greet()
    assert said == []
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))
        server.listen()
        greet()
        greet()
    assert len(said) == 1
    assert f"http://127.0.0.1:{port}/" in said[0]


# --- the real thing ----------------------------------------------------------------------------


class Site:
    """A site in processes of its own, with a data directory of its own."""

    def __init__(self, data: Path, port: int) -> None:
        self.environment = os.environ | {
            "SANDBOX_DATA": str(data),
            "SANDBOX_CLEANUP_INTERVAL": "0.5",
            "SANDBOX_ACCEPT_UNGUARDED_NETWORK": "1",  # killed while it looks it would leave the probe behind
            "PYTHONUNBUFFERED": "1",
            "SANDBOX_NICENESS": "1",  # the other way would take root
        }
        self.address = f"http://127.0.0.1:{port}"
        self.log = data / "log"
        self.manage("bootstrap")
        serve = [sys.executable, "manage.py", "serve", "--port", str(port)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                serve, cwd=ROOT, env=self.environment, stdout=log, stderr=subprocess.STDOUT
            )

    def manage(self, *arguments: str) -> str:
        """What a management command prints."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    def answers(self, path: str) -> bool:
        """Whether a page answers with success."""
        try:
            with urllib.request.urlopen(self.address + path, timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, HTTPException):
            return False

    def children(self) -> dict[str, int]:
        """The pids of the web server and of the loop."""
        found = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = stat.read_text().rpartition(")")[2].split()[1]
                command = (stat.parent / "cmdline").read_text()
            except OSError:
                continue
            if int(parent) == self.process.pid:
                found["web" if "web_server" in command else "cleanup"] = int(stat.parent.name)
        return found

    def end(self, number: int = signal.SIGTERM) -> int:
        """Signals it and returns its exit code."""
        self.process.send_signal(number)
        return self.process.wait(20)


def until(fact: Callable[[], object], site: Site, seconds: float = 20) -> None:
    """Waits for a fact; fails the test with what the site said when it does not come true."""
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end, site.log.read_text()
        assert site.process.poll() is None, site.log.read_text()
        time.sleep(0.1)


@pytest.fixture
def site(tmp_path, port) -> Iterator[Site]:
    """A site that answers, gone after the test."""
    one = Site(tmp_path, port)
    try:
        until(lambda: one.answers("/healthz"), one)
        yield one
    finally:
        one.process.kill()
        one.process.wait()


def is_gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def niceness(pid: int) -> int:
    return os.getpriority(os.PRIO_PROCESS, pid)


@pytest.mark.engine
def test_site_gets_ready_and_ctrl_c_leaves_nothing_running(site):
    until(lambda: site.answers("/readyz"), site)
    running = site.children()
    assert set(running) == {"web", "cleanup"}
    assert niceness(running["web"]) == niceness(running["cleanup"]) + 1
    assert site.end(signal.SIGINT) == 0
    assert all(map(is_gone, running.values()))
    said = site.log.read_text()
    assert f"Sandboxes is at {site.address}/" in said
    assert "Traceback" not in said
    assert said.rstrip().endswith("serve: stopped; sandboxes keep running")


@pytest.mark.engine
@pytest.mark.parametrize("who", ["web", "cleanup"])
def test_killed_half_comes_back(site, who):
    until(lambda: len(site.children()) == 2, site)
    old = site.children()
    os.kill(old[who], signal.SIGKILL)
    until(lambda: site.children().get(who, old[who]) != old[who], site)
    until(lambda: site.answers("/readyz"), site)
    other = ({"web", "cleanup"} - {who}).pop()
    assert site.children()[other] == old[other]


@pytest.mark.engine
def test_killed_serve_takes_both_along(site):
    until(lambda: len(site.children()) == 2, site)
    running = site.children()
    site.end(signal.SIGKILL)
    end = time.monotonic() + 10
    while not all(map(is_gone, running.values())):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.engine
def test_link_of_the_first_admin_is_printed_again_until_it_is_used(site):
    assert re.search(r"http://127\.0\.0\.1:8000/sign-in/\S+/\S+/", site.manage("bootstrap"))
