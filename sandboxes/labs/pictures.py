"""A template version's sheet as pages show it: rendered once, with images of its own files inside.

A version never changes, so neither does what comes out of it.
"""

from __future__ import annotations

import base64
import io
import posixpath
import tarfile
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

from . import sheets
from .models import TemplateVersion

KINDS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".gif": "gif", ".webp": "webp"}
MOST = 512 * 1024
"""Bytes of one image."""
MOST_IN_ALL = 2 << 20
"""Bytes of all images of a sheet."""


def sheet_of(version: TemplateVersion) -> sheets.Sheet:
    """The sheet of a saved version."""
    return _rendered(version.pk, version.created_at)


@lru_cache(maxsize=32)
def _rendered(pk: int, created_at: datetime) -> sheets.Sheet:
    version = TemplateVersion.objects.defer("files").get(pk=pk)
    return sheets.render(version.sheet, finder(lambda: version.files))


def finder(archive: Callable[[], bytes | memoryview | None]) -> sheets.Lookup:
    """Addresses for images of an archive, which is opened only when a sheet asks for one."""
    left = MOST_IN_ALL

    def find(name: str) -> str | None:
        nonlocal left
        data = _read(bytes(archive() or b""), name, min(MOST, left))
        left -= len(data)
        kind = KINDS.get(posixpath.splitext(name.lower())[1])
        return f"data:image/{kind};base64,{base64.b64encode(data).decode()}" if data and kind else None

    return find


def _read(archive: bytes, name: str, most: int) -> bytes:
    """An image of the archive; empty where there is none that is small enough."""
    name = posixpath.normpath(name)
    if not archive or posixpath.splitext(name.lower())[1] not in KINDS:
        return b""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as source:
            for member in source:
                if member.isreg() and posixpath.normpath(member.name) == name and member.size <= most:
                    file = source.extractfile(member)
                    return file.read() if file else b""
    except (tarfile.TarError, OSError, EOFError):
        return b""
    return b""
