"""Small images made of this machine's own programs, so that other shells can be tried offline."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.engine.helpers import INSTALL
from tests.recording import by_hand


def libraries(program: Path) -> set[Path]:
    """The shared objects ``program`` is started with, and its loader."""
    out = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return {Path(found) for found in re.findall(r"(/\S+)", out)}


def packed(programs: Mapping[str, str], base: bytes = b"") -> bytes:
    """A tar of ``programs`` (path in the image: name here) with all they need, added to ``base``."""
    whole = io.BytesIO(base)
    with tarfile.open(fileobj=whole, mode="a" if base else "w", dereference=True) as tar:
        needed: set[Path] = set()
        for target, name in programs.items():
            found = Path(shutil.which(name) or name)
            tar.add(found, target)
            needed |= libraries(found)
        for library in sorted(needed):
            tar.add(library, str(library).lstrip("/"))
    return whole.getvalue()


PYTHON = "opt/python"
PYTHON_THERE = {"PYTHONHOME": f"/{PYTHON}", "LD_LIBRARY_PATH": f"/{PYTHON}/lib"}
"""The environment that ``/opt/python/bin/python`` needs in an image with ``python()`` in it."""


def python() -> dict[str, str]:
    """This interpreter and what ``import ctypes`` and a few more need, for ``packed``."""
    asks = "import collections, ctypes, json, mmap, os, subprocess, sys, socket, threading; "
    asks += "print(sys.base_prefix); print(os.path.dirname(collections.__file__) + '/abc.py', "
    asks += "*(one.__file__ for one in sys.modules.values() if getattr(one, '__file__', None)))"
    out = subprocess.run(
        [sys.executable, "-I", "-c", asks], capture_output=True, text=True, check=True
    ).stdout
    prefix, files = out.splitlines()
    program = Path(sys.executable).resolve()
    own = {one for one in libraries(program) if one.is_relative_to(prefix)}
    found = {f"{PYTHON}/{Path(one).relative_to(prefix)}": str(one) for one in {*files.split(), *own}}
    return found | {f"{PYTHON}/bin/python": str(program)}


@contextmanager
def image_of(name: str, programs: Mapping[str, str]) -> Iterator[str]:
    """The image while it is needed."""
    with imported(name, packed(programs)) as reference:
        yield reference


@contextmanager
def imported(name: str, tar: bytes, changes: Sequence[str] = ()) -> Iterator[str]:
    repository = f"sandboxes/{INSTALL}"
    with by_hand() as api:
        api.import_image_from_data(tar, repository=repository, tag=name, changes=list(changes))
    try:
        yield f"{repository}:{name}"
    finally:
        with by_hand() as api:
            api.remove_image(f"{repository}:{name}", force=True)
