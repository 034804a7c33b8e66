"""An archive made harmless, and put into a container."""

from __future__ import annotations

import io
import tarfile

import pytest

from sandboxes.engine.base import Engine, NotFound
from sandboxes.engine.files import BadArchive, repack
from tests.engine.helpers import Sandboxes, run


def tar(*members: tuple[str, bytes] | tarfile.TarInfo, mode: str = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as target:
        for one in members:
            if isinstance(one, tarfile.TarInfo):
                target.addfile(one)
                continue
            name, data = one
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.uid = len(data), 0o4755, 0
            target.addfile(info, io.BytesIO(data))
    return out.getvalue()


def link(kind: bytes, name: str, to: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


def test_files_keep_their_names_and_bytes_and_lose_owner_and_set_uid():
    packed = repack(tar(("./a/run.sh", b"echo"), ("b", b"")), 1000)
    with tarfile.open(fileobj=io.BytesIO(packed)) as made:
        first = made.getmember("a/run.sh")
        assert (first.uid, first.gid, first.mode) == (1000, 1000, 0o755)
        assert made.extractfile(first).read() == b"echo"
        assert made.getnames() == ["a", "a/run.sh", "b"]
        assert made.getmember("a").uid == 1000


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../up"])
def test_a_name_that_leads_out_is_refused(name):
    with pytest.raises(BadArchive, match="outside"):
        repack(tar((name, b"x")), 1000)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_left_out(kind):
    packed = repack(tar(link(kind, "evil", "/etc"), ("good", b"1")), 1000)
    with tarfile.open(fileobj=io.BytesIO(packed)) as made:
        assert made.getnames() == ["good"]


@pytest.mark.parametrize(
    "junk", [b"", b"no archive", tar(("a", b"x" * 9000))[:60]], ids=["empty", "text", "cut"]
)
def test_what_is_no_archive_says_so(junk):
    with pytest.raises(BadArchive):
        repack(junk, 1000)


def test_too_much_is_refused(monkeypatch):
    monkeypatch.setattr("sandboxes.engine.files.MOST_BYTES", 10)
    with pytest.raises(BadArchive, match="at most"):
        repack(tar(("a", b"x" * 11)), 1000)


def test_a_container_that_is_not_there(engine: Engine):
    with pytest.raises(NotFound):
        engine.put_files("0" * 64, "/workspace", tar(("a", b"1")))


@pytest.mark.engine
def test_files_lie_in_the_workspace_and_are_the_users(real: Sandboxes):
    native_id = real.running()
    real.engine.put_files(native_id, "/workspace", tar(("sub/hello.sh", b"echo hi"), ("b.txt", b"B")))
    script = "sh sub/hello.sh && cat b.txt && rm -r sub && ls -ln b.txt | tr -s ' ' | cut -d' ' -f3"
    out, _, code = run(real.engine, native_id, "sh", "-c", script, workdir="/workspace")
    assert (out, code) == (b"hi\nB1000\n", 0)
