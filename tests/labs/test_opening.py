"""A lab from planned to closed, on the engine in memory."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from sandboxes.engine.base import EngineError
from sandboxes.labs import closing, files, opening, provision, seats, wave
from sandboxes.labs.models import Lab, LabStatus, Message, Seat, SeatStatus
from sandboxes.lifecycle import audit
from sandboxes.lifecycle.refusals import Refused
from sandboxes.models import Event, Sandbox, Status, User

from .conftest import PROF, class_of, enroll, rounds, statuses

pytestmark = pytest.mark.django_db(transaction=True)


def test_opening_gives_every_student_a_running_sandbox_and_nobody_else(lab, alice, bob):
    assert opening.open_lab(lab, PROF)
    rounds()
    assert statuses(lab) == {"ready": 2}
    assert set(Sandbox.objects.values_list("owner__username", "status", "memory")) == {
        ("alice", "running", 64 << 20),
        ("bob", "running", 64 << 20),
    }


def test_opening_twice_is_once(lab):
    assert opening.open_lab(lab, PROF)
    assert not opening.open_lab(lab, PROF)
    rounds()
    assert Sandbox.objects.count() == lab.seats.count() == 2
    assert Event.objects.filter(action="lab.open").count() == 1


def test_a_launch_is_on_record_in_its_course_from_the_first_line(lab, course):
    opening.open_lab(lab, PROF)
    rounds()
    lines = Event.objects.filter(action="sandbox.launch")
    where = set(lines.values_list("outcome", "place_id", "place_name", "place_role"))
    assert where == {(outcome, course.pk, course.title, "") for outcome in ("requested", "ok")}


def test_a_worker_that_dies_after_any_step_is_taken_over(lab, monkeypatch):
    """Marked as starting, and then nothing: the next round launches it, once."""
    opening.open_lab(lab, PROF)
    monkeypatch.setattr(seats, "start", lambda seat, after: None)
    wave.go_on(wave.Turn())
    assert statuses(lab) == {"starting": 2}
    monkeypatch.undo()
    rounds()
    assert statuses(lab) == {"ready": 2}
    assert Sandbox.objects.count() == 2


def test_a_worker_that_dies_between_launch_and_note_makes_no_second_sandbox(lab, alice):
    opening.open_lab(lab, PROF)
    wave.go_on(wave.Turn())
    lab.seats.update(sandbox=None)
    rounds()
    assert statuses(lab) == {"ready": 2}
    assert Sandbox.objects.count() == 2


def test_what_fails_says_why_and_only_that_is_tried_again(lab, engine):
    engine.fail["start"] = [EngineError("It could not be started.")]
    opening.open_lab(lab, PROF)
    rounds()
    assert statuses(lab) == {"ready": 1, "failed": 1}
    failed = lab.seats.get(status="failed")
    assert failed.reason
    assert seats.retry(failed, PROF)
    assert not seats.retry(lab.seats.get(status="ready"), PROF)
    rounds()
    assert statuses(lab) == {"ready": 2}


def test_who_comes_late_gets_a_seat_where_the_lab_allows_it(open_lab, course):
    late = enroll(course, User.objects.create_user("late"))
    assert seats.take(open_lab, late, PROF).status == SeatStatus.WAITING
    rounds()
    assert seats.take(open_lab, late, PROF).status == SeatStatus.READY
    Lab.objects.update(late=False)
    open_lab.refresh_from_db()
    with pytest.raises(Refused, match="began without you"):
        seats.take(open_lab, enroll(course, User.objects.create_user("later")), PROF)


def test_a_lab_that_is_not_open_takes_nobody(lab, course, alice):
    with pytest.raises(Refused, match="not open"):
        seats.take(lab, course.enrollments.get(user=alice), PROF)


def test_place_in_the_queue(lab, course):
    class_of(course, 3)
    opening.open_lab(lab, PROF)
    assert sorted(seat.place for seat in lab.seats.all()) == [1, 2, 3, 4, 5]


def test_ready_by_opens_it_in_time(version, engine):
    soon = timezone.now() + timedelta(minutes=2)
    lab = opening.make(version, "Later", ready_by=soon, closes_at=soon + timedelta(hours=1), by=PROF)
    far = timezone.now() + timedelta(minutes=30)
    later = opening.make(version, "Far", ready_by=far, closes_at=far + timedelta(hours=1), by=PROF)
    rounds()
    lab.refresh_from_db()
    later.refresh_from_db()
    assert (lab.status, later.status) == (LabStatus.OPEN, LabStatus.PLANNED)
    assert statuses(lab) == {"ready": 2}


def test_a_lab_that_was_prepared_last_night_lasts_as_long_as_it_says(lab):
    ago = timedelta(hours=10)
    Lab.objects.update(created_at=lab.created_at - ago, closes_at=lab.closes_at - ago)
    opening.open_lab(Lab.objects.get(), PROF)
    rounds()
    assert statuses(lab) == {"ready": 2}
    left = Lab.objects.get().closes_at - timezone.now()
    assert timedelta(minutes=59) < left <= timedelta(hours=1)


def test_a_lab_whose_time_went_by_while_the_site_was_down_is_not_opened_to_nobody(version, engine):
    soon = timezone.now() + timedelta(minutes=1)
    opening.make(version, "Missed", ready_by=soon, closes_at=soon + timedelta(hours=1), by=PROF)
    ago = timedelta(hours=9)
    Lab.objects.update(ready_by=soon - ago, closes_at=soon + timedelta(hours=1) - ago)
    rounds()
    assert Lab.objects.get().status == LabStatus.PLANNED
    opening.open_lab(Lab.objects.get(), PROF)
    left = Lab.objects.get().closes_at - timezone.now()
    assert timedelta(minutes=59) < left <= timedelta(hours=1)


def test_a_course_that_was_put_away_opens_nothing_by_itself(version, course, engine):
    lab = opening.make(version, "Later", closes_at=timezone.now() + timedelta(hours=1), by=PROF,
                       ready_by=timezone.now() + timedelta(seconds=30))  # fmt: skip
    course.archived_at = timezone.now()
    course.save()
    rounds()
    lab.refresh_from_db()
    assert lab.status == LabStatus.PLANNED


def test_the_longest_lab_there_may_be_opens_early_all_the_same(version, engine, settings):
    ready = timezone.now() + timedelta(seconds=100)
    longest = timedelta(seconds=settings.SANDBOX_MAX_LIFETIME) - seats.GRACE
    lab = opening.make(version, "Longest", ready_by=ready, closes_at=ready + longest, by=PROF)
    rounds()
    assert statuses(lab) == {"ready": 2}


@pytest.fixture
def no_work(monkeypatch):
    """Nobody has made anything; the engine in memory has no tar to say so."""
    monkeypatch.setattr(files, "_save", lambda *_: "")
    monkeypatch.setattr(files, "note", lambda *_: None)


@pytest.mark.usefixtures("no_work")
def test_closing_removes_every_sandbox_and_keeps_every_record(open_lab):
    assert opening.close_lab(open_lab, PROF)
    assert not opening.close_lab(open_lab, PROF)
    rounds()
    open_lab.refresh_from_db()
    assert open_lab.status == LabStatus.CLOSED
    assert statuses(open_lab) == {"closed": 2}
    assert set(Sandbox.objects.values_list("status", flat=True)) == {Status.REMOVED}


@pytest.mark.usefixtures("no_work")
def test_closing_while_opening_leaves_nothing_behind(lab, course, settings):
    settings.SANDBOX_WAVE = 2
    class_of(course, 6)
    opening.open_lab(lab, PROF)
    provision.run_round()
    opening.close_lab(lab, PROF)
    rounds()
    assert statuses(lab) == {"closed": 8}
    assert not Sandbox.objects.exclude(status=Status.REMOVED).exists()


def test_it_closes_by_itself_after_its_time_and_warns_before(open_lab):
    Lab.objects.update(closes_at=timezone.now() + timedelta(minutes=4))
    closing.warn()
    closing.warn()
    assert "closes in 4 min" in Message.objects.get().text
    Lab.objects.update(closes_at=timezone.now())
    rounds()
    open_lab.refresh_from_db()
    assert open_lab.status == LabStatus.CLOSED


def test_extra_time_of_one_keeps_it_open_for_them(open_lab, seat, alice):
    opening.extend_seat(seat(alice), PROF, 600)
    Lab.objects.update(closes_at=timezone.now())
    closing.close_due()
    open_lab.refresh_from_db()
    assert open_lab.status == LabStatus.OPEN


def test_more_time_for_all_moves_every_sandbox_end(open_lab):
    before = dict(Sandbox.objects.values_list("pk", "expires_at"))
    assert opening.extend_lab(open_lab, PROF, 900)
    for pk, expires in Sandbox.objects.values_list("pk", "expires_at"):
        assert expires - before[pk] == timedelta(seconds=900)


def test_starting_over_is_a_new_sandbox_and_the_old_one_goes(seat, alice):
    mine = seat(alice)
    old = mine.sandbox
    assert seats.start_over(mine, audit.Origin.of(alice))
    rounds()
    again = seat(alice)
    old.refresh_from_db()
    assert (again.status, old.status) == ("ready", "removed")
    assert again.sandbox_id != old.pk


@pytest.mark.parametrize(
    ("begin", "end", "says"), [(0, -1, "end after"), (60, 30, "end after"), (0, 60 * 24, "hours at most")]
)
def test_times_that_cannot_be(version, begin, end, says):
    now = timezone.now()
    with pytest.raises(Refused, match=says):
        opening.make(version, "No", ready_by=now + timedelta(minutes=begin),
                     closes_at=now + timedelta(minutes=end), by=PROF)  # fmt: skip
    assert not Lab.objects.exists()


def test_the_plan_says_when_the_host_is_too_small(lab, course, version):
    assert opening.plan(lab).is_enough
    type(version).objects.update(memory=4 << 30)
    lab.refresh_from_db()
    plan = opening.plan(Lab.objects.get())
    assert not plan.is_enough
    assert plan.fits == 1
    assert "2 × 4 GB needs up to 8 GB; of this host’s 8 GB, 5.6 GB (70 %) is for sandboxes" in plan.sentence


def test_the_plans_sum_adds_up_with_a_budget_and_without(lab, settings):
    """What is for sandboxes, less what is promised, by what each gets, is the room that it tells."""
    settings.SANDBOX_MEMORY_SHARE = 50
    plan = opening.plan(lab)
    assert "of this host’s 8 GB, 4 GB (50 %) is for sandboxes, and 0 B of that is promised" in plan.sentence
    assert plan.sentence.endswith(f"room for {(4 << 30) // plan.each}.")
    settings.SANDBOX_MEMORY_BUDGET = 1 << 30
    assert "of this host’s 8 GB, 1 GB is for sandboxes" in plan.sentence
    assert plan.fits == (1 << 30) // plan.each


def test_the_plan_of_an_engine_that_is_away_says_so(lab, engine):
    from sandboxes.engine.base import Unreachable

    engine.away = Unreachable("away")
    assert "not known" in opening.plan(lab).sentence


def test_the_trail_tells_of_course_lab_and_seat(open_lab, course, alice):
    opened = Event.objects.get(action="lab.open")
    assert opened.detail["course"] == course.pk
    assert opened.detail["lab"] == open_lab.pk
    ready = Event.objects.filter(action="seat.ready", sandbox_id=Seat.objects.get(
        enrollment__user=alice).sandbox_id).get()  # fmt: skip
    assert ready.detail["student"] == "Alice"


@pytest.mark.parametrize("title", ["\U0001f469\u200d\U0001f4bb Shell", "She\u00adll", "A\tb", "\u200b"])
def test_a_title_that_holds_what_cannot_be_seen_starts_all_the_same(lab, title):
    """As it is pasted from a document, or drawn of several signs: no name of a sandbox may hold it."""
    Lab.objects.update(title=title)
    opening.open_lab(Lab.objects.get(), PROF)
    rounds()
    assert statuses(lab) == {"ready": 2}
