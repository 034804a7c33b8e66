"""The seat's page: who may, coming, steps, waiting, failing, and what is saved."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from sandboxes.labs import closing, files, opening, progress, seats
from sandboxes.labs.models import Seat, SeatStatus
from sandboxes.models import Event, Sandbox, User
from tests.pages.conftest import HTMX, browser, text

from .conftest import PROF, enroll, rounds
from .seats import post, url

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stranger(db) -> User:
    return User.objects.create_user("mallory")


# -- who may ------------------------------------------------------------------------------------

POSTS = {
    "step": {"step": "1", "do": "done"}, "hand": {"text": "x"}, "typing": {"do": "end"}, "start_over": {},
    "retry": {},
}  # fmt: skip


@pytest.mark.parametrize("who", ["alice", "bob", "ines", "tina", "prof", "stranger", "nobody"])
def test_a_seat_is_its_students_alone(request, seat, alice, who):
    mine = seat(alice)
    user = None if who == "nobody" else request.getfixturevalue(who)
    expected = {"alice": 200, "nobody": 302}.get(who, 404)
    assert browser(user).get(url("detail", mine)).status_code == expected
    for name in ("seat", "header", "watch", "hand", "messages", "stage", "wait"):
        assert browser(user).get(url("part", mine, name)).status_code == expected, name


@pytest.mark.parametrize("name", POSTS)
@pytest.mark.parametrize("who", ["alice", "bob", "ines", "tina", "prof", "stranger", "nobody"])
def test_only_its_student_acts_on_it(request, seat, alice, who, name):
    mine = seat(alice)
    user = None if who == "nobody" else request.getfixturevalue(who)
    expected = {"alice": 303, "nobody": 302}.get(who, 404)
    assert post(user, name, mine, **POSTS[name]).status_code == expected
    assert browser(user).get(url(name, mine)).status_code in (302, 405)


@pytest.mark.parametrize("who", ["alice", "bob", "ines", "tina", "prof", "stranger", "nobody"])
def test_saved_work_is_for_its_student_and_for_staff(request, seat, alice, who):
    mine = saved(seat(alice))
    user = None if who == "nobody" else request.getfixturevalue(who)
    response = browser(user).get(url("work", mine))
    allowed = who in ("alice", "ines", "tina", "prof")
    assert response.status_code == (200 if allowed else 302 if who == "nobody" else 404)
    if allowed:
        assert b"".join(response.streaming_content) == b"packed"
        assert 'filename="Shell basics - Alice.tar.gz"' in response["Content-Disposition"]
        assert Event.objects.filter(action="seat.download", actor_name=user.username).exists()


def saved(seat: Seat) -> Seat:
    path = files.path_of(seat)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"packed")
    files.note(seat, "")
    return seat


def test_who_was_taken_off_the_course_has_no_seat_any_more(seat, alice):
    mine = seat(alice)
    mine.enrollment.removed_at = timezone.now()
    mine.enrollment.save()
    assert browser(alice).get(url("detail", mine)).status_code == 404


def test_every_change_needs_the_forms_own_token(seat, alice):
    client = browser(alice, enforce_csrf_checks=True)
    for name, data in POSTS.items():
        assert client.post(url(name, seat(alice)), data).status_code == 403, name


# -- coming -------------------------------------------------------------------------------------


def join(user, lab):
    return browser(user).post(reverse("seat_join", args=[lab.pk]))


def test_a_student_with_a_seat_is_led_to_it(open_lab, seat, alice):
    for method in ("get", "post"):
        response = getattr(browser(alice), method)(reverse("seat_join", args=[open_lab.pk]))
        assert (response.status_code, response["Location"]) == (303, url("detail", seat(alice)))


def test_who_comes_late_gets_a_seat_once_however_often_they_press(open_lab, course, stranger):
    enroll(course, stranger)
    assert "Take my seat" in text(browser(stranger).get(reverse("seat_join", args=[open_lab.pk])))
    assert not Seat.objects.filter(enrollment__user=stranger).exists()
    assert {join(stranger, open_lab).status_code for _ in range(3)} == {303}
    assert Seat.objects.filter(enrollment__user=stranger).count() == 1


def test_a_lab_that_takes_nobody_late_says_so_and_on_record(open_lab, course, stranger):
    enroll(course, stranger)
    open_lab.late = False
    open_lab.save()
    response = join(stranger, open_lab)
    assert (response.status_code, "takes nobody late" in text(response)) == (409, True)
    assert Event.objects.filter(action="seat.join", outcome="refused").count() == 1


def test_before_it_opens_a_student_waits_and_is_led_to_the_seat_then(lab, alice):
    client, address = browser(alice), reverse("seat_join", args=[lab.pk])
    assert "It has not begun yet" in text(client.get(address))
    opening.open_lab(lab, PROF)
    assert client.get(address, **HTMX)["HX-Redirect"].startswith("/seats/seat_")


@pytest.mark.parametrize("who", ["ines", "tina", "prof", "stranger"])
def test_only_students_of_the_course_come_to_a_lab(request, open_lab, who):
    user = request.getfixturevalue(who)
    assert browser(user).get(reverse("seat_join", args=[open_lab.pk])).status_code == 404
    assert join(user, open_lab).status_code == 404
    assert browser().get(reverse("seat_join", args=[open_lab.pk])).status_code == 302


def test_somebody_elses_try_is_hidden(version, engine, alice):
    trial = opening.make(
        version, "Try", closes_at=timezone.now() + timedelta(hours=1), by=PROF, is_trial=True
    )
    opening.open_lab(trial, PROF)
    assert join(alice, trial).status_code == 404


def test_that_a_student_came_is_put_down_once(seat, alice):
    for _ in range(10):  # ten tabs
        assert browser(alice).get(url("detail", seat(alice))).status_code == 200
    assert seat(alice).joined_at
    assert Event.objects.filter(action="seat.join").count() == 1


# -- the page -----------------------------------------------------------------------------------


def test_the_page_has_the_sheet_the_terminal_and_says_who_sees_it(seat, alice):
    mine = seat(alice)
    page = text(browser(alice).get(url("detail", mine)))
    for words in ("step 1 of 2", f'<sandbox-terminal sandbox="{mine.sandbox_id}"', "can see this terminal",
                  "only after your yes", "Raise hand", "Start over"):  # fmt: skip
        assert words in page, words


def test_a_waiting_student_sees_their_number_instead_of_an_error(lab, alice, bob):
    opening.open_lab(lab, PROF)
    mine = Seat.objects.get(enrollment__user=bob)
    Seat.objects.filter(enrollment__user=alice).update(queued_at=timezone.now() - timedelta(seconds=9))
    assert "You are number 2" in text(browser(bob).get(url("detail", mine)))
    seats.change(mine, SeatStatus.WAITING, SeatStatus.STARTING)
    assert "is being started" in text(browser(bob).get(url("part", mine, "wait")))


def test_a_failed_seat_says_why_and_is_tried_again(seat, alice):
    Seat.objects.filter(pk=seat(alice).pk).update(status="failed", reason="The image is missing.")
    assert "The image is missing." in text(browser(alice).get(url("detail", seat(alice))))
    post(alice, "retry", seat(alice))
    assert seat(alice).status == SeatStatus.WAITING
    rounds()
    assert seat(alice).status == SeatStatus.READY


def test_a_closed_seat_offers_the_saved_files_or_says_why_not(open_lab, seat, alice, bob):
    opening.close_lab(open_lab, PROF)
    while closing.go_on():
        pass
    saved(seat(alice))
    assert "Download your files" in text(browser(alice).get(url("detail", seat(alice))))
    files.note(seat(bob), "Its sandbox was not running any more.")
    page = text(browser(bob).get(url("detail", seat(bob))))
    assert "was not running any more" in page
    assert "Download" not in page
    assert "Raise hand" not in page


@pytest.mark.parametrize(("reason", "may"), [("it was full and wrote more: 4 GB", False), ("by alice", True)])
def test_a_stopped_one_offers_a_start_where_its_student_may(seat, alice, reason, may):
    mine = seat(alice)
    full = {"disk": 1 << 30, "disk_used": 4 << 30}
    Sandbox.objects.filter(pk=mine.sandbox_id).update(status="stopped", status_reason=reason, **full)
    stage = text(browser(alice).get(url("part", mine, "stage")))
    assert ("Start</button>" in stage) == may
    assert ("So you cannot start it again: raise your hand" in stage) != may


def test_the_key_changes_when_there_is_another_sandbox(seat, alice):
    before = text(browser(alice).get(url("part", seat(alice), "header")))
    response = post(alice, "start_over", seat(alice))
    rounds()
    assert response.status_code == 303
    after = text(browser(alice).get(url("part", seat(alice), "header")))
    assert before.split("data-key")[1][:60] != after.split("data-key")[1][:60]


def test_starting_over_is_asked_first_where_there_is_no_script(seat, alice):
    mine = seat(alice)
    response = browser(alice).post(url("start_over", mine) + "?confirm")
    assert "gone for good" in text(response)
    assert seat(alice).sandbox_id == mine.sandbox_id


def test_starting_over_twice_at_once_is_one_start(seat, alice):
    mine = seat(alice)
    assert seats.start_over(mine, PROF)
    assert "cannot start over just now" in text(browser(alice).post(url("start_over", mine), follow=True))
    assert seat(alice).generation == 2


# -- steps --------------------------------------------------------------------------------------


def test_a_tick_leads_to_the_next_step_and_is_on_record(seat, alice):
    before = seat(alice).step_since
    response = browser(alice).post(url("step", seat(alice)), {"step": "1", "do": "done"}, **HTMX)
    assert "1 of 2 done" in text(response)
    mine = seat(alice)
    assert (mine.steps, mine.step, mine.step_since > before) == ([1], 2, True)
    assert Event.objects.get(action="seat.step").detail["step"] == 1


def test_the_last_tick_leads_back_to_what_was_left_out(seat, alice):
    post(alice, "step", seat(alice), step="2", do="done")
    assert seat(alice).step == 1
    post(alice, "step", seat(alice), step="1", do="done")
    assert (seat(alice).steps, seat(alice).step) == ([1, 2], 1)


def test_a_tick_is_taken_back_and_a_step_turned_to(seat, alice):
    post(alice, "step", seat(alice), step="1", do="done")
    post(alice, "step", seat(alice), step="1", do="undone")
    assert (seat(alice).steps, seat(alice).step) == ([], 1)
    post(alice, "step", seat(alice), step="2", do="go")
    assert (seat(alice).steps, seat(alice).step) == ([], 2)


def test_two_tabs_that_tick_at_once_both_count(seat, alice):
    one, two = seat(alice), seat(alice)
    progress.mark(one, 1, True, PROF)
    progress.mark(two, 2, True, PROF)
    assert seat(alice).steps == [1, 2]


@pytest.mark.parametrize("number", ["0", "3", "-1", "x", "", "9" * 50, "²"])
def test_a_step_that_is_not_there_is_none(seat, alice, number):
    assert post(alice, "step", seat(alice), step=number, do="done").status_code == 404
