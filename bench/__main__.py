"""All measurements, one after the other: `make bench`. Each can be run alone, with options of its own."""

from __future__ import annotations

import subprocess
import sys

SANDBOX = ("bench.start", "bench.engine", "bench.terminal", "bench.stats", "bench.recording")
CLASS = ("bench.wall", "bench.wave")


def main() -> int:
    """Run each part in a process of its own; 1 when one of them broke or missed its goal."""
    codes = []
    for part in (*SANDBOX, *CLASS):
        print(f"== {part}", flush=True)
        codes.append(subprocess.run([sys.executable, "-m", part], check=False).returncode)
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
