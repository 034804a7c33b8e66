"""Installs Debian packages for the other scripts, as root on Debian and Ubuntu and nowhere else."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

QUIET = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1"}


class NotInstalled(Exception):
    """Packages could not be installed; the message is for people."""


def is_debian(os_release: Path = Path("/etc/os-release")) -> bool:
    """Whether this is Debian or one of its children."""
    try:
        lines = os_release.read_text().splitlines()
    except OSError:
        return False
    words = " ".join(line.partition("=")[2] for line in lines if line.startswith(("ID=", "ID_LIKE=")))
    return "debian" in words.replace('"', " ").split()


def can_install() -> bool:
    """Whether `install` may work here at all."""
    return os.geteuid() == 0 and is_debian() and shutil.which("apt-get") is not None


def install(*packages: str, recommends: bool = False) -> None:
    """Installs these packages; raises NotInstalled with the end of apt's own words.

    Waits up to two minutes for another apt to finish.
    """
    if not can_install():
        raise NotInstalled(f"Install {' '.join(packages)}: only root on Debian or Ubuntu can do it.")
    _apt("update")
    _apt("install", "-y", *(() if recommends else ("--no-install-recommends",)), *packages)


def _apt(*arguments: str) -> None:
    command = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", *arguments]
    done = subprocess.run(
        command,
        env=os.environ | QUIET,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-8:])
        raise NotInstalled(f"`apt-get {' '.join(arguments)}` failed:\n{tail}")
