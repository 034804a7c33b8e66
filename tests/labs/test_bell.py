"""The bell of the queue: what is left for the worker it sees at once, though nothing else woke it."""

from __future__ import annotations

import threading

import pytest
from django.db import transaction

from sandboxes.labs import bell, broadcast, opening, provision, seats
from sandboxes.labs.models import Enrollment, Seat, SeatStatus
from sandboxes.lifecycle import work
from sandboxes.models import User
from tests.fakes.apart import apart
from tests.fakes.processes import wait_until

from .conftest import PROF, enroll, rounds, statuses

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quiet():
    """Nobody has rung."""
    bell.rung.clear()


@pytest.fixture
def heard():
    listening = bell.listen()
    yield listening
    bell.mute(listening)


def test_it_is_heard_once_the_transaction_is_through(heard):
    with transaction.atomic():
        work.over.clear()
        bell.ring()
        assert not bell.rung.wait(0.2)
    assert bell.rung.wait(20)
    assert work.over.wait(20)


def test_what_is_taken_back_rings_nobody(heard):
    with transaction.atomic():
        bell.ring()
        transaction.set_rollback(True)
    assert not bell.rung.wait(0.2)


def test_nobody_listens():
    bell.ring()
    bell.mute(bell.listen())
    bell.ring()
    assert not bell.rung.is_set()


def test_who_has_the_role_now_is_heard_and_who_had_it_takes_nothing_away(heard):
    after = bell.listen()
    try:
        bell.mute(heard)
        bell.ring()
        assert bell.rung.wait(20)
    finally:
        bell.mute(after)


def test_muted_it_lets_go_of_its_thread_and_its_socket():
    before = threading.active_count()
    listening = bell.listen()
    assert threading.active_count() == before + 1
    bell.mute(listening)
    assert wait_until(lambda: threading.active_count() == before and listening.fileno() == -1)


def test_where_there_can_be_none_the_queue_is_looked_at_now_and_then(settings, lab):
    settings.DATA_DIR = settings.DATA_DIR / ("x" * 120)
    settings.DATA_DIR.mkdir()
    assert bell.listen() is None
    opening.open_lab(lab, PROF)
    rounds()
    assert statuses(lab) == {"ready": 2}


@pytest.fixture
def worker(monkeypatch):
    """The loop, which by itself looks once a minute; rings are all that wakes it."""
    monkeypatch.setattr(provision, "CALM", 60)
    monkeypatch.setattr(provision, "BUSY", 60)
    stop = threading.Event()
    loop = apart(provision.loop, stop)
    assert wait_until(bell.path().exists)
    yield
    stop.set()
    assert wait_until(lambda: work.over.set() or not loop.is_alive())


def test_the_worker_sees_a_lab_that_opens(pool, lab, worker):
    opening.open_lab(lab, PROF)
    assert wait_until(lambda: statuses(lab) == {"ready": 2})


def late(lab):
    person = enroll(lab.course, User.objects.create_user("late"))
    seats.take(lab, Enrollment.objects.get(pk=person.pk), PROF)


def latecomers(lab):
    enroll(lab.course, User.objects.create_user("late"))
    seats.add_latecomers(lab, PROF)


def start_over(lab):
    seats.start_over(Seat.objects.filter(lab=lab).first(), PROF)


def retry(lab):
    failed = Seat.objects.filter(lab=lab).first()
    Seat.objects.filter(pk=failed.pk).update(status=SeatStatus.FAILED)
    failed.refresh_from_db()
    assert seats.retry(failed, PROF)


def run(lab):
    broadcast.command(lab, "true", PROF, lab.seats.all())


def run_again(lab):
    made = broadcast.command(lab, "false", PROF, lab.seats.all())
    rounds()
    bell.rung.clear()
    assert broadcast.retry(made, PROF)


def close(lab):
    opening.close_lab(lab, PROF)


@pytest.mark.parametrize("deed", [late, latecomers, start_over, retry, run, run_again, close])
def test_what_is_left_for_the_worker_rings(open_lab, heard, deed):
    rounds()
    bell.rung.clear()
    deed(open_lab)
    assert bell.rung.wait(20)


def test_a_ring_is_the_time_for_all_the_rest_too(pool, open_lab, worker):
    """Closing is no part of the wave."""
    opening.close_lab(open_lab, PROF)
    assert wait_until(lambda: "ready" not in statuses(open_lab))
