"""Starting files of a template: uploaded, made harmless, shown, and kept through versions."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from sandboxes.labs import archives, gate
from sandboxes.labs.forms_templates import RecipeForm
from sandboxes.labs.models import Enrollment, Role, Seat, TemplateVersion
from tests.pages.conftest import browser, text

from .conftest import rounds
from .test_lab_templates import act, edit, wish

pytestmark = pytest.mark.django_db(transaction=True)


def tar(**files: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as target:
        for name, content in files.items():
            member = tarfile.TarInfo(name.replace("__", "/"))
            member.size = len(content)
            target.addfile(member, io.BytesIO(content.encode()))
    return out.getvalue()


def zipped(**files: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(name.replace("__", "/"), content)
    return out.getvalue()


@pytest.mark.parametrize("make", [tar, zipped, lambda **files: gzip.compress(tar(**files))])
def test_starting_files_are_kept_as_a_gzipped_tar_with_their_names(ines, engine, template, version, make):
    upload = SimpleUploadedFile("start.bin", make(a="1", sub__b="two"))
    browser(ines).post(edit(template), wish(version, upload=upload))
    newest = template.newest
    assert newest.files_names == ["a", "sub/b"]
    with tarfile.open(fileobj=io.BytesIO(bytes(newest.files)), mode="r:gz") as kept:
        assert kept.extractfile("sub/b").read() == b"two"
        assert {member.uid for member in kept} == {1000}
    assert "sub/b" in text(browser(ines).get(edit(template)))


def test_files_stay_with_the_next_version_until_they_are_taken_out(ines, engine, template, version):
    browser(ines).post(edit(template), wish(version, upload=SimpleUploadedFile("a.tar", tar(a="1"))))
    browser(ines).post(edit(template), wish(template.newest))
    assert template.newest.files_names == ["a"]
    browser(ines).post(edit(template), wish(template.newest, remove_files="on"))
    assert (template.newest.files_names, template.newest.files) == ([], None)


def link() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as target:
        member = tarfile.TarInfo("passwd")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        target.addfile(member)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"hello", "no .tar"),
        (b"PK\x03\x04 broken", "no .tar"),
        (b"\x1f\x8b broken", "no .tar"),
        (tar(a="1")[:700], "damaged"),
        (tar(**{"..__x": "1"}), "outside of it"),
        (zipped(**{"..__x": "1"}), "outside of it"),
        (tar(**{"__etc__x": "1"}), "outside of it"),
        (link(), "no file"),
        (zipped(), "no file"),
        (gzip.compress(b"\0" * (41 << 20)), "at most 5 MB"),
        (zipped(bomb="0" * (41 << 20)), "at most 5 MB"),
        (b"x" * ((5 << 20) + 1), "at most 5 MB"),
        (b"BZh91AY&SY" + b"x" * 600, "no .tar"),
        (tar(**{f"f{number}": "" for number in range(1001)}), "1000 files"),
    ],
)
def test_a_bad_archive_is_refused_in_a_sentence(ines, engine, template, version, data, says):
    response = browser(ines).post(edit(template), wish(version, upload=SimpleUploadedFile("a.tar", data)))
    assert (response.status_code, says in text(response)) == (422, True)
    assert template.newest.number == 1


def test_the_same_files_are_the_same_bytes():
    assert archives.prepare(tar(a="1")).data == archives.prepare(tar(a="1")).data


def test_an_image_of_the_starting_files_is_in_the_sheet(ines, engine, template, version, alice):
    upload = SimpleUploadedFile("a.tar", tar(**{"img__map.png": "png", "notes.txt": "x"}))
    sheet = "## Map\n\n![the map](img/map.png) ![notes](notes.txt) ![none](none.png)"
    browser(ines).post(edit(template), wish(version, upload=upload, sheet=sheet))
    page = text(browser(ines).get(edit(template)))
    assert 'src="data:image/png;base64,cG5n" alt="the map"' in page
    assert page.count('<img src="data:image') == 1


def test_who_is_no_instructor_any_more_manages_nothing(ines, engine, template):
    Enrollment.objects.filter(user=ines).update(role=Role.ASSISTANT)
    assert not gate.can(ines, template.course, gate.MANAGE)
    assert browser(ines).get(edit(template)).status_code == 404


def test_a_strict_template_has_no_network(version):
    fields = wish(version, isolation="strict", network="internet")
    form = RecipeForm(fields)
    assert form.errors == {"network": ["A strict sandbox has no network. Choose none."]}
    assert RecipeForm(fields | {"network": "none"}).is_valid()


def test_the_seats_of_a_strict_template_are_strict(ines, engine, version, template):
    TemplateVersion.objects.filter(pk=version.pk).update(isolation="strict")
    browser(ines).post(act(template, "try"))
    rounds()
    assert Seat.objects.get().sandbox.is_strict
