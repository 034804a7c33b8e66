"""A private engine with exactly the settings of docs/how-to/harden.md, `userns-remap` among them.

For that the engine makes a user, and a row in each of `/etc/subuid` and `/etc/subgid`: in an `/etc` that lies
over this machine's and that nobody else sees. Its bridge and its rules are in a network namespace of its own.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sandboxes.management.supervisor import die_with
from tests.docs import said
from tests.fakes.processes import wait_until
from tests.faults.private import PrivateEngine, fresh

PAGE = "how-to/harden.md"
OVER_ETC = """
mkdir "$1" && mount -t tmpfs tmpfs "$1" && mkdir "$1/upper" "$1/work" &&
mount -t overlay -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" overlay /etc && exec sleep infinity
"""
NOT_HERE = {"bridge", "iptables", "ip6tables", "userland-proxy"}
"""What a private engine is usually told not to do, and the page does not say."""


class Documented(PrivateEngine):
    """Reads the page's daemon.json, and is told beside that only where things are."""

    def __init__(self, folder: Path, disk: int) -> None:
        super().__init__(folder, disk)
        folder.chmod(0o711)  # root inside is nobody outside, and has to get to its files
        apart = ["unshare", "--mount", "--propagation", "private"]
        self.holder = subprocess.Popen(
            [*apart, "sh", "-c", OVER_ETC, "sh", str(folder / "etc")],
            stdin=subprocess.DEVNULL, preexec_fn=die_with(os.getpid()),
        )  # fmt: skip
        assert wait_until(lambda: (self.inside("/etc") / "subuid").exists() and self.is_apart(), 20)

    def inside(self, path: str) -> Path:
        """A path as the engine sees it."""
        return Path(f"/proc/{self.holder.pid}/root{path}")

    def numbers(self) -> tuple[int, int]:
        """The first of the numbers outside that it has for those inside, and how many there are."""
        rows = [row.split(":") for row in self.inside("/etc/subuid").read_text().split()]
        return next((int(first), int(count)) for name, first, count in rows if name == "dockremap")

    def is_apart(self) -> bool:
        return " /etc " in Path(f"/proc/{self.holder.pid}/mounts").read_text()

    def _spawn(self, *words: str) -> subprocess.Popen[bytes]:
        return super()._spawn("nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt", *words)

    def _options(self) -> list[str]:
        return [one for one in super()._options() if one[2:].partition("=")[0] not in NOT_HERE]

    def _configure(self, live_restore: bool) -> None:
        (self.folder / "daemon.json").write_text(said.block(PAGE, "json", "userns-remap"))

    def close(self) -> None:
        self.holder.kill()
        self.holder.wait()


@contextlib.contextmanager
def made(disk: int = 512) -> Iterator[Documented]:
    """One that has the starter image, gone without a trace afterwards."""
    with fresh() as folder, contextlib.closing(Documented(folder, disk)) as one:
        one.start()
        one.load()
        yield one
