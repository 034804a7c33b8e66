"""Finds a statically linked busybox on this machine, or gets one from Debian without installing it."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from .base import Unsupported

_ADVICE = (
    "No statically linked busybox was found to build the starter image from. Install the package "
    "busybox-static, or set SANDBOX_BUSYBOX to the path of such a busybox."
)
_PLACES = ("/bin/busybox", "/usr/bin/busybox", "/usr/local/bin/busybox")
_MINUTE = 60


def find() -> tuple[bytes, tuple[str, ...]]:
    """A busybox and the names of its applets. Raises Unsupported with advice when there is none.

    Looks at $SANDBOX_BUSYBOX (which must then be right), the usual places, and last asks apt.
    """
    with tempfile.TemporaryDirectory(prefix="busybox-") as folder:
        for path in _candidates(Path(folder)):
            if is_static(path):
                return path.read_bytes(), applets(path)
    raise Unsupported(_ADVICE)


def _candidates(folder: Path) -> Iterator[Path]:
    wanted = os.environ.get("SANDBOX_BUSYBOX")
    if wanted:
        yield Path(wanted)
        return
    yield from map(Path, _PLACES)
    yield from _from_debian(folder)


def is_static(path: Path) -> bool:
    """Whether the file is a 64-bit or 32-bit ELF program that asks for no dynamic loader."""
    try:
        data = path.read_bytes()
        return data[:4] == b"\x7fELF" and _LOADER not in set(_segment_types(data))
    except (OSError, struct.error):
        return False


_LOADER = 3  # PT_INTERP


def _segment_types(data: bytes) -> Iterator[int]:
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    table, size, count = _table_of(data, wide, order)
    for at in range(table, table + size * count, size):
        yield struct.unpack_from(order + "I", data, at)[0]


def _table_of(data: bytes, wide: bool, order: str) -> tuple[int, int, int]:
    """Offset of the program headers, the size of one, and how many."""
    (offset,) = struct.unpack_from(order + ("Q" if wide else "I"), data, 32 if wide else 28)
    size, count = struct.unpack_from(order + "HH", data, 54 if wide else 42)
    return offset, size, count


def applets(path: Path) -> tuple[str, ...]:
    """The names busybox answers to. Raises Unsupported when it does not run here."""
    try:
        done = subprocess.run([path, "--list"], capture_output=True, text=True, timeout=_MINUTE)
    except OSError as error:
        raise Unsupported(_ADVICE, str(error)) from error
    names = tuple(name for name in done.stdout.split() if "/" not in name and name != "busybox")
    if "sh" not in names:
        raise Unsupported(_ADVICE, done.stderr)
    return names


def _from_debian(folder: Path) -> Iterator[Path]:
    """Download Debian's package into ``folder`` and unpack it there; installs nothing."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return
    folder.chmod(0o755)
    steps: list[Callable[[], bool]] = [lambda: _download(folder)]
    if os.geteuid() == 0:  # a fresh machine has no package lists yet
        steps.append(lambda: _run(folder, "apt-get", "update", "-qq") and _download(folder))
    if any(step() for step in steps):
        yield folder / "unpacked" / "bin" / "busybox"
        yield folder / "unpacked" / "usr" / "bin" / "busybox"


def _download(folder: Path) -> bool:
    if not _run(folder, "apt-get", "download", "-qq", "busybox-static"):
        return False
    package = next(folder.glob("busybox-static_*.deb"), None)
    return package is not None and _run(folder, "dpkg-deb", "-x", str(package), "unpacked")


def _run(folder: Path, *argv: str) -> bool:
    try:
        done = subprocess.run(argv, cwd=folder, capture_output=True, timeout=5 * _MINUTE)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
