"""Courses as pages: who sees which, what a new one is, what its settings change, and what is on record."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from sandboxes.labs.models import Course, Enrollment, LabTemplate, Role, TemplateVersion
from sandboxes.models import Event, Outcome, User

from .conftest import enroll

pytestmark = pytest.mark.django_db


def browser(user: User | None) -> Client:
    client = Client()
    if user is not None:
        client.force_login(user)
    return client


def text(response: Any) -> str:
    return " ".join(response.content.decode().split())


FORM = {"title": "Networks", "typing": "ask", "assistants_act": "on"}


def test_the_list_tells_what_one_teaches_and_learns(course, ines, alice):
    enroll(Course.objects.create(title="Databases"), ines)
    page = text(browser(ines).get("/courses/"))
    assert page.index("You teach") < page.index("Operating systems") < page.index("You learn")
    assert "Databases" in page
    assert "2 students" in page
    assert "You teach" not in text(browser(alice).get("/courses/"))


def test_the_list_asks_no_more_with_more_courses(ines, django_assert_max_num_queries):
    for number in range(30):
        enroll(Course.objects.create(title=f"Course {number}"), ines, Role.INSTRUCTOR)
    client = browser(ines)
    with django_assert_max_num_queries(14):
        client.get("/courses/")


def test_a_new_course_has_its_maker_as_instructor(prof):
    answer = browser(prof).post("/courses/new/", FORM)
    course = Course.objects.get()
    assert answer.headers["Location"] == f"/courses/{course.pk}/"
    assert Enrollment.objects.get().role == Role.INSTRUCTOR
    assert Event.objects.get(action="course.create").detail["course"] == course.pk


def test_who_was_given_the_right_makes_courses_too(alice):
    assert browser(alice).get("/courses/new/").status_code == 403
    alice.user_permissions.add(Permission.objects.get(codename="add_course"))
    assert browser(alice).post("/courses/new/", FORM).status_code == 303


def test_others_make_no_course_and_it_is_on_record(alice):
    assert browser(alice).post("/courses/new/", FORM).status_code == 403
    assert not Course.objects.exists()
    assert Event.objects.get(action="course.create").outcome == Outcome.REFUSED


@pytest.mark.parametrize(
    "form", [{}, {"title": "x" * 121}, {"title": "A\0b"}, {"title": "A", "typing": "never"}]
)
def test_a_form_that_cannot_be_says_so_at_the_field(form, prof):
    answer = browser(prof).post("/courses/new/", {"typing": "ask"} | form)
    assert answer.status_code == 422
    assert 'class="error"' in answer.content.decode()
    assert not Course.objects.exists()
    assert Event.objects.filter(action="course.create", outcome=Outcome.REFUSED).exists()


def test_a_title_is_text(prof):
    browser(prof).post("/courses/new/", FORM | {"title": "<script>alert(1)</script>"})
    assert "<script>alert" not in text(browser(prof).get("/courses/"))


def test_settings_are_changed_and_on_record_with_before_and_after(course, ines):
    browser(ines).post(f"/courses/{course.pk}/settings/", {"title": "Systems", "typing": "free"})
    course.refresh_from_db()
    assert (course.title, course.typing, course.assistants_act) == ("Systems", "free", False)
    changed = Event.objects.get(action="course.change").changes
    assert changed["typing"] == ["ask", "free"]
    assert "guests_allowed" not in changed


def test_saving_what_was_there_changes_nothing(course, ines):
    form = {"title": course.title, "typing": "ask", "assistants_act": "on"}
    browser(ines).post(f"/courses/{course.pk}/settings/", form)
    assert not Event.objects.filter(action="course.change").exists()


def test_a_course_is_archived_and_restored(course, ines):
    client = browser(ines)
    address = f"/courses/{course.pk}/settings/"
    assert "Archive this course" in text(client.get(address))
    client.post(address, {"do": "archive"})
    assert "The course is archived." in text(client.post(address, {"do": "archive"}, follow=True))
    assert "This course is archived" in text(client.get(address))
    assert Event.objects.filter(action="course.archive").count() == 1
    assert "Archived" in text(client.get("/courses/"))
    client.post(address, {"do": "restore"})
    course.refresh_from_db()
    assert course.archived_at is None


def test_staff_see_people_by_role_and_section(course, ines, alice):
    course.enrollments.filter(user=alice).update(section="B")
    page = text(browser(ines).get(f"/courses/{course.pk}/"))
    assert "2 students" in page
    assert "Section <b>B</b>" in page
    assert "Tina" in page


def test_an_assistant_sees_no_settings(course, tina):
    page = text(browser(tina).get(f"/courses/{course.pk}/"))
    assert "settings/" not in page
    assert browser(tina).get(f"/courses/{course.pk}/settings/").status_code == 404


def test_a_course_without_labs_offers_what_comes_next(course, ines, tina, image):
    address = f"/courses/{course.pk}/"
    assert "Write a lab template" in text(browser(ines).get(address))
    template = LabTemplate.objects.create(course=course, title="Shell")
    made = TemplateVersion.objects.create(template=template, number=1, image=image, memory=64 << 20)
    assert "Write a lab template" in text(browser(ines).get(address)), "a draft is not ready"
    LabTemplate.objects.filter(pk=template.pk).update(published=made)
    shown = text(browser(ines).get(address))
    assert "1 template is ready for one." in shown
    assert "Plan a lab" in shown
    assert "Write a lab template" not in shown
    assert "Plan a lab" not in text(browser(tina).get(address))


def test_a_student_sees_open_labs_and_no_other_people(course, open_lab, alice):
    page = text(browser(alice).get(f"/courses/{course.pk}/"))
    assert f"/labs/{open_lab.pk}/seat/" in page
    assert "Bob" not in page
    assert "bob@example.org" not in page


def test_a_student_sees_no_lab_that_an_author_only_tries(course, open_lab, alice):
    type(open_lab).objects.update(is_trial=True)
    course.labs.get().seats.all().delete()
    assert open_lab.title not in text(browser(alice).get(f"/courses/{course.pk}/"))


def test_who_left_sees_it_no_more(course, alice):
    course.enrollments.filter(user=alice).update(removed_at=course.created_at)
    assert browser(alice).get(f"/courses/{course.pk}/").status_code == 404
    assert course.title not in text(browser(alice).get("/courses/"))
