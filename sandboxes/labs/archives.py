"""Starting files as somebody uploads them: a tar, a gzipped tar or a zip, made harmless and small.

Nothing is unpacked to disk, and no more is unpacked in memory than may be kept.
"""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
import zlib
from dataclasses import dataclass

from sandboxes.engine.files import BadArchive, repack

MOST = 5 << 20
"""Bytes of an upload, and of what is kept."""
MOST_UNPACKED = 40 << 20
MOST_FILES = 1000
OWNER = 1000

DAMAGED = "This is no .tar, .tar.gz or .zip that can be read, or it is damaged."
TOO_BIG = f"Starting files are at most {MOST >> 20} MB, and {MOST_UNPACKED >> 20} MB unpacked."


@dataclass(frozen=True)
class Files:
    """A gzipped tar and the names of the files in it."""

    data: bytes
    names: list[str]


def prepare(data: bytes) -> Files:
    """What was uploaded, ready to be kept. Raises BadArchive with a sentence for people."""
    if len(data) > MOST:
        raise BadArchive(TOO_BIG)
    plain = repack(_tar(data), OWNER)
    names = _names(plain)
    packed = gzip.compress(plain, 6, mtime=0)
    if len(packed) > MOST:
        raise BadArchive(TOO_BIG)
    return Files(packed, names)


def _names(plain: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(plain)) as source:
        names = [member.name for member in source if member.isreg()]
    if not names:
        raise BadArchive("There is no file in this archive.")
    if len(names) > MOST_FILES:
        raise BadArchive(f"Starting files are at most {MOST_FILES} files.")
    return names


def _tar(data: bytes) -> bytes:
    """The same as a plain tar."""
    if data[:2] == b"PK":
        return _from_zip(data)
    plain = _ungzipped(data) if data[:2] == b"\x1f\x8b" else data
    if len(plain) < 512 or plain[257:262] != b"ustar":
        raise BadArchive(DAMAGED)
    return plain


def _ungzipped(data: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as source:
            plain = source.read(MOST_UNPACKED + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadArchive(DAMAGED) from error
    if len(plain) > MOST_UNPACKED:
        raise BadArchive(TOO_BIG)
    return plain


def _from_zip(data: bytes) -> bytes:
    out = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as source, tarfile.open(fileobj=out, mode="w") as target:
            _check(source.infolist())
            for member in source.infolist():
                if not member.is_dir() and not stat.S_ISLNK(member.external_attr >> 16):
                    _add(source, member, target)
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, NotImplementedError, ValueError) as error:
        raise error if isinstance(error, BadArchive) else BadArchive(DAMAGED) from error
    return out.getvalue()


def _check(members: list[zipfile.ZipInfo]) -> None:
    """By what it says of itself; what is read is held to that."""
    if any(member.flag_bits & 1 for member in members):
        raise BadArchive("This archive has a password. Pack it without one.")
    if len(members) > MOST_FILES * 2 or sum(member.file_size for member in members) > MOST_UNPACKED:
        raise BadArchive(TOO_BIG)


def _add(source: zipfile.ZipFile, member: zipfile.ZipInfo, target: tarfile.TarFile) -> None:
    with source.open(member) as file:
        content = file.read(member.file_size)
    made = tarfile.TarInfo(member.filename)
    made.size = len(content)
    made.mode = (member.external_attr >> 16) & 0o777 or 0o644
    target.addfile(made, io.BytesIO(content))
