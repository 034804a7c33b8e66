"""Runs test suites beside each other; what failed there runs once more, alone.

    python -m scripts.beside "tests -m engine" "tests/browser -m browser"

Each argument is what pytest gets. Each suite has a data folder and a cache of its own, so that neither
meets the other's database or list of failures, and its output is printed whole when it is over. The exit
code is 0 when every suite passed at last; a suite that did not fail by its tests is not run again.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ALONE = ("--last-failed", "--last-failed-no-failures=none", "-v")
FAILED = 1
"""pytest's exit code when tests ran and some failed."""


@dataclass
class Suite:
    """One suite: what pytest gets, and where its own things lie."""

    options: list[str]
    folder: Path

    @property
    def command(self) -> list[str]:
        plugins = ["-p", "scripts.no_skips", "-o", f"cache_dir={self.folder / 'cache'}"]
        return [sys.executable, "-m", "pytest", *plugins, *self.options]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "SANDBOX_DATA": str(self.folder / "data")}

    def start(self) -> subprocess.Popen[bytes]:
        """Begin it; what it prints is kept in its folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "output").open("wb") as output:
            return subprocess.Popen(self.command, env=self.environment, stdout=output, stderr=output)

    def tell(self, code: int, seconds: float) -> None:
        print(f"\n{shlex.join(self.options)}: exit code {code} after {seconds:.0f} s", flush=True)
        sys.stdout.buffer.write((self.folder / "output").read_bytes())
        sys.stdout.flush()

    def again(self) -> int:
        """Run what failed once more, with the machine to itself; its exit code."""
        print(f"\n{shlex.join(self.options)}: once more, alone: what failed above", flush=True)
        return subprocess.run([*self.command, *ALONE], env=self.environment, check=False).returncode


def run(suites: Sequence[Suite]) -> int:
    """All of them at once, then the failed ones one after the other; the first exit code that is not 0."""
    codes = beside(suites)
    last = [one.again() if code == FAILED else code for one, code in zip(suites, codes, strict=True)]
    return next((code for code in last if code), 0)


def beside(suites: Sequence[Suite]) -> list[int]:
    """Their exit codes, each told with its output when it is over. Ends all when this is ended."""
    began = time.monotonic()
    running = [one.start() for one in suites]
    try:
        while left := [at for at, process in enumerate(running) if process.returncode is None]:
            for at in left:
                if running[at].poll() is not None:
                    suites[at].tell(running[at].returncode, time.monotonic() - began)
            time.sleep(0.2)
    finally:
        for process in running:
            process.terminate() if process.returncode is None else None
    return [process.returncode for process in running]


def main() -> None:
    base = Path(os.environ.get("SANDBOX_DATA", "var")).absolute() / "beside"
    sys.exit(run([Suite(shlex.split(text), base / str(at)) for at, text in enumerate(sys.argv[1:])]))


if __name__ == "__main__":
    main()
