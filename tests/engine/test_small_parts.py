"""The starter image's tar, the search for a busybox, the working directory, marks and health."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from sandboxes.engine import busybox, starter
from sandboxes.engine.base import ContainerSpec, Unreachable, Unsupported
from sandboxes.engine.hardening import ImageFacts
from sandboxes.engine.health import Health
from sandboxes.engine.marks import check_marker, mark, sweep_argv
from sandboxes.engine.terminal import clamp
from sandboxes.engine.wire import meanwhile
from sandboxes.engine.workspace import first_file, folder, looked_up, needs_folder, owner_of

SPEC = ContainerSpec("sb_x", "image", 64 << 20, 1, 64)


def members(packed: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        return {one.name: one for one in tar}


def test_the_starter_is_a_small_system_with_a_student():
    found = members(starter.tarball(b"program", ["sh", "vi"]))
    assert found["bin/sh"].linkname == "busybox"
    assert found["bin/busybox"].mode == 0o755
    assert found["tmp"].mode == 0o1777
    assert (found["workspace"].uid, found["workspace/README.txt"].uid) == (1000, 1000)
    assert found["etc/passwd"].uid == 0
    assert not [one for one in found.values() if one.isdev() or one.mode & 0o6000]


def test_no_file_of_the_starter_is_of_1970():
    assert {one.mtime for one in members(starter.tarball(b"program", ["sh"])).values()} == {starter.MADE}


def test_the_starter_is_the_same_each_time():
    assert starter.tarball(b"p", ["sh"]) == starter.tarball(b"p", ["sh"])


def test_a_program_that_needs_a_loader_is_not_static(tmp_path: Path):
    assert not busybox.is_static(Path(sys.executable).resolve())
    assert not busybox.is_static(tmp_path / "missing")
    (tmp_path / "script").write_text("#!/bin/sh\n")
    assert not busybox.is_static(tmp_path / "script")


def test_a_busybox_named_by_hand_must_be_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SANDBOX_BUSYBOX", str(tmp_path / "nothing"))
    with pytest.raises(Unsupported, match="SANDBOX_BUSYBOX"):
        busybox.find()


def test_the_working_directory_is_made_only_where_the_image_did_not():
    assert needs_folder(SPEC, ImageFacts(workdir=""))
    assert not needs_folder(SPEC, ImageFacts(workdir="/workspace"))
    assert not needs_folder(replace(SPEC, workdir="/tmp"), ImageFacts())
    assert not needs_folder(replace(SPEC, workdir="/"), ImageFacts())
    assert not needs_folder(replace(SPEC, root=True), ImageFacts())


def test_the_working_directory_s_tar_holds_one_directory():
    parent, packed = folder("/srv/lab", (1000, 1001))
    (entry,) = members(packed).values()
    assert (parent, entry.name, entry.isdir()) == ("/srv", "lab", True)
    assert (entry.uid, entry.gid, entry.mode) == (1000, 1001, 0o755)


PASSWD = "root:x:0:0::/:\nnode:x:1000:1001::/home/node:/bin/sh\nbad line\nnode:x:7:7\n"


@pytest.mark.parametrize(
    ("user", "numbers"),
    [
        ("node", "1000:1001"),
        ("node:users", "1000:100"),
        ("node:5", "1000:5"),
        ("1000", "1000:1001"),
        ("7:users", "7:100"),
        ("+8", "8:0"),
    ],
)
def test_a_user_is_looked_up_as_the_engine_does_it(user: str, numbers: str):
    assert looked_up(user, PASSWD, "root:x:0:\nusers:x:100:node\n") == numbers


@pytest.mark.parametrize("user", ["nobody", "node:nobodies"])
def test_a_name_that_the_image_does_not_have_is_told(user: str):
    with pytest.raises(LookupError, match="which it does not have"):
        looked_up(user, PASSWD, "users:x:100:node")


def test_a_list_that_cannot_be_read_is_told():
    with pytest.raises(LookupError, match="node, which cannot be looked up"):
        looked_up("node", None, "")


def test_the_owner_is_the_user_in_numbers():
    assert owner_of(SPEC, ImageFacts("node", numbers="1000:1001")) == (1000, 1001)
    assert owner_of(SPEC, ImageFacts("7:8", numbers="")) == (7, 8)
    assert owner_of(SPEC, ImageFacts()) == (1000, 1000)


@pytest.mark.parametrize(
    "line", ["toor:x:0:0::/:", "  toor:x:00:5", "toor:x:+0", "toor:x:garbage:7", "toor", "toor:x:"]
)
def test_a_name_of_root_is_known_as_the_engine_knows_it(line: str):
    with pytest.raises(LookupError, match="toor, which is root by another name"):
        looked_up("toor", f"root:x:0:0::/:\n{line}\ntoor:x:1000:1000::/:\n", "")


def test_a_single_file_comes_out_of_its_tar():
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("passwd")
        entry.size = 3
        tar.addfile(entry, io.BytesIO(b"abc"))
    assert first_file(packed.getvalue()) == "abc"


def test_a_mark_ends_with_what_no_marker_holds():
    assert mark("term-1") == {"SANDBOX_MARKER": "term-1."}
    assert sweep_argv("term-1")[-1] == "SANDBOX_MARKER=term-1."
    assert check_marker("A-z_09") == "A-z_09"


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_sweep_is_plain_shell(shell: str):
    script = sweep_argv("m")[2]
    done = subprocess.run([shell, "-n", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_health_remembers_the_first_failure_in_a_row():
    health = Health()
    health.note_error(Unreachable("one"))
    since = health.unreachable_since
    health.note_error(Unreachable("two"))
    assert since is not None
    assert health.unreachable_since is since
    assert health.last_error == "two"
    health.note_ok()
    assert health.unreachable_since is None


def test_sizes_are_held_to_what_programs_survive():
    assert clamp(0, -1) == (1, 1)
    assert clamp(70000, 500) == (500, 500)


def test_what_was_begun_meanwhile_is_over_afterwards():
    """A TERM for a container that is being stopped must not reach it when it runs again."""
    begun, may_end, over = threading.Event(), threading.Event(), []

    def work():
        begun.set()
        may_end.wait(20)
        over.append(True)

    with meanwhile(0, work):
        assert begun.wait(20)
        threading.Timer(0.2, may_end.set).start()
    assert over
