"""Small images made of this machine's own programs, so that other shells can be tried offline."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sandboxes.engine.docker_engine import DockerEngine
from tests.engine.helpers import INSTALL


def libraries(program: Path) -> set[Path]:
    """The shared objects ``program`` is started with, and its loader."""
    out = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return {Path(found) for found in re.findall(r"(/\S+)", out)}


def packed(programs: Mapping[str, str]) -> bytes:
    """A tar of ``programs`` (path in the image: name here) with all they need."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w", dereference=True) as tar:
        needed: set[Path] = set()
        for target, name in programs.items():
            found = Path(shutil.which(name) or name)
            tar.add(found, target)
            needed |= libraries(found)
        for library in sorted(needed):
            tar.add(library, str(library).lstrip("/"))
    return whole.getvalue()


@contextmanager
def image_of(engine: DockerEngine, name: str, programs: Mapping[str, str]) -> Iterator[str]:
    """The image while it is needed."""
    repository = f"sandboxes/{INSTALL}"
    with engine.connection.control(60) as api:
        api.import_image_from_data(packed(programs), repository=repository, tag=name)
    try:
        yield f"{repository}:{name}"
    finally:
        with engine.connection.control(60) as api:
            api.remove_image(f"{repository}:{name}", force=True)
