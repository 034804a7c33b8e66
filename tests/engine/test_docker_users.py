"""Who runs inside, however the image spells it, and whose the working directory is, on the real engine."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

import pytest

from sandboxes.engine import starter
from sandboxes.engine.base import ImageMissing, Unsupported
from sandboxes.engine.busybox import find
from sandboxes.engine.docker_engine import DockerEngine
from tests import recording
from tests.engine.helpers import INSTALL, Sandboxes, run
from tests.engine.local_images import imported
from tests.fakes.engine import STARTER
from tests.faults import calls
from tests.recording import by_hand

pytestmark = pytest.mark.engine

BARE = f"sandboxes/{INSTALL}:bare"
NAMED = f"sandboxes/{INSTALL}:named"


@pytest.fixture(scope="module")
def images(docker_engine: DockerEngine) -> Iterator[None]:
    """Two more local images: one of root without a working directory, one with a named user."""
    packed = starter.tarball(*find())
    for reference, changes in ((BARE, ['CMD ["sh"]']), (NAMED, ["USER student", "WORKDIR /opt"])):
        name, _, tag = reference.partition(":")
        with by_hand() as api:
            api.import_image_from_data(packed, repository=name, tag=tag, changes=changes)
    yield
    with by_hand() as api:
        for reference in (BARE, NAMED):
            api.remove_image(reference, force=True)


def with_passwd(entry: tarfile.TarInfo, data: bytes = b"") -> bytes:
    """The starter's files with another list of users."""
    packed = io.BytesIO()
    starters = io.BytesIO(starter.tarball(*find()))
    with tarfile.open(fileobj=starters) as given, tarfile.open(fileobj=packed, mode="w") as tar:
        for one in given:
            if one.name != "etc/passwd":
                tar.addfile(one, given.extractfile(one) if one.isfile() else None)
        entry.name, entry.size, entry.mode = "etc/passwd", len(data), 0o644
        tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


# -- who runs inside ------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["00", "+0", "0:5", "root"])
def test_root_by_any_number_is_the_student(real: Sandboxes, user: str):
    tar = starter.tarball(*find())
    with imported("zero", tar, [f"USER {user}"]) as image:
        native_id = real.running(image=image)
        assert run(real.engine, native_id, "id", "-u")[0] == b"1000\n"
        real.clear()


def test_an_image_that_becomes_another_is_looked_at_again(real: Sandboxes):
    """Two builds under one reference: who runs inside is as the second has it; the first leaves nothing."""
    tar, users = starter.tarball(*find()), []
    for user in ("1234", "1234", "4321:4321"):
        with imported("moves", tar, [f"USER {user}"]) as image:
            native_id = real.running(image=image)
            users.append(run(real.engine, native_id, "id", "-u")[0])
            assert len(real.engine.list()) == 1
            real.clear()
    assert users == [b"1234\n", b"1234\n", b"4321\n"]
    assert calls.strange(recording.take()) == ["User"]  # the try by what was known of the first; it never ran


def test_what_an_earlier_attempt_made_of_another_image_is_taken_over(real: Sandboxes):
    """It may be somebody's by now, so it is held to the image that it was made of."""
    tar = starter.tarball(*find())
    with (
        imported("moves", tar, ["USER 1234"]) as image,
        imported("moved", tar, ["USER 4321"]) as other,
    ):
        spec = real.spec(image=image)
        native_id = real.created(spec)
        with by_hand() as api:
            api.tag(image, image.replace("moves", "kept"), force=True)
            api.tag(other, image, force=True)
        assert real.created(spec) == native_id
        assert len(real.engine.list()) == 1
        real.engine.start(native_id)
        assert run(real.engine, native_id, "id", "-u")[0] == b"1234\n"
        real.clear()
        with by_hand() as api:
            api.remove_image(image.replace("moves", "kept"), force=True)


def test_volumes_that_an_image_declares_go_with_its_containers(real: Sandboxes):
    """Also with the one in which its user and its folders were looked up."""
    before = volumes()
    changes = ["USER student", "WORKDIR /srv/deep", "VOLUME /kept"]
    with imported("keeps", starter.tarball(*find()), changes) as image:
        real.running(image=image)
        assert len(volumes() - before) == 1
        real.clear()
        assert volumes() == before


def volumes() -> set[str]:
    with by_hand() as api:
        return {one["Name"] for one in api.volumes()["Volumes"] or []}


def test_an_image_that_is_gone_is_missing_though_it_was_known(real: Sandboxes):
    with imported("goes", starter.tarball(*find()), ["USER 1234"]) as image:
        real.running(image=image)
        real.clear()
    with pytest.raises(ImageMissing):
        real.created(real.spec(image=image))


def test_root_by_another_name_is_refused_and_nothing_stays(real: Sandboxes):
    tar = with_passwd(tarfile.TarInfo(), b"root:x:0:0::/:/bin/sh\ntoor:x:0:0::/:/bin/sh\n")
    with imported("toor", tar, ["USER toor"]) as image:
        spec = real.spec(image=image)
        with pytest.raises(Unsupported, match="toor, which is root by another name"):
            real.created(spec)
        assert not [one for one in real.engine.list() if one.sandbox_id == spec.sandbox_id]
        allowed = real.running(image=image, root=True)
        assert run(real.engine, allowed, "id", "-u")[0] == b"0\n"
        real.clear()


def test_a_list_of_users_that_is_a_link_is_not_followed(real: Sandboxes):
    link = tarfile.TarInfo()
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/group"
    with (
        imported("link", with_passwd(link), ["USER student"]) as image,
        pytest.raises(Unsupported, match="student, which cannot be looked up"),
    ):
        real.created(image=image)


@pytest.mark.usefixtures("images")
@pytest.mark.parametrize("workdir", ["/workspace", "/etc", "/home/student"])
def test_a_rewritten_list_of_users_makes_nobody_root(real: Sandboxes, workdir: str):
    """Neither at the next exec nor at the next start; an existing system folder is not handed over."""
    line = "echo student:x:0:0::/:/bin/sh > /etc/new && mv -f /etc/new /etc/passwd; stat -c %u:%g /etc; id -u"
    native_id = real.running(image=NAMED, workdir=workdir)
    assert run(real.engine, native_id, "sh", "-c", line)[0] == b"0:0\n1000\n"
    as_root_would(real, native_id)
    for _ in range(2):
        assert run(real.engine, native_id, "id")[0].decode().split()[0][:8] == "uid=1000"
        assert main_process(real, native_id) == {"1000"}
        real.engine.stop(native_id)
        real.engine.start(native_id)


def as_root_would(real: Sandboxes, native_id: str) -> None:
    """However a person got at the list: root's name there is no longer what the image had."""
    packed, data = io.BytesIO(), b"student:x:0:0::/:/bin/sh\n1000:x:0:0::/:/bin/sh\n"
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("passwd")
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    with by_hand() as api:
        api.put_archive(native_id, "/etc", packed.getvalue())


def main_process(real: Sandboxes, native_id: str) -> set[str]:
    """The users of all its processes, in numbers, as the host sees them."""
    with by_hand() as api:
        return {row[1] for row in api.top(native_id, ps_args="-o pid,uid")["Processes"]}


@pytest.mark.usefixtures("images")
def test_who_a_named_user_is_counts_as_asked(real: Sandboxes):
    spec = real.spec(image=NAMED)
    native_id = real.created(spec)
    with by_hand() as api:
        assert api.inspect_container(native_id)["Config"]["User"] == "1000:1000"
    assert real.engine.differences(native_id, spec) == []
    assert [one.sandbox_id for one in real.engine.list()].count(spec.sandbox_id) == 1
    assert not [one for one in real.engine.list() if one.sandbox_id.startswith("sb_probe")]


# -- the working directory ------------------------------------------------------------------------

WRITE = ("sh", "-c", "pwd; echo $HOME; id -u; echo x > $PWD/file && echo written")


@pytest.mark.usefixtures("images")
@pytest.mark.parametrize(
    ("image", "workdir", "home"),
    [
        (STARTER, "/workspace", "/workspace"),
        (STARTER, "/srv/deep/lab", "/srv/deep/lab"),
        (BARE, "/workspace", "/workspace"),
        (BARE, "/tmp", "/tmp"),
        (NAMED, "/workspace", "/workspace"),
        (NAMED, "/srv/lab", "/workspace"),
    ],
    ids=["starter", "starter deep", "bare", "bare tmp", "named", "named elsewhere"],
)
def test_the_working_directory_is_writable(real: Sandboxes, image: str, workdir: str, home: str):
    native_id = real.running(image=image, workdir=workdir)
    out, err, code = run(real.engine, native_id, *WRITE)
    assert (out.decode().split(), err) == ([workdir, home, "1000", "written"], b"")
    assert code == 0


@pytest.mark.usefixtures("images")
def test_root_where_allowed_may_chown(real: Sandboxes):
    native_id = real.running(image=BARE, root=True)
    line = "id -u; touch f && chown 1000 f && su student -c id"
    out, err, code = run(real.engine, native_id, "sh", "-c", line)
    assert (code, err) == (0, b"")
    assert out.startswith(b"0\nuid=1000")
