"""Builds the image of the sample Python lab where no image registry can be reached.

    python -m scripts.lab_images      builds sandboxes/python:latest and prints its name

Made of Debian 13's packages by debootstrap (root on Debian, about a minute, 200 MB); what it is doing
is said step by step.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from docker import DockerClient, from_env
from docker.errors import ImageNotFound

from scripts import debian
from scripts.standin_base import PATH, SUITE, packed, run, slim

NAME = "sandboxes/python:latest"
PACKAGES = ("python3", "nano", "less", "procps")
CHANGES = ["USER 1000:1000", "WORKDIR /workspace", f"ENV PATH {PATH}", "ENV LANG C.UTF-8", 'CMD ["bash"]']


def ensure(client: DockerClient) -> str:
    """The name of the image, built unless it is present. Raises debian.NotInstalled."""
    try:
        client.images.get(NAME)
    except ImageNotFound:
        build(client)
    return NAME


def build(client: DockerClient) -> None:
    """Builds it and gives it to the engine."""
    if os.geteuid() != 0:
        raise debian.NotInstalled("Lab images can only be built by root on Debian.")
    if shutil.which("debootstrap") is None:
        say("installing debootstrap")
        debian.install("debootstrap")
    with tempfile.TemporaryDirectory(prefix="sandboxes-") as folder:
        root = Path(folder) / "root"
        say(f"1 of 3: fetching and unpacking Debian's packages: {', '.join(PACKAGES)}")
        run("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(root))
        say("2 of 3: adding the student's account")
        add_student(root)
        slim(root)
        say("3 of 3: handing it to the engine")
        with packed(root) as tar:
            client.api.import_image_from_stream(tar, *NAME.split(":"), changes=CHANGES)


def add_student(root: Path) -> None:
    """User and group 1000, with a home in /workspace, as in the starter image."""
    with (root / "etc/passwd").open("a") as file:
        file.write("student:x:1000:1000:Student:/workspace:/bin/bash\n")
    with (root / "etc/group").open("a") as file:
        file.write("student:x:1000:\n")
    home = root / "workspace"
    home.mkdir()
    os.chown(home, 1000, 1000)


def say(text: str) -> None:
    print(f"lab images: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    print(ensure(from_env(timeout=600)))
