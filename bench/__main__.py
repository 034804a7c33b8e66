"""All measurements, one after the other: `make bench`. Each can be run alone, with options of its own."""

from __future__ import annotations

import subprocess
import sys

PARTS = ("bench.start", "bench.engine", "bench.terminal", "bench.stats", "bench.recording")


def main() -> int:
    """Run each part in a process of its own; 1 when one of them broke."""
    codes = []
    for part in PARTS:
        print(f"== {part}", flush=True)
        codes.append(subprocess.run([sys.executable, "-m", part], check=False).returncode)
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
