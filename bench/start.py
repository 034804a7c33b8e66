"""`make run` the second time: until the first page comes, beside a Python that only imports Django.

    python -m bench.start [--rounds 5]

What people type is what is measured: `make run` with a data directory of its own, from the start of
make to the first 200 of the sign-in page. The first round prepares everything and is not counted.
The floor is `python -c "import django"`, in turn with it; the ratio is what to compare.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.browser.product import ROOT, Product, free_port

TARGET = 3.0
"""Seconds a second start may take."""
PATIENCE = 300.0
"""Seconds the first one may take."""


def floor() -> float:
    """Seconds for a Python that imports Django and ends."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import django"], check=True)
    return time.monotonic() - began


def second_start(environment: dict[str, str], log: Path) -> float:
    """Seconds from `make run` to the first page."""
    port = free_port()
    began = time.monotonic()
    with run(port, environment, log) as process:
        while not answers(port):
            if process.poll() is not None or time.monotonic() - began > PATIENCE:
                raise RuntimeError(f"It did not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)
        return time.monotonic() - began


@contextmanager
def run(port: int, environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`make run`, ended as Ctrl-C ends it."""
    with log.open("ab") as file:
        process = subprocess.Popen(
            ["make", "--silent", "run", f"PORT={port}"],
            cwd=ROOT, env=environment, stdout=file, stderr=file, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End make and everything it started."""
    for word, seconds in ((signal.SIGINT, 20), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, word)
            process.wait(seconds)
            return


def answers(port: int) -> bool:
    """Whether the first page is there."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/sign-in/", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def measure(rounds: int) -> tuple[float, float]:
    """Medians in seconds: the product's start and the floor."""
    with tempfile.TemporaryDirectory(prefix="bench-start-") as data:
        environment = Product(Path(data)).environment
        log = Path(data) / "run.log"
        second_start(environment, log)
        pairs = [(second_start(environment, log), floor()) for _ in range(rounds)]
    starts, floors = zip(*pairs, strict=True)
    return statistics.median(starts), statistics.median(floors)


def main() -> int:
    """Print the figures; 1 when a second start took longer than the target."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    start, least = measure(parser.parse_args().rounds)
    print(f"make run, second time, to the first page  {start:6.2f} s  (target {TARGET:.0f} s)")
    print(f"python -c 'import django'                 {least:6.2f} s")
    print(f"ratio                                     {start / least:6.1f}")
    return int(start > TARGET)


if __name__ == "__main__":
    sys.exit(main())
