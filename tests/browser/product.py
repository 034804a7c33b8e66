"""The whole product as people run it: its own data, its own label, web and cleanup loop, real engine."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker

from tests import recording

from .teller import Teller

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery"  # of everybody in the cast
CAST = f"""
from sandboxes.models import User
for name in ("alice", "bob"):
    User.objects.create_user(name, password={PASSWORD!r})
User.objects.create_user("prof", password={PASSWORD!r}, is_staff=True)
"""
NOT_OURS = {"DATABASE_URL", "REDIS_URL"}
QUICK = {
    "DJANGO_SETTINGS_MODULE": "tests.browser.quick_settings",
    "SANDBOX_CLEANUP_INTERVAL": "0.5",
    "SANDBOX_TERMINAL_GRACE": "5",
    "SANDBOX_STOP_GRACE": "1",
    "SANDBOX_QUOTA_SANDBOXES": "50",
    "SANDBOX_QUOTA_MEMORY": "40g",
    "SANDBOX_QUOTA_CREATES": "0",
    "SANDBOX_ACCEPT_UNGUARDED_NETWORK": "1",
    "SANDBOX_MEMORY_SHARE": "0",
    "SANDBOX_QUOTA_DISK": "0",
    "SANDBOX_QUOTA_TERMINALS": "0",
    "SANDBOX_USER_COMMAND_PACE": "0",
    "SANDBOX_USER_SOCKETS": "0",
    "SANDBOX_MIN_MEMORY": "6m",
    "SANDBOX_LOG_LEVEL": "WARNING",
}


class Product:
    """One running install; ``url`` is where it is, ``engine`` a way to do things by hand."""

    def __init__(self, data: Path, **environment: str) -> None:
        self.data = data
        self.install = f"test-{secrets.token_hex(4)}"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.engine: Any = docker.from_env()
        self.environment = {
            **{
                name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}
            },
            **QUICK,
            "DOCKER_HOST": recording.host(),
            "SANDBOX_DATA": str(data),
            "SANDBOX_INSTALL": self.install,
            "SANDBOX_NETWORK_NAME": self.install,
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self._teller: Teller | None = None

    def manage(self, *arguments: str) -> str:
        """What ``manage.py`` prints; raises CalledProcessError."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=self.environment, check=True, capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout

    def tell(self, code: str) -> str:
        """What this code prints, run as `manage.py shell -c` does; raises CalledProcessError."""
        self._teller = self._teller or Teller(self.environment)
        return self._teller.run(code)

    def start(self) -> None:
        """Serve, and wait until it answers. Raises RuntimeError with the end of its log."""
        log = (self.data / "serve.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--port", str(self.port)],
            cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        for _ in range(300):
            if self._answers():
                return
            time.sleep(0.1)
        raise RuntimeError(f"It did not start: {self.log()[-2000:]}")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def log(self) -> str:
        """Everything it has said so far."""
        return (self.data / "serve.log").read_text(errors="replace")

    def stop(self) -> None:
        """End web and loop, as Ctrl-C does."""
        if self._teller is not None:
            self._teller.close()
            self._teller = None
        if self.process is None or self.process.poll() is not None:
            return
        os.killpg(self.process.pid, signal.SIGINT)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def containers(self) -> list[Any]:
        """Every container of this install."""
        found: list[Any] = self.engine.containers.list(
            all=True, filters={"label": f"sandboxes.install={self.install}"}
        )
        return found

    def names(self) -> list[str]:
        """Their names; asks the engine once, where ``containers`` asks again for each."""
        label = {"label": f"sandboxes.install={self.install}"}
        return [one["Names"][0].lstrip("/") for one in self.engine.api.containers(all=True, filters=label)]

    def container(self, sandbox_id: str) -> Any:
        """The container of a sandbox, to do by hand what anybody may do."""
        return self.engine.containers.get(f"sandbox-{sandbox_id}")

    def processes(self, sandbox_id: str) -> str:
        """The command lines inside a sandbox."""
        rows = self.container(sandbox_id).top()["Processes"] or []
        return "\n".join(" ".join(row) for row in rows)

    def sweep(self) -> None:
        """Remove every container and network of this install."""
        for one in self.containers():
            with contextlib.suppress(docker.errors.APIError):  # being removed already
                one.remove(force=True)
        for network in self.engine.networks.list(names=[self.install]):
            network.remove()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


_first: dict[str, bytes] = {}
"""By name, the files of this process's first install with its cast, before it was served."""


def prepare(product: Product) -> None:
    """Make what has to be there before it can serve: for a later install the first one's files, which
    saves it the migrations; with a database of its own, all of it."""
    kept = {} if "DATABASE_URL" in product.environment else _first
    for name, content in kept.items():
        (product.data / name).write_bytes(content)
    product.manage("bootstrap")
    if not kept:
        product.tell(CAST)
        kept.update({one.name: one.read_bytes() for one in product.data.iterdir() if one.is_file()})


@contextmanager
def running(data: Path, **environment: str) -> Iterator[Product]:
    """A product with its cast, gone without a trace afterwards."""
    product = Product(data, **environment)
    try:
        prepare(product)
        product.start()
        yield product
    finally:
        product.stop()
        product.sweep()
        product.engine.close()
