"""Lab templates: versions, drafts and publishing, clones, the try, and who may."""

from __future__ import annotations

import pytest
from django.urls import reverse

from sandboxes.labs import lab_templates
from sandboxes.labs.models import Course, Lab, LabTemplate, Role, Seat, TemplateVersion
from sandboxes.models import Event, User
from tests.pages.conftest import HTMX, browser, text

from .conftest import PROF, enroll, rounds

pytestmark = pytest.mark.django_db(transaction=True)
EVERYBODY = ["alice", "bob", "ines", "tina", "prof", "stranger", "nobody"]
MAY = ("ines", "prof")


@pytest.fixture
def stranger(db) -> User:
    return User.objects.create_user("mallory")


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
        ("cpus", "-1", "at least"),
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


def test_a_try_is_ended_where_it_is_made(ines, engine, template, version):
    client = browser(ines)
    page = client.post(act(template, "try"), follow=True)
    lab = Seat.objects.get().lab
    end = reverse("lab_act", args=[lab.pk, "close"])
    assert f'action="{end}"' in page.content.decode()
    assert "End the try" in text(page)
    ended = client.post(end, {"next": edit(template)}, follow=True)
    assert ended.request["PATH_INFO"] == edit(template)
    rounds()
    lab.refresh_from_db()
    assert lab.status == "closed"


def test_a_students_seat_has_no_try_to_end(alice, seat):
    assert "End the try" not in text(browser(alice).get(reverse("seat_detail", args=[seat(alice).pk])))


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


# -- its image ------------------------------------------------------------------------------------


def test_the_image_of_a_lab_to_come_is_not_called_unused(client, prof, lab, image, engine):
    client.force_login(prof)
    assert lab_templates.planned_on() == {image.reference: "1 lab"}
    assert "needed by 1 lab<" in text(client.get("/system/"))
    Lab.objects.update(status="closed")
    assert lab_templates.planned_on() == {}
    assert "in the catalogue, unused" in text(client.get("/system/"))
