"""Builds a stand-in for the base image python:3.13-slim where no image registry can be reached.

    python -m scripts.standin_base    builds sandboxes-standin-base and prints its name

Made of Debian 13's packages by debootstrap (root on Debian, about a minute, 250 MB). This machine's
certificate bundle goes into the stand-in, so that pip and npm work behind the same gateway as
here; the project's own Dockerfile knows nothing of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from docker import DockerClient, from_env
from docker.errors import ImageNotFound

from scripts import debian

NAME = "sandboxes-standin-base:13.1"
SUITE = "trixie"
PACKAGES = ("ca-certificates", "python3", "python3-venv")
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
USELESS = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CHANGES = [
    "CMD python3",
    f"ENV PATH {PATH}",
    f"ENV PIP_CERT {BUNDLE}",
    f"ENV SSL_CERT_FILE {BUNDLE}",
    f"ENV NODE_EXTRA_CA_CERTS {BUNDLE}",
]


def ensure(client: DockerClient) -> str:
    """The name of the stand-in, built unless it is present.

    Raises debian.NotInstalled where it cannot be built, CalledProcessError when a step fails.
    """
    try:
        client.images.get(NAME)
    except ImageNotFound:
        build(client)
    return NAME


def build(client: DockerClient) -> None:
    """Builds the stand-in and gives it to the engine."""
    if shutil.which("debootstrap") is None:
        debian.install("debootstrap")
    if os.geteuid() != 0:
        raise debian.NotInstalled("The stand-in base image can only be built by root on Debian.")
    with tempfile.TemporaryDirectory(prefix="sandboxes-") as folder:
        root = Path(folder) / "root"
        bootstrap(root)
        add_python(root)
        slim(root)
        with packed(root) as tar:
            client.api.import_image_from_stream(tar, *NAME.split(":"), changes=CHANGES)


def bootstrap(root: Path) -> None:
    """Unpacks and configures a minimal Debian with Python in `root`."""
    include = f"--include={','.join(PACKAGES)}"
    run("debootstrap", "--variant=minbase", include, SUITE, str(root))
    shutil.copyfile(BUNDLE, root / str(BUNDLE)[1:])


def add_python(root: Path) -> None:
    """Gives Debian's Python the names and the pip that the official image's has."""
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    for marker in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()
    wheel = next(root.glob("usr/share/python-wheels/pip-*.whl")).relative_to(root)
    pip = ["env", "-i", f"PATH={PATH}", "python3", f"/{wheel}/pip"]
    run("chroot", str(root), *pip, "install", "--quiet", "--no-index", "--root-user-action=ignore",
         f"/{wheel}")  # fmt: skip


def slim(root: Path) -> None:
    """Empties the folders that a base image does without."""
    for name in USELESS:
        shutil.rmtree(root / name, ignore_errors=True)
        (root / name).mkdir(parents=True)


@contextmanager
def packed(root: Path) -> Iterator[IO[bytes]]:
    """The tar stream of a folder, owners and all."""
    command = ["tar", "--numeric-owner", "--one-file-system", "-C", str(root), "-c", "."]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout
    with process.stdout as stream:
        yield stream
    if process.wait():
        raise subprocess.CalledProcessError(process.returncode, command)


def run(*command: str) -> None:
    """Runs a step; its words are shown only when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print((done.stdout + done.stderr)[-2000:], file=sys.stderr)
        done.check_returncode()


if __name__ == "__main__":
    print(ensure(from_env(timeout=600)))
