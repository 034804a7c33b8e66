"""The bell of the queue: what is left for the worker it sees at once, though nothing else woke it."""

from __future__ import annotations

import os
import stat
import threading

import pytest
from django.db import transaction

from sandboxes.labs import bell, broadcast, closing, opening, provision, seats
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
def bells():
    """``bells()``: one that listens; all are silent in the end."""
    made = []

    def make():
        made.append(bell.Bell())
        made[-1].listen()
        return made[-1]

    yield make
    for one in made:
        one.mute()


@pytest.fixture
def heard(bells):
    return bells()


def is_heard():
    """Rung again where a loop had taken it for its own before anybody here waited for it."""

    def once():
        bell.rung.clear()
        bell.ring()
        return bell.rung.wait(1)

    return wait_until(once, 20)


def ears():
    return [one for one in threading.enumerate() if one.name == "bell"]


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


def test_nobody_listens(bells):
    bell.ring()
    bells().mute()
    bell.ring()
    assert not bell.rung.is_set()


def test_an_empty_message_rings_and_deafens_nobody(heard):
    with bell.socket.socket(bell.socket.AF_UNIX, bell.socket.SOCK_DGRAM) as sender:
        sender.sendto(b"", str(bell.path()))
    assert bell.rung.wait(20)
    assert is_heard()


def test_it_is_open_to_one_user_alone(bells):
    before = os.umask(0)
    try:
        bells()
    finally:
        os.umask(before)
    assert stat.S_IMODE(bell.path().stat().st_mode) == 0o600
    assert [one.name for one in bell.path().parent.glob("provision.*")] == ["provision.bell"]


def test_who_has_the_role_now_is_heard_and_who_had_it_takes_nothing_away(heard, bells):
    bells()
    heard.mute()
    assert is_heard()


def test_one_that_lost_the_path_takes_it_back_when_it_listens_again(heard, bells):
    """Another had the role meanwhile, and is gone; it saw nothing of that."""
    bells().mute()
    heard.listen()
    assert is_heard()
    assert len(ears()) == 1


def test_one_whose_path_was_tidied_away_makes_it_anew(heard):
    bell.path().unlink()
    heard.listen()
    assert is_heard()


def test_listening_on_is_the_same_socket(heard):
    before = bell.path().stat().st_ino
    heard.listen()
    assert bell.path().stat().st_ino == before
    assert len(ears()) == 1


def test_muted_it_lets_go_of_its_thread(heard):
    assert len(ears()) == 1
    heard.mute()
    assert ears() == []


def test_where_there_can_be_none_it_is_said_once_and_the_queue_is_looked_at(settings, lab, bells, caplog):
    settings.DATA_DIR = settings.DATA_DIR / ("x" * 120)
    settings.DATA_DIR.mkdir()
    one = bells()
    one.listen()
    assert [record.message for record in caplog.records if "no bell" in record.message] == [
        "The queue has no bell, and is looked at now and then: AF_UNIX path too long"
    ]
    opening.open_lab(lab, PROF)
    rounds()
    assert statuses(lab) == {"ready": 2}


def test_without_a_thread_to_be_had_nothing_is_taken_from_anybody(heard, bells, monkeypatch):
    def none(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none)
        bells()
    heard.listen()
    assert is_heard()


@pytest.fixture
def worker(monkeypatch):
    """The loop, at rest; by itself it looks once a minute: rings are all that wakes it."""
    resting, rest = threading.Event(), provision._rest

    def rests(due):
        resting.set()
        return rest(due)

    monkeypatch.setattr(provision, "CALM", 60)
    monkeypatch.setattr(provision, "BUSY", 60)
    monkeypatch.setattr(provision, "_rest", rests)
    stop = threading.Event()
    loop = apart(provision.loop, stop)
    assert resting.wait(20)
    yield loop
    stop.set()
    assert wait_until(lambda: work.over.set() or not loop.is_alive())
    assert ears() == [], "it is silent once the loop is over"


def test_the_worker_sees_a_lab_that_opens(pool, lab, worker):
    opening.open_lab(lab, PROF)
    assert wait_until(lambda: statuses(lab) == {"ready": 2})


def test_a_ring_is_the_time_for_all_the_rest_too(pool, open_lab, worker):
    """Closing is no part of the wave."""
    opening.close_lab(open_lab, PROF)
    assert wait_until(lambda: "ready" not in statuses(open_lab))


def test_it_listens_while_it_has_the_role_and_no_longer(db, monkeypatch):
    has_it, stop = [True], threading.Event()
    monkeypatch.setattr(provision.lease, "acquire", lambda *_: has_it[0])
    monkeypatch.setattr(provision, "CALM", 0.02)
    loop = apart(provision.loop, stop)
    assert wait_until(lambda: len(ears()) == 1)
    has_it[0] = False
    assert wait_until(lambda: ears() == [])
    has_it[0] = True
    assert wait_until(lambda: len(ears()) == 1)
    assert is_heard()
    stop.set()
    loop.join(20)
    assert ears() == []


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


def save_again(lab):
    seat = Seat.objects.filter(lab=lab).first()
    Seat.objects.filter(pk=seat.pk).update(status=SeatStatus.CLOSED, saved_reason="It was slow.")
    seat.refresh_from_db()
    assert closing.again(seat, PROF)


@pytest.mark.parametrize("deed", [late, latecomers, start_over, retry, run, run_again, close, save_again])
def test_what_is_left_for_the_worker_rings(open_lab, heard, deed):
    rounds()
    bell.rung.clear()
    deed(open_lab)
    assert bell.rung.wait(20)
