"""Archives of the trail: gzip of JSON lines with the seals, whole in themselves and checkable alone.

The first line says which numbers follow and after which digest they begin; each line is an event as it
counts for its seal, with its number, its seal's time and its digest; the last line counts them. Whoever
has an archive can recompute every digest from it without this program (docs/reference/audit.md).
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.conf import settings

from . import chain
from .chain import Link

KIND = "sandboxes-trail"


class Broken(Exception):
    """An archive, or the trail that was to go into one, is not whole; ``str`` is a sentence."""


@dataclass(frozen=True)
class Span:
    """What an archive holds: numbers ``first`` to ``last``, the digests before and at the end."""

    first: int
    last: int
    before: str
    digest: str
    count: int

    @property
    def is_empty(self) -> bool:
        return self.count == 0


def write(path: Path, links: Iterable[Link], first: int, before: str) -> Span:
    """Write an archive beside its name, flush it to the disk, read it again and give it its name.

    Raises Broken where a link does not fit, FileExistsError where the name is taken.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists already.")
    part = path.with_name(f"{path.name}.part")
    with open(part, "wb") as raw, gzip.GzipFile("", "wb", 6, raw, 0) as file:
        span = _write(file, links, first, before)
        file.flush()
    _to_disk(part)
    if read(part) != span:
        raise Broken(f"{part} reads otherwise than it was written.")
    os.rename(part, path)
    with suppress(OSError):  # not every file system takes that for a folder
        _to_disk(path.parent)
    return span


def _write(file: Any, links: Iterable[Link], first: int, before: str) -> Span:
    head = {"kind": KIND, "version": 1, "install": settings.SANDBOX_INSTALL, "first": first, "before": before}
    file.write(f"{chain.encode(head)}\n".encode())
    number, digest = first - 1, before
    for link in links:
        number += 1
        if link.number != number or not link.text or chain.digest(digest, link.text) != link.digest:
            raise Broken(f"The trail is broken at number {number}; nothing was pruned.")
        digest = link.digest
        file.write(f'{link.text[:-1]},"seal":"{digest}"}}\n'.encode())
    count = number - first + 1
    file.write(f"{chain.encode({'count': count, 'digest': digest})}\n".encode())
    return Span(first, number, before, digest, count)


def read(path: Path) -> Span:
    """Check an archive from its first line to its last. Raises Broken."""
    try:
        with gzip.open(path, "rt", encoding="ascii") as file:
            return _check(path.name, iter(file))
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise Broken(f"{path.name} is no whole archive: {error}.") from None


def _check(name: str, lines: Iterator[str]) -> Span:
    head = json.loads(next(lines, ""))
    if head["kind"] != KIND:
        raise Broken(f"{name} is no archive of a trail.")
    number, digest, first = head["first"] - 1, head["before"], head["first"]
    for text in lines:
        found = json.loads(text)
        if "count" in found and "seal" not in found:
            if (found["count"], found["digest"]) != (number - first + 1, digest) or next(lines, ""):
                raise Broken(f"{name} does not end as it says.")
            return Span(first, number, head["before"], digest, found["count"])
        number, digest = number + 1, _next(name, found, number + 1, digest)
    raise Broken(f"{name} has no end.")


def _next(name: str, found: dict[str, Any], number: int, before: str) -> str:
    seal = found.pop("seal")
    if found["number"] != number or chain.digest(before, chain.encode(found)) != seal:
        raise Broken(f"{name} is broken at number {number}.")
    return str(seal)


def fingerprint(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with open(path, "rb") as file:
        digest = sha256()
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _to_disk(path: Path) -> None:
    """A file, or a folder's names, onto the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
