"""The roster in the browser: pasted, looked at, applied; one person; everybody as CSV."""

from __future__ import annotations

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from sandboxes.labs.models import Course, Enrollment, RosterDraft
from sandboxes.models import Event, Outcome, User

from .conftest import enroll
from .test_courses import browser, text

pytestmark = pytest.mark.django_db

ROSTER = "name;email;id;section;role\nAda Lund;ada@x.org;77;A;\n=Evil;e@x.org;78;A;\n"


@pytest.fixture
def client(ines):
    return browser(ines)


@pytest.fixture
def people(course: Course) -> str:
    return f"/courses/{course.pk}/people/"


def seen(client, people: str) -> str:
    return re.search(r'name="seen" value="(\w+)"', client.get(f"{people}preview/").content.decode())[1]


def test_from_paste_to_people(client, people, course):
    answer = client.post(f"{people}roster/", {"text": ROSTER})
    assert answer.headers["Location"] == f"{people}preview/"
    page = text(client.get(f"{people}preview/"))
    assert "Ada Lund" in page
    assert "line 3" in page
    assert "formula" in page
    assert not course.enrollments.filter(name="Ada Lund").exists()
    client.post(f"{people}preview/", {"seen": seen(client, people)})
    assert course.enrollments.filter(name="Ada Lund").exists()
    assert not RosterDraft.objects.exists()
    assert "Ada Lund" in text(client.get(people))


def test_letters_that_were_read_wrongly_are_shown_at_their_line(client, people):
    client.post(f"{people}roster/", {"text": "name;email\nSÃ¸ren;s@x.org\n"})
    page = text(client.get(f"{people}preview/"))
    assert "Look at these" in page
    assert "line 2" in page
    assert "“SÃ¸ren” looks like “Søren”" in page


def test_applied_twice_it_is_applied_once(client, people, course):
    client.post(f"{people}roster/", {"text": ROSTER})
    form = {"seen": seen(client, people)}
    client.post(f"{people}preview/", form)
    assert client.post(f"{people}preview/", form).status_code == 303
    assert course.enrollments.filter(name="Ada Lund").count() == 1


def test_a_stale_preview_is_shown_again(client, people, course):
    client.post(f"{people}roster/", {"text": ROSTER})
    old = seen(client, people)
    enroll(course, User.objects.create_user("dora"))
    answer = client.post(f"{people}preview/", {"seen": old})
    assert answer.status_code == 409
    assert "has changed since" in text(answer)
    assert Event.objects.get(action="roster.apply").outcome == Outcome.REFUSED
    assert not course.enrollments.filter(name="Ada Lund").exists()


def test_a_preview_is_its_editors_own(client, people, course):
    client.post(f"{people}roster/", {"text": ROSTER})
    eva = User.objects.create_user("eva")
    enroll(course, eva, "instructor")
    assert browser(eva).get(f"{people}preview/").status_code == 303


def test_a_file_is_taken_too(client, people):
    file = SimpleUploadedFile("r.csv", "Nom;Prénom;Courriel\nLund;Zoë;zoe@x.org".encode("latin-1"))
    client.post(f"{people}roster/", {"file": file})
    page = text(client.get(f"{people}preview/"))
    assert "Zoë Lund" in page
    assert "Western European" in page


@pytest.mark.parametrize(
    "form",
    [{}, {"text": ""}, {"text": "colour\nred"}, {"file": SimpleUploadedFile("a.xlsx", b"PK\x03\x04\xff")}],
)
def test_what_is_no_roster_says_so_and_is_on_record(client, people, form):
    answer = client.post(f"{people}roster/", form)
    assert answer.status_code == 422
    assert 'class="error"' in answer.content.decode()
    assert Event.objects.get(action="roster.read").outcome == Outcome.REFUSED


def test_ticked_people_are_taken_out_and_nobody_else(client, people, course, alice, bob):
    client.post(f"{people}roster/", {"text": "name;email\nAlice;alice@example.org"})
    pk = course.enrollments.get(user=bob).pk
    client.post(f"{people}preview/", {"seen": seen(client, people), "remove": [str(pk), "999999", "x", "٣"]})
    assert set(course.enrollments.exclude(removed_at=None).values_list("pk", flat=True)) == {pk}


def test_all_who_are_missing_are_taken_out_but_oneself(client, people, course, ines):
    client.post(f"{people}roster/", {"text": "name;email\nAlice;alice@example.org"})
    client.post(f"{people}preview/", {"seen": seen(client, people), "remove_all": "1"})
    assert {one.name for one in course.enrollments.active()} == {"Alice", "Ines"}


def test_a_preview_may_be_thrown_away(client, people):
    client.post(f"{people}roster/", {"text": ROSTER})
    client.post(f"{people}preview/", {"do": "discard"})
    assert not RosterDraft.objects.exists()


def test_names_are_text(client, people, course):
    client.post(f"{people}roster/", {"text": "name;email\n<img src=x onerror=alert(1)>;a@x.org"})
    client.post(f"{people}preview/", {"seen": seen(client, people)})
    for path in (people, f"{people}{course.enrollments.get(email='a@x.org').pk}/", f"/courses/{course.pk}/"):
        assert "<img src=x" not in client.get(path).content.decode()


def test_people_are_found_by_name_role_and_section(client, people, course, alice):
    course.enrollments.filter(user=alice).update(section="B")
    assert "Bob" not in text(client.get(people, {"section": "B"}))
    assert "Tina" in text(client.get(people, {"role": "assistant"}))
    assert "Nobody matches" in text(client.get(people, {"q": "zzz\0", "page": "-7"}))


def test_a_long_list_asks_no_more(client, people, course, django_assert_max_num_queries):
    users = User.objects.bulk_create(User(username=f"u{n}") for n in range(250))
    Enrollment.objects.bulk_create(Enrollment(course=course, user=user, name=user.username) for user in users)
    with django_assert_max_num_queries(14):
        assert "1–100 of 254" in text(client.get(people))


# -- one person ---------------------------------------------------------------------------------


def test_a_person_is_changed_with_before_and_after_on_record(client, people, course, alice):
    pk = course.enrollments.get(user=alice).pk
    form = {"name": "Alice Lund", "email": "a@x.org", "student_id": "7", "section": "B", "role": "assistant"}
    assert client.post(f"{people}{pk}/", form).status_code == 303
    changed = Event.objects.get(action="roster.change").changes
    assert changed["role"] == ["student", "assistant"]
    assert "Alice Lund" in text(client.get(people))


@pytest.mark.parametrize(
    "form",
    [{"name": ""}, {"name": "=x"}, {"name": "a\nb"}, {"role": "root"}, {"email": "x"}, {"student_id": "9"},
     {"section": "s" * 41}, {"name": "n" * 121}],
)  # fmt: skip
def test_a_person_that_cannot_be_says_so_at_the_field(client, people, course, alice, bob, form):
    course.enrollments.filter(user=bob).update(student_id="9")
    pk = course.enrollments.get(user=alice).pk
    answer = client.post(f"{people}{pk}/", {"name": "Alice", "role": "student"} | form)
    assert answer.status_code == 422
    assert 'class="error"' in answer.content.decode()
    assert course.enrollments.get(pk=pk).name == "Alice"


def test_an_instructor_neither_demotes_nor_takes_out_themselves(client, people, course, ines):
    pk = course.enrollments.get(user=ines).pk
    assert client.post(f"{people}{pk}/", {"name": "Ines", "role": "student"}).status_code == 422
    client.post(f"{people}{pk}/remove/")
    assert course.enrollments.get(pk=pk).removed_at is None
    assert Event.objects.get(action="roster.remove").outcome == Outcome.REFUSED


def test_the_last_instructor_is_not_taken_out_by_site_staff_either(people, course, ines, prof):
    pk = course.enrollments.get(user=ines).pk
    browser(prof).post(f"{people}{pk}/remove/")
    assert browser(prof).post(f"{people}{pk}/", {"name": "Ines", "role": "student"}).status_code == 422
    found = course.enrollments.get(pk=pk)
    assert (found.removed_at, found.role) == (None, "instructor")


def test_taken_out_and_brought_back_with_seats_kept(client, people, course, open_lab, alice):
    pk = course.enrollments.get(user=alice).pk
    client.post(f"{people}{pk}/remove/")
    client.post(f"{people}{pk}/remove/")
    assert Event.objects.filter(action="roster.remove").count() == 1
    assert browser(alice).get(f"/courses/{course.pk}/").status_code == 404
    client.post(f"{people}{pk}/restore/")
    assert Enrollment.objects.get(pk=pk).seats.count() == 1
    assert browser(alice).get(f"/courses/{course.pk}/").status_code == 200


def test_a_person_of_another_course_is_not_to_be_found(client, people, alice):
    other = enroll(Course.objects.create(title="Elsewhere"), alice)
    assert client.get(f"{people}{other.pk}/").status_code == 404
    assert client.post(f"{people}{other.pk}/remove/").status_code == 404


def test_the_export_is_safe_for_spreadsheets_and_comes_back_as_a_roster(client, people, course, alice):
    Enrollment.objects.filter(user=alice).update(
        name="=cmd|' /C calc'!A0", section="-1", email="alice@example.org"
    )
    answer = client.get(f"{people}export/")
    body = answer.content.decode("utf-8-sig")
    assert body.startswith("name,e-mail,id,section,role,state\r\n")
    assert "'=cmd" in body
    assert "'-1" in body
    assert "attachment" in answer.headers["Content-Disposition"]
    client.post(f"{people}roster/", {"text": body})
    assert Event.objects.filter(action="roster.export").exists()
