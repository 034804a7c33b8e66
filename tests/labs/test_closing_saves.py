"""Closing loses nobody's work: not the paused, not those without extra time, not while the engine is away."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from sandboxes.engine.base import EngineError, Unreachable
from sandboxes.labs import closing, files, opening, provision, seats
from sandboxes.labs.models import Course, Lab, LabStatus, LabTemplate, Seat, SeatStatus, TemplateVersion
from sandboxes.lifecycle import actions, cleanup, invariants, work
from sandboxes.models import Event, Lease, Sandbox, Status, User
from tests.fakes.processes import Script, wait_until
from tests.pages.conftest import browser, text

from .conftest import PROF, enroll, rounds

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def saved(monkeypatch):
    """Seats whose workspace was read, each with its sandbox's status at that moment."""
    found = {}

    def save(seat, sandbox):
        found[seat.enrollment.name] = str(sandbox.status)
        return ""

    monkeypatch.setattr(files, "_save", save)
    monkeypatch.setattr(files, "note", lambda seat, reason: Seat.objects.filter(pk=seat.pk).update(
        saved_reason=reason, saved_at=timezone.now()))  # fmt: skip
    return found


@pytest.mark.parametrize("action", ["pause", "stop"])
def test_who_stands_still_is_woken_and_saved(open_lab, seat, alice, saved, action):
    actions.act(seat(alice).sandbox, action, PROF, wait=None)
    opening.close_lab(open_lab, PROF)
    rounds()
    assert saved == {"Alice": "running", "Bob": "running"}
    assert seat(alice).sandbox.status == Status.REMOVED


def test_extra_time_of_one_does_not_let_the_others_work_expire(open_lab, seat, alice, bob, saved):
    opening.extend_seat(seat(alice), PROF, 3600)
    Lab.objects.update(closes_at=timezone.now() - timedelta(seconds=1))
    closing.close_due()
    assert saved == {"Bob": "running"}
    assert (seat(bob).status, seat(alice).status) == ("closed", "ready")
    open_lab.refresh_from_db()
    assert open_lab.is_open


def test_nothing_is_concluded_from_an_engine_that_is_away(open_lab, seat, alice, engine, saved, monkeypatch):
    opening.close_lab(open_lab, PROF)
    with monkeypatch.context() as away:
        away.setattr(files, "_save", lambda *_: (_ for _ in ()).throw(Unreachable("away")))
        assert not closing.go_on()
    assert (seat(alice).status, seat(alice).saved_reason, seat(alice).sandbox.status) == (
        "saving", "", "running")  # fmt: skip
    rounds()
    assert saved == {"Alice": "running", "Bob": "running"}


def test_what_was_removed_before_is_said_not_to_be_nothing(open_lab, seat, alice):
    actions.remove(seat(alice).sandbox, by=PROF, wait=None)
    opening.close_lab(open_lab, PROF)
    rounds()
    assert seat(alice).saved_reason == "Its sandbox had been removed before."


def test_who_stops_the_reader_holds_nobody_up_for_long(open_lab, seat, alice, monkeypatch):
    closed = threading.Event()

    class Stuck:
        def __iter__(self):
            closed.wait(10)
            return iter(())

        def exit_code(self):
            return None

        def close(self):
            closed.set()

    class Engine:
        def exec(self, *_, **__):
            return Stuck()

    monkeypatch.setattr(files, "get_engine", Engine)
    monkeypatch.setattr(files, "LONGEST", 0.05)
    mine = seat(alice)
    assert files.save_workspace(mine, mine.sandbox)
    assert mine.saved_reason == files.SLOW


def test_a_save_under_way_is_no_breach(open_lab, seat, alice, engine):
    """It belongs to no shell and no command, and to no record: it is our own."""
    mine = seat(alice)
    engine.scripts["tar",] = Script((("stdout", b"x"),), hold=None)
    Sandbox.objects.update(changed_at=timezone.now() - timedelta(minutes=1))
    found = invariants.look()

    def save() -> None:
        files.save_workspace(mine, mine.sandbox)
        connection.close()

    saving = threading.Thread(target=save)
    saving.start()
    processes = engine.containers[mine.sandbox.native_id].processes
    try:
        assert wait_until(lambda: any(one.running for one in processes))
        assert invariants.look() == found == []
    finally:
        for one in processes:
            one.finish(0)
        saving.join(10)


def test_work_that_could_not_be_saved_is_kept_in_its_sandbox(open_lab, seat, alice, bob, monkeypatch):
    monkeypatch.setattr(files, "_save", lambda seat, _: files.FULL if seat.enrollment.name == "Alice" else "")
    monkeypatch.setattr(files, "note", lambda seat, reason: setattr(seat, "saved_reason", reason))
    opening.close_lab(open_lab, PROF)
    rounds()
    Seat.objects.filter(pk=seat(alice).pk).update(saved_reason=files.FULL)
    mine = seat(alice)
    assert (mine.status, mine.sandbox.status) == ("closed", Status.STOPPED)
    assert mine.sandbox.expires_at > timezone.now() + timedelta(hours=23)
    assert seat(bob).sandbox.status == Status.REMOVED
    page = browser(alice).get(reverse("seat_detail", args=[mine.pk])).content.decode()
    assert "with everything in it" in page
    assert reverse("sandbox_detail", args=[mine.sandbox_id]) in page


# -- the engine was away ------------------------------------------------------------------------


def test_the_clock_does_not_beat_the_saving_after_a_long_outage(open_lab, seat, alice, saved):
    long_ago = timezone.now() - timedelta(hours=1)
    Lab.objects.update(closes_at=long_ago)
    Sandbox.objects.update(expires_at=long_ago + timedelta(minutes=15))
    cleanup.run_round()
    assert seat(alice).sandbox.status == Status.RUNNING
    rounds()
    assert saved == {"Alice": "running", "Bob": "running"}
    assert seat(alice).sandbox.status == Status.REMOVED


def test_what_nobody_comes_to_save_is_removed_a_day_later(open_lab, seat, alice):
    Sandbox.objects.update(expires_at=timezone.now() - timedelta(hours=25))
    cleanup.run_round()
    assert seat(alice).sandbox.status == Status.REMOVED


# -- once more ----------------------------------------------------------------------------------


@pytest.fixture
def unsaved(open_lab, seat, alice, monkeypatch):
    """Alice's seat, closed; its work could not be saved and is kept in its sandbox."""
    with monkeypatch.context() as failing:
        failing.setattr(files, "_save", lambda *_: files.SLOW)
        opening.close_lab(open_lab, PROF)
        rounds()
    return seat(alice)


def again(user: User, seat: Seat) -> str:
    return text(browser(user).post(reverse("seat_save", args=[seat.pk]), follow=True))


def test_staff_have_it_saved_again(unsaved, open_lab, seat, alice, ines, saved):
    page = browser(ines).get(reverse("lab_detail", args=[open_lab.pk])).content.decode()
    assert reverse("seat_save", args=[unsaved.pk]) in page
    assert "saved once more" in again(ines, unsaved)
    rounds()
    assert saved == {"Alice": "running"}
    assert (seat(alice).status, seat(alice).sandbox.status) == ("closed", Status.REMOVED)
    assert Event.objects.get(action="seat.save_again").actor_name == "ines"


def test_where_it_fails_again_it_is_kept_as_before(unsaved, seat, alice, ines, monkeypatch):
    monkeypatch.setattr(files, "_save", lambda *_: files.SLOW)
    again(ines, unsaved)
    rounds()
    assert (seat(alice).saved_reason, seat(alice).sandbox.status) == (files.SLOW, Status.STOPPED)


def test_what_is_saved_is_not_saved_again(open_lab, seat, alice, ines, saved):
    opening.close_lab(open_lab, PROF)
    rounds()
    assert "nothing that could be saved" in again(ines, seat(alice))
    assert browser(alice).post(reverse("seat_save", args=[seat(alice).pk])).status_code == 404


# -- beside a class that begins -------------------------------------------------------------------


@pytest.fixture
def stuck(monkeypatch):
    """Saving does not come to an end until it is let go; who was saved, in order."""
    let_go, begun = threading.Event(), []

    def save(seat, sandbox):
        begun.append(seat.enrollment.name)
        let_go.wait(60)
        files.path_of(seat).parent.mkdir(parents=True, exist_ok=True)
        files.path_of(seat).write_bytes(b"packed")
        return ""

    monkeypatch.setattr(files, "_save", save)
    yield SimpleNamespace(let_go=let_go, begun=begun)
    let_go.set()


@pytest.fixture
def looped(stuck):
    """The loop itself, in a thread of its own, as long as the test lasts or until this is called."""
    stop = threading.Event()

    def run():
        try:
            provision.loop(stop)
        finally:
            connection.close()

    def end():
        stop.set()
        thread.join(60)
        assert not thread.is_alive()

    thread = threading.Thread(target=run)
    thread.start()
    yield end
    stuck.let_go.set()
    end()


def class_of(version, count):
    """Another course with an open lab of the same template's kind, and so many students."""
    course = Course.objects.create(title="Another course")
    template = LabTemplate.objects.create(course=course, title="Another lab")
    other = TemplateVersion.objects.create(
        template=template, number=1, image=version.image, memory=64 << 20, sheet="# A"
    )
    for number in range(count):
        enroll(course, User.objects.create_user(f"other-{number}"))
    lab = opening.make(other, "Another lab", closes_at=timezone.now() + timedelta(hours=1), by=PROF)
    opening.open_lab(lab, PROF)
    return lab


def full(course, count):
    for number in range(count):
        enroll(course, User.objects.create_user(f"student-{number}"))


def test_a_class_that_ends_holds_up_none_that_begins(pool, course, lab, stuck, looped):
    """Ten workspaces that take for ever to save, beside a lab of twelve that opens."""
    full(course, 8)
    opening.open_lab(lab, PROF)
    assert wait_until(lambda: lab.seats.filter(status="ready").count() == 10)
    opening.close_lab(lab, PROF)
    assert wait_until(lambda: len(stuck.begun) == closing.WAVE)
    other = class_of(lab.version, 12)
    assert wait_until(lambda: other.seats.filter(status="ready").count() == 12)
    assert len(stuck.begun) == closing.WAVE, "no more than so many at a time"
    assert not Sandbox.objects.filter(seats__lab=lab, status=Status.REMOVED).exists()
    stuck.let_go.set()
    assert wait_until(lambda: Lab.objects.get(pk=lab.pk).status == LabStatus.CLOSED, 60)
    assert sorted(stuck.begun) == sorted(seat.enrollment.name for seat in lab.seats.all()), "each once"
    assert set(lab.seats.values_list("status", "sandbox__status", "saved_bytes")) == {
        ("closed", "removed", 6)
    }
    assert Event.objects.filter(action="seat.save").count() == 10
    assert Event.objects.filter(action="sandbox.remove", outcome="ok").count() == 10


def test_the_role_is_not_given_back_while_a_seat_is_in_hand(pool, lab, stuck, looped):
    """Another process would save the same seat a second time."""
    opening.open_lab(lab, PROF)
    assert wait_until(lambda: lab.seats.filter(status="ready").count() == 2)
    opening.close_lab(lab, PROF)
    assert wait_until(lambda: len(stuck.begun) == 2)
    looped()
    assert Lease.objects.get(name=provision.ROLE).until > timezone.now() + timedelta(seconds=60)
    stuck.let_go.set()
    assert wait_until(lambda: not closing.is_busy())
    assert len(stuck.begun) == 2


def test_a_worker_that_dies_while_it_saves_is_taken_over(open_lab, seat, alice, bob, saved, monkeypatch):
    """Marked, and then nothing: the rows say who is still to be saved, and nobody is saved twice."""
    opening.close_lab(open_lab, PROF)
    with monkeypatch.context() as dying:
        dying.setattr(work, "submit", lambda *_, **__: Future())
        closing.go_on()
    seats.change(seat(bob), SeatStatus.READY, SeatStatus.SAVING)
    closing._in_hand.forget()  # another process
    rounds()
    assert saved == {"Alice": "running", "Bob": "running"}
    assert seat(alice).sandbox.status == seat(bob).sandbox.status == Status.REMOVED
    open_lab.refresh_from_db()
    assert open_lab.status == LabStatus.CLOSED


def test_what_breaks_in_one_seat_is_tried_again_and_the_others_go_on(
    pool, open_lab, seat, alice, bob, saved, monkeypatch
):
    close, broken = closing.close_seat, []

    def closes(one):
        if one.enrollment.name == "Alice" and not broken:
            broken.append(one)
            raise RuntimeError("broken")
        return close(one)

    monkeypatch.setattr(closing, "close_seat", closes)
    opening.close_lab(open_lab, PROF)
    assert wait_until(lambda: provision.run_round() is False and seat(alice).status == "closed")
    assert saved == {"Alice": "running", "Bob": "running"}


def test_a_seat_that_never_ran_had_nothing_to_save(lab, engine, ines, alice, bob):
    engine.fail["start"] = [EngineError("It could not be started.")] * 9
    opening.open_lab(lab, PROF)
    rounds()
    assert set(lab.seats.values_list("status", flat=True)) == {"failed"}
    opening.close_lab(lab, PROF)
    rounds()
    for user in (alice, bob):
        place = Seat.objects.get(lab=lab, enrollment__user=user)
        assert place.saved_reason == Seat.NEVER
        page = text(browser(user).get(reverse("seat_detail", args=[place.pk])))
        assert "Your terminal never started, so there was nothing to save." in page
        assert "Your files are not here" not in page
    page = text(browser(ines).get(reverse("lab_detail", args=[lab.pk])))
    assert "It never started; there was nothing to save." in page
    assert "Not saved" not in page
    assert "saved work is kept" not in page
