"""What recording costs a terminal: one recorded and one not, of one server, key by key in one run.

    python -m bench.recording [--echoes 600] [--rounds 3] [--flood 5]

The ratio is what to trust; the target is an echo's p50 within 10 % of unrecorded. The flood says what
a program that prints without end gets through, and what of it the recording keeps or says is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from bench.person import Person
from bench.terminal import MEGABYTE, Ours, echoes, p, ready, server_memory, throughput, until
from sandboxes.live.recording_format import read
from tests.browser.product import Product, running

SETTINGS = {"SANDBOX_RECORDING": "optional", "SANDBOX_RECORDING_CAP": "2g"}


async def record(side: Ours) -> None:
    """Have it recorded from now on, keystrokes included where the install says so."""
    await side.ws.send(json.dumps({"type": "record", "on": True}))
    while True:
        frame = await side.ws.recv()
        if (
            isinstance(frame, str)
            and json.loads(frame).get("type") == "recording"
            and json.loads(frame)["on"]
        ):
            return


async def compare_echoes(person: Person, sandbox: str, count: int, rounds: int) -> None:
    """The sides take turns key by key, and change their places in every round."""
    got: dict[str, list[float]] = {"plain": [], "recorded": []}
    for number in range(rounds):
        async with person.wire(sandbox, f"a{number}") as one, person.wire(sandbox, f"b{number}") as two:
            plain, recorded = Ours(one), Ours(two)
            for side in (plain, recorded):
                await until(side, b"$ ")
            await record(recorded)
            for side in (plain, recorded):
                await ready(side)
            sides: dict[str, Any] = {"plain": plain, "recorded": recorded}
            order = list(sides.items())[:: 1 if number % 2 else -1]
            for name, times in (await echoes(dict(order), count)).items():
                got[name] += times
    print_echoes(got)


def print_echoes(got: dict[str, list[float]]) -> None:
    print(f"echo of one key, ms {'p25':>8}{'p50':>8}{'p95':>8}   n={len(got['plain'])} each")
    for name, times in got.items():
        print(f"  {name:<18}" + "".join(f"{p(times, share):>8.2f}" for share in (25, 50, 95)))
    ratios = [p(got["recorded"], share) / p(got["plain"], share) for share in (25, 50, 95)]
    print(f"  {'ratio':<18}" + "".join(f"{one:>8.2f}" for one in ratios) + "   target p50 <= 1.10")


async def compare_floods(person: Person, sandbox: str, rounds: int, megabytes: int = 20) -> None:
    got: dict[str, list[float]] = {"plain": [], "recorded": []}
    before = server_memory(person.product)
    async with person.wire(sandbox, "fa") as one, person.wire(sandbox, "fb") as two:
        plain, recorded = Ours(one), Ours(two)
        for side in (plain, recorded):
            await until(side, b"$ ")
        await record(recorded)
        for _ in range(rounds):
            got["plain"].append(await throughput(plain, megabytes))
            got["recorded"].append(await throughput(recorded, megabytes))
    slow, fast = statistics.median(got["recorded"]), statistics.median(got["plain"])
    print(f"flood, MB/s: plain {fast:.1f}, recorded {slow:.1f}, ratio {slow / fast:.2f}")
    grown = (server_memory(person.product) - before) / MEGABYTE
    paths = list((person.product.data / "recordings").iterdir())
    size = sum(path.stat().st_size for path in paths) / MEGABYTE
    gaps = sum(piece.count(b" are missing here: ") for path in paths for piece in read(path))
    print(f"  the server grew by {grown:.1f} MB; {size:.2f} MB on disk, with {gaps} gaps that are remarked")


async def measure(product: Product, arguments: argparse.Namespace) -> None:
    person = Person(product)
    sandbox = await asyncio.to_thread(person.launch, "bench")
    await compare_echoes(person, sandbox, arguments.echoes, arguments.rounds)
    await compare_floods(person, sandbox, arguments.flood)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--echoes", type=int, default=600, help="keys a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--flood", type=int, default=5, help="floods of 20 MB each")
    with tempfile.TemporaryDirectory() as data, running(Path(data), **SETTINGS) as product:
        asyncio.run(measure(product, parser.parse_args()))


if __name__ == "__main__":
    main()
