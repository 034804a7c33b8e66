"""A lab's page for its staff: the plan, opening, seats, more time, closing; and who may."""

from __future__ import annotations

import io
import tarfile
from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from sandboxes.engine.base import EngineError
from sandboxes.labs import files, opening
from sandboxes.labs.models import Course, Enrollment, Lab, LabTemplate, Seat, TemplateVersion
from sandboxes.models import Event, Outcome, User
from tests.pages.conftest import HTMX, browser, text

from .conftest import PROF, enroll, rounds

pytestmark = pytest.mark.django_db(transaction=True)

ACTS = ("open", "extend", "retry", "latecomers", "pull", "close", "discard")
MANAGED = ("open", "pull", "close", "discard")


@pytest.fixture
def page(ines, lab):
    return browser(ines), reverse("lab_detail", args=[lab.pk])


def act(lab, action):
    return reverse("lab_act", args=[lab.pk, action])


def test_a_lab_is_planned_and_its_page_tells_the_plan_before_anything_is_opened(ines, course, version):
    response = browser(ines).post(
        reverse("lab_new", args=[course.pk]), {"template": version.template_id, "minutes": 90}, follow=True
    )
    lab = Lab.objects.get()
    assert (lab.title, lab.status, lab.version) == ("Shell basics", "planned", version)
    assert timedelta(minutes=89) < lab.closes_at - timezone.now() < timedelta(minutes=91)
    assert "2 × 64 MB needs up to 128 MB" in text(response)
    assert "Open the lab" in text(response)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("template", "", "Choose a template."),
        ("template", "tpl_nothing", "Choose a published template."),
        ("late_minutes", "0", "At least one minute."),
        ("minutes", "0", "At least one minute."),
        ("minutes", "many", "A whole number"),
        ("minutes", "900", "hours at most"),
        ("ready_by", "yesterday", "Give a day and a time"),
        ("ready_by", "2001-01-01T10:00", "This time is over."),
    ],
)
def test_what_cannot_be_is_said_at_its_field_and_on_record(ines, course, version, field, value, says):
    wish = {"template": version.template_id, "minutes": "90", field: value}
    response = browser(ines).post(reverse("lab_new", args=[course.pk]), wish)
    assert response.status_code == 422
    assert says in text(response)
    assert not Lab.objects.exists()
    assert Event.objects.filter(action="lab.create", outcome=Outcome.REFUSED).exists()


def test_a_time_that_the_clock_change_skips_is_refused(ines, course, version, settings):
    settings.TIME_ZONE = "Europe/Berlin"
    with timezone.override("Europe/Berlin"):
        wish = {"template": version.template_id, "minutes": "90", "ready_by": "2027-03-28T02:30"}
        response = browser(ines).post(reverse("lab_new", args=[course.pk]), wish)
    assert response.status_code == 422
    assert "The clocks change then" in text(response)
    assert not Lab.objects.exists()


@pytest.mark.parametrize("year", ["0001", "9999"])
def test_a_time_at_the_end_of_all_times_is_refused(ines, course, version, year):
    wish = {"template": version.template_id, "minutes": "120", "ready_by": f"{year}-12-31T23:59"}
    assert browser(ines).post(reverse("lab_new", args=[course.pk]), wish).status_code == 422


@pytest.mark.parametrize("night", ["2027-03-28T01:30", "2027-10-31T01:30"])
def test_two_hours_are_two_hours_in_the_night_of_a_clock_change(ines, course, version, night):
    with timezone.override("Europe/Berlin"):
        wish = {"template": version.template_id, "minutes": "120", "ready_by": night}
        page = text(browser(ines).get(reverse("lab_new", args=[course.pk])))
        browser(ines).post(reverse("lab_new", args=[course.pk]), wish)
    lab = Lab.objects.get()
    assert lab.closes_at - lab.ready_by == timedelta(hours=2)
    assert "time in Europe/Berlin" in page


def test_a_time_is_that_of_the_clock_where_it_was_typed(ines, course, version):
    wish = {"template": version.template_id, "minutes": "60", "ready_by": "2040-07-01T02:30"}
    browser(ines).post(reverse("lab_new", args=[course.pk]), wish | {"zone": "Europe/Berlin"})
    assert Lab.objects.get().ready_by == datetime(2040, 7, 1, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["Nowhere/Town", "../../etc/passwd", "Europe", "a\0b", "x" * 64])
def test_a_zone_that_is_not_known_is_not_guessed(ines, course, version, zone):
    wish = {"template": version.template_id, "minutes": "60", "ready_by": "2040-07-01T02:30", "zone": zone}
    assert browser(ines).post(reverse("lab_new", args=[course.pk]), wish).status_code == 422
    assert not Lab.objects.exists()
    browser(ines).post(reverse("lab_new", args=[course.pk]), wish | {"ready_by": "", "zone": zone[:1]})
    assert Lab.objects.get().ready_by is None


def test_a_draft_cannot_be_chosen(ines, course, version):
    LabTemplate.objects.update(published=None)
    response = browser(ines).get(reverse("lab_new", args=[course.pk]))
    assert "No template is published yet." in text(response)


def test_opening_shows_the_seats_as_they_come(page, lab):
    client, address = page
    assert "Seats are being started." in text(client.post(act(lab, "open"), follow=True))
    assert "0 of 2 ready" in text(client.get(address))
    rounds()
    shown = text(client.get(address))
    assert "2 of 2 ready" in shown
    assert "Alice" in shown
    again = text(client.post(act(lab, "open"), follow=True))
    assert "is open already" in again


def test_only_the_failed_are_tried_again(page, lab, engine):
    client, address = page
    engine.fail["start"] = [EngineError("It could not be started.")]
    opening.open_lab(lab, PROF)
    rounds()
    assert "1 failed" in text(client.get(address))
    assert "1 tried again." in text(client.post(act(lab, "retry"), follow=True))
    rounds()
    assert "2 of 2 ready" in text(client.get(address))


def test_latecomers_get_a_seat_with_a_click(page, open_lab, course):
    client, address = page
    enroll(course, User.objects.create_user("late"))
    assert "Add 1 latecomer" in text(client.get(address))
    client.post(act(open_lab, "latecomers"))
    rounds()
    assert "3 of 3 ready" in text(client.get(address))


@pytest.mark.parametrize("minutes", ["0", "-5", "x", "100000"])
def test_time_that_cannot_be_given(page, open_lab, minutes):
    before = open_lab.closes_at
    assert "Give 1 to" in text(page[0].post(act(open_lab, "extend"), {"minutes": minutes}, follow=True))
    open_lab.refresh_from_db()
    assert open_lab.closes_at == before


def test_what_keeps_a_phones_lines_whole_is_in_the_pages(page, open_lab, course):
    """The styles of labs-people.css go by these: a name and its buttons in one line, a date at full width."""
    client, address = page
    assert '<ul class="places seats">' in client.get(address).content.decode()
    assert '<div class="columns wide">' in client.get(reverse("lab_new", args=[course.pk])).content.decode()


def test_closing_asks_first_and_htmx_gets_the_part(page, open_lab):
    client, address = page
    asked = client.post(act(open_lab, "close") + "?confirm=1")
    assert "This cannot be undone." in text(asked)
    open_lab.refresh_from_db()
    assert open_lab.is_open
    client.post(act(open_lab, "close"))
    rounds()
    part = client.get(address, **HTMX)
    assert "2 of 2 closed" in text(part)
    assert "<html" not in part.content.decode()


def test_a_planned_lab_is_discarded_after_a_question_and_students_see_it_no_more(page, lab, course, alice):
    client, address = page
    student, learns = browser(alice), reverse("course_detail", args=[course.pk])
    assert f"{act(lab, 'discard')}?confirm" in client.get(address).content.decode()
    assert "Shell basics" in text(student.get(learns))
    assert "does not take place" in text(client.post(act(lab, "discard") + "?confirm"))
    assert Lab.objects.get().status == "planned"
    assert "Shell basics is discarded." in text(client.post(act(lab, "discard"), follow=True))
    assert Event.objects.filter(action="lab.discard", actor_name="ines").count() == 1
    shown = text(client.get(address))
    assert "saved work is kept" not in shown
    assert "Open the lab" not in shown
    assert "discarded" in text(client.get(learns))
    assert "Shell basics" not in text(student.get(learns))
    waits = text(student.get(reverse("seat_join", args=[lab.pk])))
    assert "This lab does not take place" in waits


def test_an_open_lab_cannot_be_discarded(page, open_lab):
    client, address = page
    assert "Discard" not in text(client.get(address))
    assert "is open already" in text(client.post(act(open_lab, "discard"), follow=True))
    open_lab.refresh_from_db()
    assert open_lab.is_open


def test_a_lab_of_another_year_shows_its_year(page, lab):
    client, address = page
    year = timezone.localtime().year
    Lab.objects.update(ready_by=timezone.now().replace(year=year + 73, month=1, day=4))
    assert f"4 Jan {year + 73}, " in text(client.get(address))
    Lab.objects.update(ready_by=timezone.now().replace(month=1, day=4))
    assert "4 Jan, " in text(client.get(address))


def test_overview_and_stories_are_there_from_open_onwards(page, lab, alice):
    client, address = page
    overview = reverse("lab_overview", args=[lab.pk])
    assert overview not in client.get(address).content.decode()
    opening.open_lab(lab, PROF)
    rounds()
    opening.close_lab(lab, PROF)
    rounds()
    shown = client.get(address).content.decode()
    assert "2 of 2 closed" in shown
    assert overview in shown
    for seat in lab.seats.all():
        assert f'<a class="name" href="{reverse("seat_story", args=[seat.pk])}"><b>' in shown


def test_the_plan_tells_how_far_a_pull_is_and_why_the_last_came_to_nothing(page, lab, image, engine):
    client, address = page
    seen = {"done": 30 << 20, "wanted": 60 << 20, "layers": {}}
    type(image).objects.update(size=None, pull_since=timezone.now(), pull_by="somebody", pull_progress=seen)
    shown = text(client.get(address))
    assert "is being pulled." in shown
    assert "30 MB" in shown
    assert "Pull now" not in shown
    assert "every 2s" in shown
    type(image).objects.update(
        pull_since=None, pull_by="", pull_progress={}, pull_error="No such image there."
    )
    shown = text(client.get(address))
    assert "The last pull came to nothing: No such image there." in shown
    assert "Try again" in shown


def test_all_saved_work_is_one_archive_and_on_record(page, open_lab, seat, alice, bob, engine):
    client, address = page
    work = reverse("lab_work", args=[open_lab.pk])
    assert client.get(work).status_code == 404
    Enrollment.objects.filter(user=alice).update(name="Ali/ce\n../x")
    for user, data in ((alice, b"a" * 700), (bob, b"b" * 512)):
        path = files.path_of(seat(user))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        Seat.objects.filter(pk=seat(user).pk).update(saved_name=path.name, saved_at=timezone.now())
    Lab.objects.update(status="closed", closed_at=timezone.now())
    assert f'href="{work}"' in client.get(address).content.decode()
    answer = client.get(work)
    with tarfile.open(fileobj=io.BytesIO(b"".join(answer.streaming_content))) as archive:
        held = {one.name: archive.extractfile(one).read() for one in archive.getmembers()}
    folder, ali, bobs = open_lab.pk, f"Ali-ce-..-x ({seat(alice).pk})", f"Bob ({seat(bob).pk})"
    assert held == {f"{folder}/{ali}.tar.gz": b"a" * 700, f"{folder}/{bobs}.tar.gz": b"b" * 512}
    assert Event.objects.get(action="lab.download").detail["seats"] == 2


def test_one_student_gets_more_time(page, open_lab, seat, alice):
    page[0].post(reverse("seat_extend", args=[seat(alice).pk]))
    assert seat(alice).extra == 900


def test_one_student_gets_no_more_time_once_it_is_over(page, open_lab, seat, alice):
    opening.close_lab(open_lab, PROF)
    told = page[0].post(reverse("seat_extend", args=[seat(alice).pk]), follow=True)
    assert "Alice’s seat is closed, or is being saved." in text(told)
    assert seat(alice).extra == 0


def test_what_is_not_theirs_is_on_record_by_its_own_word(lab, course, bob):
    for name, what in (("lab_detail", lab), ("template_list", course)):
        browser(bob).get(reverse(name, args=[what.pk]))
    course_event, lab_event = Event.objects.filter(outcome=Outcome.REFUSED)
    assert (lab_event.action, course_event.action) == ("lab.view", "course.view")
    assert lab_event.reason == "There is no such lab, or it is not theirs."


def test_the_page_takes_few_queries_however_many_seats(page, open_lab, course, django_assert_max_num_queries):
    for number in range(40):
        enroll(course, User.objects.create_user(f"s{number}"))
    from sandboxes.labs import seats

    seats.queue_all(open_lab)
    with django_assert_max_num_queries(12):
        page[0].get(page[1])


def test_a_running_lab_keeps_the_version_it_started_with(page, open_lab, version):
    newer = TemplateVersion.objects.create(template=version.template, number=2, image=version.image)
    version.template.published = newer
    version.template.removed_at = timezone.now()
    version.template.save()
    assert "version 1" in text(page[0].get(page[1]))


WHO = {"ines": (200, 303, 303), "prof": (200, 303, 303), "tina": (200, 404, 303), "alice": (404, 404, 404),
       "bob": (404, 404, 404), "other": (404, 404, 404), "anonymous": (302, 302, 302)}  # fmt: skip


@pytest.mark.parametrize("who", WHO)
def test_who_may(who, lab, request):
    if who == "other":
        user = User.objects.create_user("other")
        enroll(Course.objects.create(title="Elsewhere"), user, "instructor")
    else:
        user = None if who == "anonymous" else request.getfixturevalue(who)
    client = browser(user)
    look, manage, do = WHO[who]
    assert client.get(reverse("lab_detail", args=[lab.pk])).status_code == look
    for action in ACTS:
        assert client.post(act(lab, action)).status_code == (manage if action in MANAGED else do), action
        assert client.get(act(lab, action)).status_code == 405


def test_an_act_that_does_not_exist(page, lab):
    assert page[0].post(act(lab, "explode")).status_code == 404
