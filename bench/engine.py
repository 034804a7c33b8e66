"""Our engine adapter beside the raw Engine API, interleaved in one run, as ratios of medians.

    python bench/engine.py [--rounds 20] [--image sandboxes/starter:latest]

The raw side is http.client on the engine's unix socket with one kept connection and the same
container, and does the least that gives the same result. Absolute times depend on the machine and
its neighbours; the ratios are what to compare, and only from one run.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import http.client
import json
import os
import secrets
import socket
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sandboxes.engine.base import ContainerSpec
from sandboxes.engine.docker_engine import DockerEngine
from sandboxes.engine.hardening import ImageFacts, create_config

INSTALL = f"bench-{secrets.token_hex(4)}"
STARTER = "sandboxes/starter:latest"
TEN_MB = 10_000_000
TARGETS = {"create + start": 1.15, "exec true": 1.2, "10 MB of stdout": 1.5, "stop + remove": 1.2}


class RawConnection(http.client.HTTPConnection):
    """HTTP on the engine's unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


class Raw:
    """The Engine API with nothing in between."""

    def __init__(self, path: str, config: Callable[[], dict[str, Any]]) -> None:
        self._path = path
        self._config = config
        self._kept = RawConnection(path)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body)
        self._kept.request(method, f"/v1.41{path}", data, {"Content-Type": "application/json"})
        answer = self._kept.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {text.decode()}")
        return json.loads(text) if text else None

    def create_and_start(self) -> str:
        name = f"bench-{secrets.token_hex(6)}"
        native_id: str = self.call("POST", f"/containers/create?name={name}", self._config())["Id"]
        self.call("POST", f"/containers/{native_id}/start")
        return native_id

    def run(self, native_id: str, argv: list[str]) -> tuple[int, int]:
        """Bytes of output and exit code: exec create, start, inspect."""
        wanted = {"Cmd": argv, "AttachStdout": True, "AttachStderr": True}
        exec_id = self.call("POST", f"/containers/{native_id}/exec", wanted)["Id"]
        count = self._start(exec_id)
        return count, self.call("GET", f"/exec/{exec_id}/json")["ExitCode"]

    def stop_and_remove(self, native_id: str) -> None:
        self.call("POST", f"/containers/{native_id}/stop?t=2")
        self.call("DELETE", f"/containers/{native_id}?force=1&v=1")

    def _start(self, exec_id: str) -> int:
        """Start on a connection of its own and count the payload of the frames."""
        body = b'{"Detach": false, "Tty": false}'
        head = f"POST /v1.41/exec/{exec_id}/start HTTP/1.1\r\nHost: x\r\n"
        head += "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\n"
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(self._path)
            sock.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            return count_frames(sock)


def count_frames(sock: socket.socket) -> int:
    """Payload bytes of a multiplexed stream after its HTTP head."""
    with sock.makefile("rb", buffering=256 * 1024) as reader:
        while reader.readline().strip():
            pass
        count = 0
        while header := reader.read(8):
            count += len(reader.read(int.from_bytes(header[4:], "big")))
        return count


class Ours:
    """The same through the adapter."""

    def __init__(self, engine: DockerEngine, image: str) -> None:
        self._engine = engine
        self._image = image

    def create_and_start(self) -> str:
        native_id = self._engine.create(spec(self._image))
        self._engine.start(native_id)
        return native_id

    def run(self, native_id: str, argv: list[str]) -> tuple[int, int | None]:
        with contextlib.closing(self._engine.exec(native_id, argv)) as stream:
            count = sum(len(data) for _, data in stream)
            return count, stream.exit_code()

    def stop_and_remove(self, native_id: str) -> None:
        self._engine.stop(native_id)
        self._engine.remove(native_id)


def spec(image: str) -> ContainerSpec:
    return ContainerSpec(f"sb_{secrets.token_hex(6)}", image, 64 << 20, 1, 64)


@contextlib.contextmanager
def timed(times: list[float]) -> Iterator[None]:
    began = time.perf_counter()
    yield
    times.append(1000 * (time.perf_counter() - began))


def measure(sides: dict[str, Raw | Ours], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Milliseconds by operation and side; the side that goes first changes each round."""
    found: dict[str, dict[str, list[float]]] = {name: {side: [] for side in sides} for name in TARGETS}
    order = list(sides)
    for number in range(rounds):
        for side in order if number % 2 else reversed(order):
            one_round(sides[side], {name: found[name][side] for name in TARGETS}, number)
    return found


def one_round(side: Raw | Ours, times: dict[str, list[float]], number: int) -> None:
    with timed(times["create + start"]):
        native_id = side.create_and_start()
    for _ in range(3):
        with timed(times["exec true"]):
            assert side.run(native_id, ["true"]) == (0, 0)
    if number % 2 == 0:
        with timed(times["10 MB of stdout"]):
            assert side.run(native_id, ["head", "-c", str(TEN_MB), "/dev/zero"]) == (TEN_MB, 0)
    with timed(times["stop + remove"]):
        side.stop_and_remove(native_id)


def table(found: dict[str, dict[str, list[float]]]) -> str:
    lines = [
        "| operation | n | raw p50 ms | ours p50 ms | ratio of p50 | ratio of best | target |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, sides in found.items():
        raw, ours = sides["raw"], sides["ours"]
        middle = statistics.median(raw), statistics.median(ours)
        lines.append(
            f"| {name} | {len(raw)} | {middle[0]:.1f} | {middle[1]:.1f} "
            f"| {middle[1] / middle[0]:.2f} | {min(ours) / min(raw):.2f} | <= {TARGETS[name]} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--image", default=STARTER)
    given = parser.parse_args()
    engine = DockerEngine(INSTALL)
    engine.build_starter(STARTER)
    path = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
    facts = ImageFacts("1000:1000", "/workspace")
    raw = Raw(path, lambda: create_config(spec(given.image), INSTALL, facts, ""))
    try:
        gc.disable()
        print(table(measure({"raw": raw, "ours": Ours(engine, given.image)}, given.rounds)))
    finally:
        for one in engine.list():
            engine.remove(one.native_id)
        engine.close()


if __name__ == "__main__":
    main()
