"""Lab templates: versions, drafts and publishing, clones, starting files, the try, and who may."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from sandboxes.labs import archives, gate, lab_templates
from sandboxes.labs.forms_templates import RecipeForm
from sandboxes.labs.models import Course, Enrollment, Lab, LabTemplate, Role, Seat, TemplateVersion
from sandboxes.models import Event, User
from tests.pages.conftest import HTMX, browser, text

from .conftest import PROF, enroll, rounds

pytestmark = pytest.mark.django_db(transaction=True)
EVERYBODY = ["alice", "bob", "ines", "tina", "prof", "stranger", "nobody"]
MAY = ("ines", "prof")


@pytest.fixture
def stranger(db) -> User:
    return User.objects.create_user("mallory")


@pytest.fixture
def template(version) -> LabTemplate:
    return version.template


def edit(template):
    return reverse("template_edit", args=[template.pk])


def act(template, action):
    return reverse("template_act", args=[template.pk, action])


def wish(version, **changed):
    return {
        "title": "Shell basics", "sheet": version.sheet, "image": version.image_id or "", "memory": "64m",
        "cpus": "1", "pids": "64", "network": "none", "base": version.number, **changed,
    }  # fmt: skip


# -- who may ------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", EVERYBODY)
def test_only_who_manages_the_course_sees_its_templates(request, engine, course, template, stranger, who):
    user = None if who == "nobody" else request.getfixturevalue(who)
    expected = 200 if who in MAY else 302 if who == "nobody" else 404
    for name, pk in (
        ("template_list", course.pk),
        ("template_new", course.pk),
        ("template_edit", template.pk),
    ):
        assert browser(user).get(reverse(name, args=[pk])).status_code == expected, name


@pytest.mark.parametrize("who", EVERYBODY)
@pytest.mark.parametrize(
    "action", ["publish", "unpublish", "clone", "remove", "try", "save", "new", "preview"]
)
def test_only_who_manages_the_course_changes_them(request, engine, course, version, stranger, who, action):
    user, template = None if who == "nobody" else request.getfixturevalue(who), version.template
    enroll(course, request.getfixturevalue("prof"), Role.INSTRUCTOR) if who == "prof" else None
    address = {
        "save": edit(template), "new": reverse("template_new", args=[course.pk]),
        "preview": reverse("template_preview", args=[course.pk]),
    }.get(action) or act(template, action)  # fmt: skip
    response = browser(user).post(address, wish(version))
    may = 200 if action == "preview" else 303
    assert response.status_code == (may if who in MAY else 302 if who == "nobody" else 404)
    changed = TemplateVersion.objects.count() > 1 or Lab.objects.exists() or LabTemplate.objects.count() > 1
    assert changed == (who in MAY and action in ("clone", "try", "save", "new"))


def test_every_change_needs_the_forms_own_token(ines, template, course):
    client = browser(ines, enforce_csrf_checks=True)
    for address in (edit(template), act(template, "try"), reverse("template_preview", args=[course.pk])):
        assert client.post(address, {}).status_code == 403


# -- writing ------------------------------------------------------------------------------------


def test_a_new_template_is_a_draft_with_a_first_version(ines, engine, course, version):
    response = browser(ines).post(
        reverse("template_new", args=[course.pk]), wish(version, title="Pipes", base=0)
    )
    made = LabTemplate.objects.get(title="Pipes")
    assert response["Location"] == edit(made)
    assert (made.published, made.newest.number, made.newest.memory) == (None, 1, 64 << 20)
    assert made.newest.created_by == "ines"
    assert Event.objects.filter(action="template.create").exists()


def test_each_save_is_a_new_version_and_labs_keep_theirs(ines, lab, template, version):
    browser(ines).post(edit(template), wish(version, sheet="## New\r\n\r\nText."))
    newest = template.newest
    assert (newest.number, newest.sheet) == (2, "## New\n\nText.")
    template.refresh_from_db()
    lab.refresh_from_db()
    assert (template.published, lab.version) == (version, version)
    browser(ines).post(act(template, "publish"))
    template.refresh_from_db()
    assert template.published == newest


def test_two_authors_do_not_overwrite_each_other(ines, prof, engine, template, version):
    browser(ines).post(edit(template), wish(version, sheet="## Hers"))
    response = browser(prof).post(edit(template), wish(version, sheet="## His"))
    assert (response.status_code, template.newest.sheet) == (422, "## Hers")
    assert "ines saved version 2 meanwhile" in text(response)
    assert "## His" in text(response)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("title", "", "Give it a title."),
        ("title", "x" * 121, "At most 120"),
        ("sheet", "x" * 205_000, "200 kB"),
        ("sheet", "\n## a\n" * 101, "100 steps"),
        ("sheet", "a\0b", "NUL"),
        ("image", "99999", "not in the catalogue"),
        ("memory", "1k", "Memory is at least"),
        ("memory", "lots", "size"),
        ("cpus", "-1", "CPUs is at least"),
        ("pids", "many", "whole number"),
        ("network", "moon", "not one of the"),
    ],
)
def test_what_cannot_be_is_said_at_its_field_and_on_record(
    ines, engine, template, version, field, value, says
):
    response = browser(ines).post(edit(template), wish(version, **{field: value}))
    assert (response.status_code, says in text(response)) == (422, True)
    assert template.newest.number == 1
    assert Event.objects.get(action="template.save", outcome="refused").detail["field"] == field


def test_an_earlier_version_can_be_gone_on_from(ines, engine, template, version):
    browser(ines).post(edit(template), wish(version, sheet="## Second"))
    page = text(browser(ines).get(edit(template) + "?version=1"))
    assert "## One" in page
    assert 'name="base" value="2"' in page
    assert page.index("version 2 <span") < page.index("version 1 <span")
    for number in ("0", "9", "x", "1e3", "9" * 40):
        assert browser(ines).get(edit(template) + f"?version={number}").status_code == 404


def test_the_preview_shows_the_sheet_and_runs_nothing(ines, engine, course, template):
    sheet = "Hello\n\n## A step\n\n<script>x()</script>\n\n```run\nls\n```"
    address = reverse("template_preview", args=[course.pk])
    page = browser(ines).post(address, {"sheet": sheet, "template": template.pk}, **HTMX).content.decode()
    assert "<h2>A step</h2>" in page
    assert "data-run" in page
    assert "<script>x" not in page
    assert "200 kB" in text(browser(ines).post(address, {"sheet": "x" * 205_000}, **HTMX))


def test_without_a_script_the_preview_saves_nothing(ines, engine, template, version):
    response = browser(ines).post(edit(template), wish(version, sheet="## Only looked at", do="preview"))
    assert "<h2>Only looked at</h2>" in text(response)
    assert template.newest.number == 1


# -- publishing, cloning, removing --------------------------------------------------------------


def test_what_has_no_image_is_not_published(ines, engine, template, version):
    browser(ines).post(edit(template), wish(version, image=""))
    response = browser(ines).post(act(template, "publish"), follow=True)
    assert "Choose an image" in text(response)
    template.refresh_from_db()
    assert template.published == version


def test_a_clone_is_a_draft_with_the_same_content(ines, engine, course, template, version):
    TemplateVersion.objects.filter(pk=version.pk).update(files=b"x", files_names=["a"])
    other = Course.objects.create(title="Networks")
    enroll(other, ines, Role.INSTRUCTOR)
    browser(ines).post(act(template, "clone"))
    browser(ines).post(act(template, "clone"), {"course": other.pk})
    here = course.templates.get(title="Shell basics (copy)")
    there = other.templates.get(title="Shell basics")
    for made in (here, there):
        assert (made.published, made.newest.sheet, made.newest.files_names) == (None, version.sheet, ["a"])


def test_a_clone_goes_nowhere_one_does_not_manage(ines, engine, template):
    other = Course.objects.create(title="Networks")
    assert browser(ines).post(act(template, "clone"), {"course": other.pk}).status_code == 404
    assert not other.templates.exists()


def test_a_removed_template_is_off_the_list_and_its_lab_runs_on(
    ines, open_lab, seat, alice, template, course
):
    client = browser(ines)
    assert "keep the version they have" in text(client.post(act(template, "remove") + "?confirm"))
    assert LabTemplate.objects.get().removed_at is None
    client.post(act(template, "remove"))
    assert client.get(edit(template)).status_code == 404
    assert "No templates yet" in text(client.get(reverse("template_list", args=[course.pk])))
    page = text(browser(alice).get(reverse("seat_detail", args=[seat(alice).pk])))
    assert "step 1 of 2" in page
    assert not lab_templates.remove(template, PROF)


# -- trying -------------------------------------------------------------------------------------


def test_one_click_leads_the_author_to_a_seat_as_a_student_has_it(ines, engine, template, version):
    response = browser(ines).post(act(template, "try"))
    seat = Seat.objects.get()
    assert response["Location"] == reverse("seat_detail", args=[seat.pk])
    assert (seat.enrollment.user, seat.lab.is_trial, seat.lab.version) == (ines, True, version)
    rounds()
    page = text(browser(ines).get(response["Location"]))
    assert "<sandbox-terminal" in page
    assert "a try" in page


def test_trying_twice_is_one_try_and_a_newer_version_ends_it(ines, engine, template, version):
    for _ in range(3):
        browser(ines).post(act(template, "try"))
    assert Lab.objects.count() == 1
    browser(ines).post(edit(template), wish(version, sheet="## Newer"))
    browser(ines).post(act(template, "try"))
    assert sorted(Lab.objects.values_list("status", "version__number")) == [("closing", 1), ("open", 2)]


def test_students_get_no_seat_in_a_try(ines, engine, template, alice):
    browser(ines).post(act(template, "try"))
    assert not Seat.objects.filter(enrollment__user=alice).exists()


def test_site_staff_outside_of_the_course_are_told_why_they_cannot_try(prof, engine, template):
    response = browser(prof).post(act(template, "try"), follow=True)
    assert "add yourself as an instructor" in text(response)
    assert not Lab.objects.exists()


# -- starting files -----------------------------------------------------------------------------


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
