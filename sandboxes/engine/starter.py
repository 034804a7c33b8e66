"""The starter image: a small busybox system, packed in memory so that no registry is needed.

It has a shell, an editor and the usual small tools, a user ``student`` (uid 1000) and a home of
theirs in /workspace.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence

UID = 1000
HOME = "workspace"
MADE = 1767225600
"""When all files were made, 1 January 2026 UTC: the same image each time, and no README of 1970."""

CHANGES = ["USER 1000:1000", "WORKDIR /workspace", "ENV ENV=/etc/shrc", 'CMD ["sh"]']
"""What the image says of itself, in Dockerfile words, given along with the tar."""

_SHRC = r"""# read by every interactive sh
PS1='\[\033[32m\]\u@\h\[\033[0m\]:\[\033[34m\]$PWD\[\033[0m\]\$ '
alias ls='ls --color=auto' ll='ls -l' la='ls -la'
export EDITOR=vi PAGER=less
"""

_README = """This is your sandbox: a small Linux of your own.

You may do what you like here. Your files live in this folder, /workspace, until the sandbox
is removed.

Some things to try:

    ls -l             what is here
    vi notes.txt      write a file (i to type, Esc then :wq to save and leave)
    ps                what is running
    free -m           how much memory there is
    busybox --list    every tool on board
"""

_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nstudent:x:1000:1000:Student:/workspace:/bin/sh\n",
    "etc/group": "root:x:0:\ntty:x:5:\nstudent:x:1000:\n",
    "etc/shells": "/bin/sh\n/bin/ash\n",
    "etc/profile": ". /etc/shrc\n",
    "etc/shrc": _SHRC,
    "etc/os-release": 'ID=sandboxes-starter\nNAME="Sandboxes starter"\nPRETTY_NAME="Sandboxes starter"\n',
}
_FOLDERS = ("bin", "etc", "home", "run", "usr", "usr/local", "usr/local/bin", "var")
_OPEN_FOLDERS = ("tmp", "var/tmp")
_LINKS = {"sbin": "bin", "usr/bin": "../bin", "usr/sbin": "../bin"}


def tarball(busybox: bytes, applets: Sequence[str]) -> bytes:
    """The root file system as an uncompressed tar: ``busybox`` and a link for each applet."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        _add_folders(tar)
        _add_file(tar, "bin/busybox", busybox, 0o755)
        for name, text in _FILES.items():
            _add_file(tar, name, text.encode(), 0o644)
        _add_file(tar, f"{HOME}/README.txt", _README.encode(), 0o644, UID)
        for name, target in _LINKS.items() | {f"bin/{name}": "busybox" for name in applets}.items():
            _add(tar, name, tarfile.SYMTYPE, 0o777, target=target)
    return packed.getvalue()


def _add_folders(tar: tarfile.TarFile) -> None:
    for name in _FOLDERS:
        _add(tar, name, tarfile.DIRTYPE, 0o755)
    for name in _OPEN_FOLDERS:
        _add(tar, name, tarfile.DIRTYPE, 0o1777)
    _add(tar, "root", tarfile.DIRTYPE, 0o700)
    _add(tar, HOME, tarfile.DIRTYPE, 0o755, UID)


def _add_file(tar: tarfile.TarFile, name: str, data: bytes, mode: int, owner: int = 0) -> None:
    _add(tar, name, tarfile.REGTYPE, mode, owner, data=data)


def _add(
    tar: tarfile.TarFile,
    name: str,
    kind: bytes,
    mode: int,
    owner: int = 0,
    *,
    target: str = "",
    data: bytes = b"",
) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.linkname, entry.size = kind, mode, target, len(data)
    entry.uid, entry.gid, entry.mtime = owner, owner, MADE
    tar.addfile(entry, io.BytesIO(data))
