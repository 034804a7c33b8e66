"""The Engine on a Docker Engine: makes the clients, and puts the parts together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import docker
from docker.transport import UnixHTTPAdapter
from docker.utils import kwargs_from_env
from requests.adapters import HTTPAdapter

from .base import Capabilities, EngineInfo
from .checking import Checking
from .connection import CONNECT, Connection, patience
from .containers import NETWORK
from .exec_stream import Begun
from .files import Files
from .images import Images
from .locks import Locks
from .probing import Probing
from .starts import Starts
from .terminal import Terminals
from .watching import Watching
from .wire import Wires


class Client(docker.APIClient):
    """The low-level client, with a time limit on every request that its caller chooses.

    Its own limit covers only silence while it reads, is the same for connecting, and is stretched
    by some methods.
    """

    def request(self, method: str, url: str, **kwargs: Any) -> Any:
        kwargs["timeout"] = (CONNECT, patience.get())
        return super().request(method, url, **kwargs)


class OnePool(UnixHTTPAdapter):
    """One pool of connections for all requests to the socket.

    The library keeps a pool for every single URL, and of these the 25 used last: hardly a
    connection is ever used twice, and with more calls at once one may lose its pool under way.
    """

    def get_connection(self, url: str, proxies: Any = None) -> Any:
        return super().get_connection("http+docker://localhost", proxies)


def make_client(environment: Mapping[str, str], pool: int, version: str) -> Client:
    """A client for the engine that ``environment`` names (DOCKER_HOST and its TLS variables)."""
    made = Client(version=version, max_pool_size=pool, **kwargs_from_env(environment=dict(environment)))
    made.trust_env = False  # no proxy of the environment, nor its certificates in place of ours
    _pool_connections(made, pool)
    return made


def _pool_connections(made: Client, pool: int) -> None:
    """Keep up to ``pool`` idle connections; the library's own choice is ten, or too many."""
    usual = made.adapters.get("http+docker://")
    if type(usual) is UnixHTTPAdapter:
        address = f"http+unix://{usual.socket_path}"
        made.mount("http+docker://", OnePool(address, usual.timeout, max_pool_size=pool))
        usual.close()
    else:
        for scheme in ("http://", "https://"):
            made.mount(scheme, HTTPAdapter(pool_maxsize=pool))


class DockerEngine(Checking, Probing, Files, Terminals, Images, Watching):
    """The Engine of one install on one Docker Engine. See base.Engine for what each call means.

    ``health`` tells whether the engine answered lately, and since when it has not.
    """

    capabilities = Capabilities()

    def __init__(
        self,
        install: str,
        *,
        host: str = "",
        network: str = NETWORK,
        locks: Path | None = None,
    ) -> None:
        """``install`` is the label value of our containers; ``host`` overrides DOCKER_HOST. ``locks`` is a
        folder for what all processes of the install have to keep apart; see starts.py.

        Nothing is asked of the engine yet: it may be away.
        """
        environment = dict(os.environ) | ({"DOCKER_HOST": host} if host else {})
        self.install = install
        self.network = network
        self.connection = Connection(partial(make_client, environment))
        self.health = self.connection.health
        self.wires = Wires()
        self.starts = Starts(Locks(locks))
        self.begun = Begun()
        self.known_images, self.known_users, self.known_folders = {}, {}, {}
        self.terminal_threads = ThreadPoolExecutor(64, thread_name_prefix="terminal")
        self.wrapped_threads = ThreadPoolExecutor(600, thread_name_prefix="terminal-tls")

    @classmethod
    def from_settings(cls) -> DockerEngine:
        """By SANDBOX_INSTALL, SANDBOX_NETWORK_NAME and SANDBOX_DATA; DOCKER_HOST is honoured."""
        from django.conf import settings

        network = getattr(settings, "SANDBOX_NETWORK_NAME", "") or NETWORK
        return cls(settings.SANDBOX_INSTALL, network=network, locks=Path(settings.DATA_DIR) / "locks")

    def info(self) -> EngineInfo:
        with self.connection.control(reading=True) as api:
            found = api.info()
            disk = _disk(found.get("DockerRootDir", ""))
            return EngineInfo(
                name="Docker Engine",
                version=found["ServerVersion"],
                cpus=found["NCPU"],
                memory=found["MemTotal"],
                cgroup_version=found.get("CgroupVersion", "1"),
                free_disk=disk.f_bavail * disk.f_frsize if disk else None,
                containers_running=found["ContainersRunning"],
                runtimes=_runtimes(found),
                free_files=disk.f_favail if disk and disk.f_files else None,
                most_files=disk.f_files or None if disk else None,
            )

    def close(self) -> None:
        self.connection.close()
        self.terminal_threads.shutdown(wait=False, cancel_futures=True)
        self.wrapped_threads.shutdown(wait=False, cancel_futures=True)


def _runtimes(found: dict[str, Any]) -> tuple[str, ...]:
    """By name; the engine's own ways to name its usual one are left out."""
    usual = found.get("DefaultRuntime")
    names = found.get("Runtimes") or {}
    return tuple(sorted(one for one in names if one != usual and not one.startswith("io.containerd.")))


def _disk(folder: str) -> os.statvfs_result | None:
    """What holds the engine's data; None when that is not on this machine."""
    try:
        return os.statvfs(folder)
    except OSError:
        return None
