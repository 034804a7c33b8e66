"""Makes the working directory the sandbox user's own, where the image has not seen to it.

The engine creates a missing working directory as root. One archive with one directory entry, made
here and holding nothing of the user's, changes its owner before the container starts. What the image
itself has at that place stays whose it is: whoever may choose a working directory would be given /etc.
"""

from __future__ import annotations

import io
import posixpath
import tarfile

from .base import ContainerSpec
from .hardening import ImageFacts, number_of, user_for

_SHARED = ("/", "/tmp", "/var/tmp")
"""Not to be given to anybody; the last two are writable for all."""


def needs_folder(spec: ContainerSpec, image: ImageFacts) -> bool:
    """Whether the working directory must be made: the image does not declare it as its own."""
    if spec.strict:  # a mount of its own
        return False
    return spec.workdir != image.workdir and spec.workdir not in _SHARED and not spec.root


def folder(path: str, owner: tuple[int, int]) -> tuple[str, bytes]:
    """Where to unpack, and a tar with the one directory ``path``, for ``owner`` (uid, gid)."""
    parent, name = posixpath.split(path)
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    entry.uid, entry.gid = owner
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(entry)
    return parent, packed.getvalue()


def looked_up(user: str, passwd: str | None, group: str | None) -> str:
    """``uid:gid`` of a user as an image spells it, read as the engine would: its first line counts.

    Raises LookupError, whose text goes on after "The image's user is", for a name that is not in the
    lists, is root by another name, or cannot be looked up (a list of None).
    """
    name, _, wanted = user.partition(":")
    line = _line(name, passwd)
    uid = number_of(name)
    if uid is None:
        uid = _number(_required(line, name, passwd), 2)
    if uid == 0:
        raise LookupError(f"{name}, which is root by another name")
    return f"{uid}:{_gid(wanted, group) if wanted else _number(line, 3)}"


def _gid(wanted: str, group: str | None) -> int:
    gid = number_of(wanted)
    return _number(_required(_line(wanted, group), wanted, group), 2) if gid is None else gid


def _line(name: str, entries: str | None) -> list[str]:
    """The fields of the first line of that name, or of that number in the third field; none: empty."""
    number = number_of(name)
    for line in (entries or "").splitlines():
        fields = line.strip().split(":")
        if fields[0] == name if number is None else _number(fields, 2, -1) == number:
            return fields
    return []


def _required(fields: list[str], name: str, entries: str | None) -> list[str]:
    if not fields:
        raise LookupError(f"{name}, which {'cannot be looked up' if entries is None else 'it does not have'}")
    return fields


def _number(fields: list[str], place: int, missing: int = 0) -> int:
    """A field as a number; what is none is 0, as for the engine."""
    return (number_of(fields[place]) or 0) if len(fields) > place else missing


def owner_of(spec: ContainerSpec, image: ImageFacts) -> tuple[int, int]:
    """The uid and gid of the sandbox user."""
    uid, _, gid = user_for(spec, image).partition(":")
    return int(uid), int(gid)


def first_file(packed: bytes) -> str:
    """The text of the first file in a tar, as the engine hands out a single file."""
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        for entry in tar:
            found = tar.extractfile(entry)
            if found:
                return found.read().decode(errors="replace")
    return ""
