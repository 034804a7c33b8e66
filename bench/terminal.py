"""Terminals against the raw exec socket, in one run: echo, throughput, an unread flood, closing 100.

    python -m bench.terminal [--echoes 600] [--unread 30] [--closings 100]

The product is started as people run it (daphne, loop, real engine); the floor is the engine's own
hijacked exec socket, read by this process. Rounds are interleaved; ratios are what to trust.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import docker

from bench.person import Person, web_process
from tests.browser.product import Product, running

MEGABYTE = 1_000_000


class Ours:
    """The product's terminal, driven as the page drives it, acknowledgements included."""

    def __init__(self, ws: Any) -> None:
        self.ws, self.at, self.acked = ws, 0, 0

    async def read(self) -> bytes:
        while True:
            frame = await self.ws.recv()
            if isinstance(frame, bytes):
                self.at += len(frame)
                if self.at - self.acked >= 64 * 1024:
                    await self.acknowledge()
                return frame
            message = json.loads(frame)
            if message["type"] == "attached":
                self.at = self.acked = message["offset"]

    async def acknowledge(self) -> None:
        self.acked = self.at
        await self.ws.send(json.dumps({"type": "ack", "offset": self.at}))

    async def write(self, data: bytes) -> None:
        await self.ws.send(data)


class Raw:
    """The engine's exec socket, with nothing between."""

    def __init__(self, container_id: str) -> None:
        api = docker.APIClient(version="auto")
        made = api.exec_create(container_id, ["sh"], tty=True, stdin=True, environment={"TERM": "xterm"})
        self.api, self._wrapper = api, api.exec_start(made["Id"], tty=True, socket=True)
        self.sock: socket.socket = self._wrapper._sock
        self.sock.setblocking(False)

    async def read(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.sock, 65536)

    async def write(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.sock, data)


async def until(side: Any, mark: bytes, seconds: float = 60) -> int:
    """Read until ``mark`` comes; the number of bytes read."""
    tail, count = b"", 0
    async with asyncio.timeout(seconds):
        while mark not in tail:
            data = await side.read()
            count += len(data)
            tail = tail[-len(mark) :] + data if len(data) < 4096 else (tail + data)[-4096:]
    return count


async def ready(side: Any) -> None:
    """Have a process, not the line discipline, answer each byte."""
    await side.write(b"stty raw -echo; printf 'go'\"ne\\n\"; exec cat\n")
    await until(side, b"gone\n")


async def echoes(sides: dict[str, Any], count: int) -> dict[str, list[float]]:
    """Milliseconds from each byte typed to its coming back; the sides take turns key by key."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for index in range(count):
        byte = bytes([97 + index % 26])
        for name, side in sides.items():
            begin = time.perf_counter()
            await side.write(byte)
            await until(side, byte, 10)
            times[name].append((time.perf_counter() - begin) * 1000)
            await asyncio.sleep(0.003)
    return times


async def throughput(side: Any, megabytes: int) -> float:
    """Megabytes a second of ``head -c`` from /dev/zero through the tty."""
    begin = time.perf_counter()
    await side.write(f"head -c {megabytes}000000 /dev/zero; printf 'do'\"ne!\\n\"\n".encode())
    count = await until(side, b"done!", 120)
    return count / MEGABYTE / (time.perf_counter() - begin)


def p(times: list[float], share: float) -> float:
    return statistics.quantiles(times, n=100)[int(share) - 1]


def print_echoes(got: dict[str, list[float]]) -> None:
    """p25 is what a quiet machine would show more often; p50 is the target's."""
    print(f"echo of one key, ms {'p25':>8}{'p50':>8}{'p95':>8}")
    for name, times in got.items():
        print(f"  {name:<18}" + "".join(f"{p(times, share):>8.2f}" for share in (25, 50, 95)))
    ratios = [p(got["ours"], share) / p(got["raw"], share) for share in (25, 50, 95)]
    print(f"  {'ratio':<18}" + "".join(f"{one:>8.2f}" for one in ratios) + "   target p50 <= 3")


async def compare(person: Person, sandbox: str, count: int) -> None:
    container = person.product.container(sandbox).id
    async with person.wire(sandbox, "echo") as ws:
        ours, raw = Ours(ws), Raw(container)
        await ready(ours)
        await ready(raw)
        got = await echoes({"raw": raw, "ours": ours}, count)
    print_echoes(got)
    await compare_throughput(person, sandbox, container)


async def compare_throughput(person: Person, sandbox: str, container: str) -> None:
    got: dict[str, list[float]] = {"raw": [], "ours": []}
    async with person.wire(sandbox, "flood") as ws:
        ours, raw = Ours(ws), Raw(container)
        for _ in range(3):
            got["raw"].append(await throughput(raw, 20))
            got["ours"].append(await throughput(ours, 20))
    raw_rate, our_rate = (statistics.median(got[name]) for name in ("raw", "ours"))
    print(f"throughput, MB/s: raw {raw_rate:.1f}, ours {our_rate:.1f}, ratio {our_rate / raw_rate:.2f}")


def server_memory(product: Product) -> int:
    """Resident bytes of the web process."""
    return int(Path(f"/proc/{web_process(product)}/statm").read_text().split()[1]) * 4096


async def unread(person: Person, sandbox: str, seconds: int) -> None:
    async with person.terminal(sandbox, "unread") as ws:
        ours = Ours(ws)
        await ours.write(b"printf 're''ady!'\n")
        await until(ours, b"ready!")
        before = server_memory(person.product)
        await ours.write(b"yes\n")
        for _ in range(20):  # read a little, then no more
            await ours.ws.recv()
        await asyncio.sleep(seconds)
        grown = (server_memory(person.product) - before) / 1e6
    print(f"unread `yes` for {seconds} s: the server grew by {grown:.1f} MB   target <= 8")


async def close_many(person: Person, sandbox: str, count: int) -> None:
    """Open terminals with a child each, close them on purpose, and look for what is left after 2 s."""
    late, slowest = 0, 0.0
    for index in range(count):
        async with person.terminal(sandbox, f"t{index}") as ws:
            ours = Ours(ws)
            await ours.write(f"sleep 90{index:03d} & printf 'sta''rted!'\n".encode())
            await until(ours, b"started!", 20)
            begin = time.perf_counter()
            await ws.send(json.dumps({"type": "close"}))
            gone = await gone_after(person.product, sandbox, f"sleep 90{index:03d}", begin)
            slowest, late = max(slowest, gone), late + (gone > 2)
    print(
        f"closed terminals: {count - late} of {count} gone within 2 s, slowest {slowest:.2f} s   target all"
    )


async def gone_after(product: Product, sandbox: str, command: str, begin: float) -> float:
    while time.perf_counter() - begin < 10:
        if command not in product.processes(sandbox):
            break
        await asyncio.sleep(0.02)
    return time.perf_counter() - begin


async def measure(product: Product, arguments: argparse.Namespace) -> None:
    person = Person(product)
    sandbox = await asyncio.to_thread(person.launch, "bench")
    await compare(person, sandbox, arguments.echoes)
    await unread(person, sandbox, arguments.unread)
    await close_many(person, sandbox, arguments.closings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--echoes", type=int, default=600)
    parser.add_argument("--unread", type=int, default=30, help="seconds")
    parser.add_argument("--closings", type=int, default=100)
    with tempfile.TemporaryDirectory() as data, running(Path(data)) as product:
        asyncio.run(measure(product, parser.parse_args()))


if __name__ == "__main__":
    main()
