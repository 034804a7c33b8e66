"""Files into a container: an archive made harmless, then handed to the engine."""

from __future__ import annotations

import io
import tarfile
from contextlib import closing, suppress

from .base import EngineError, TimedOut, Unreachable
from .connection import WORK, Connection
from .exec_stream import Execs, wait_for_exit

MOST_FILES = 5000
MOST_BYTES = 256 << 20
"""What an archive may hold unpacked."""


class BadArchive(ValueError):
    """``str(error)`` is a sentence for whoever made the archive."""


def repack(archive: bytes, owner: int) -> bytes:
    """The same files and folders as a plain tar that belongs to ``owner`` (uid and gid).

    Keeps names below the top and the executable bit, nothing else: no links, devices, set-uid, owners
    or times before 1970. Raises BadArchive for what is no tar, climbs out, or is too much.
    """
    out = io.BytesIO()
    try:
        with (
            tarfile.open(fileobj=io.BytesIO(archive)) as source,
            tarfile.open(fileobj=out, mode="w") as target,
        ):
            _copy(source, target, owner)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BadArchive("This is not a tar archive (.tar or .tar.gz), or it is damaged.") from error
    return out.getvalue()


def _copy(source: tarfile.TarFile, target: tarfile.TarFile, owner: int) -> None:
    count = total = 0
    made: set[str] = set()
    for member in source:
        if not (member.isreg() or member.isdir()):
            continue
        count, total = count + 1, total + member.size
        if count > MOST_FILES or total > MOST_BYTES:
            raise BadArchive(f"An archive holds at most {MOST_FILES} files of {MOST_BYTES >> 20} MiB in all.")
        name = _name(member.name)
        if name and name not in made:
            _add_folders(target, name, owner, made)
            target.addfile(_harmless(member, name, owner), source.extractfile(member))
            made.add(name)


def _add_folders(target: tarfile.TarFile, name: str, owner: int, made: set[str]) -> None:
    """The folders above a name, which the engine would make root's."""
    parts = name.split("/")[:-1]
    for depth in range(1, len(parts) + 1):
        above = "/".join(parts[:depth])
        if above not in made:
            made.add(above)
            folder = tarfile.TarInfo(above)
            folder.type = tarfile.DIRTYPE
            target.addfile(_harmless(folder, above, owner))


def _name(name: str) -> str:
    """The path below the top. Raises BadArchive when it leads out of it."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise BadArchive(f"The archive holds a file outside of it: {name[:80]!r}.")
    return "/".join(parts)


def _harmless(member: tarfile.TarInfo, name: str, owner: int) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type = tarfile.DIRTYPE if member.isdir() else tarfile.REGTYPE
    made.size = 0 if member.isdir() else member.size
    made.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    made.uid = made.gid = owner
    made.mtime = max(int(member.mtime), 0)
    return made


class Files(Execs):
    """The part of the Engine that puts files into containers."""

    connection: Connection

    def put_files(self, native_id: str, folder: str, archive: bytes, owner: int = 1000) -> None:
        """The engine itself cannot write where the root is read-only: there a tar inside does it."""
        data = repack(archive, owner)
        try:
            with self.connection.control(WORK) as api:
                if not api.put_archive(native_id, folder, data):
                    raise EngineError(_NOT_PUT)
        except EngineError as error:
            if _READ_ONLY not in (error.detail or ""):
                raise
            self._pour(native_id, folder, data)

    def _pour(self, native_id: str, folder: str, data: bytes) -> None:
        """Unpack as the sandbox's user. ``head`` ends it, for not every connection can be half closed."""
        line = 'head -c "$1" | tar -x -C "$2" -f -'
        argv = ["sh", "-c", line, "pour", str(len(data)), folder]
        exec_id, wire = self.open_exec(native_id, argv, {}, "/", stdin=True)
        with closing(wire):
            with suppress(Unreachable):  # a tar that ends early is told by its exit code
                wire.send(data, WORK)
            answer = b""
            try:
                while piece := wire.recv(WORK):
                    answer += piece
            except TimeoutError:
                raise TimedOut("The files could not be put there in time.") from None
            except Unreachable:  # cut off for what was sent in vain: its exit code tells
                pass
        if wait_for_exit(self.connection, exec_id) != 0:
            raise EngineError(_NOT_PUT, answer[-300:].decode(errors="replace"))


_NOT_PUT = "The files could not be put there."
_READ_ONLY = "read-only"
