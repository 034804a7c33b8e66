"""Makes the working directory the sandbox user's own, where the image has not seen to it.

The engine creates a missing working directory as root. One archive with one directory entry, made
here and holding nothing of the user's, changes its owner before the container starts.
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


def named(spec: ContainerSpec, image: ImageFacts) -> str:
    """The name by which the sandbox user has to be looked up; empty where it is a number."""
    user = user_for(spec, image).partition(":")[0]
    return user if number_of(user) is None else ""


def is_root_by_name(name: str, passwd: str) -> bool:
    """Whether the engine will run this name as root: its first line counts, and a uid it cannot read is 0."""
    for line in passwd.splitlines():
        fields = line.strip().split(":")
        if fields[0] == name:
            return not (len(fields) > 2 and number_of(fields[2]))
    return False


def owner_of(spec: ContainerSpec, image: ImageFacts, passwd: str = "") -> tuple[int, int] | None:
    """The uid and gid of the sandbox user; names are looked up in ``passwd``. None: unknown."""
    user, _, group = user_for(spec, image).partition(":")
    if user.isdigit():
        return int(user), int(group) if group.isdigit() else int(user)
    for line in passwd.splitlines():
        fields = line.split(":")
        if len(fields) > 3 and fields[0] == user and fields[2].isdigit() and fields[3].isdigit():
            return int(fields[2]), int(fields[3])
    return None


def first_file(packed: bytes) -> str:
    """The text of the first file in a tar, as the engine hands out a single file."""
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        for entry in tar:
            found = tar.extractfile(entry)
            if found:
                return found.read().decode(errors="replace")
    return ""
