"""The wave: so many at a time, beside what people do by hand."""

from __future__ import annotations

import itertools
import threading

import pytest
from django.db import transaction
from django.utils import timezone

from sandboxes.engine.base import EngineError
from sandboxes.labs import files, opening, provision, seats, wave
from sandboxes.labs.models import SeatStatus
from sandboxes.lifecycle import launching, work
from sandboxes.models import Event, Image, Lease, Sandbox, Status
from tests.fakes.apart import apart
from tests.fakes.processes import wait_until

from .conftest import PROF, class_of, statuses

pytestmark = pytest.mark.django_db(transaction=True)


def test_seats_are_started_in_waves(lab, course, settings):
    settings.SANDBOX_WAVE = 3
    class_of(course, 10)
    opening.open_lab(lab, PROF)
    most = 0
    while provision.run_round():
        most = max(most, lab.seats.filter(status="starting").count())
        assert lab.seats.filter(status="starting").count() <= 3
    assert statuses(lab) == {"ready": 12}


def test_a_place_that_becomes_free_is_filled_in_the_same_round(lab, settings):
    settings.SANDBOX_WAVE = 1
    opening.open_lab(lab, PROF)
    assert provision.run_round(), "more to do at once"
    assert statuses(lab) == {"waiting": 1, "starting": 1}
    assert provision.run_round(), "the next one has begun"
    assert statuses(lab) == {"ready": 1, "starting": 1}


def test_who_made_a_sandbox_makes_its_seat_ready(pool, lab):
    """One look at the queue: nobody has to come by again."""
    opening.open_lab(lab, PROF)
    assert wave.go_on(wave.Turn())
    assert wait_until(lambda: statuses(lab) == {"ready": 2})
    told = Event.objects.filter(action="seat.ready").values_list("sandbox_id", flat=True)
    assert set(told) == set(lab.seats.values_list("sandbox", flat=True)) != {None}


def test_who_made_a_sandbox_says_at_its_seat_that_it_failed(pool, lab, engine):
    engine.fail["create"] = [EngineError("no room"), EngineError("no room")]
    opening.open_lab(lab, PROF)
    assert wave.go_on(wave.Turn())
    assert wait_until(lambda: statuses(lab) == {"failed": 2})
    assert set(lab.seats.values_list("reason", flat=True)) == {"no room"}, "what to do the page says"


def test_what_its_maker_could_not_make_ready_the_next_look_does(pool, lab, monkeypatch):
    """As after the maker's death."""
    monkeypatch.setattr(wave.Maker, "end", lambda maker, sandbox: maker.drop())
    opening.open_lab(lab, PROF)
    assert wave.go_on(wave.Turn())
    assert wait_until(lambda: Sandbox.objects.filter(status=Status.RUNNING, pending="").count() == 2)
    assert statuses(lab) == {"starting": 2}
    assert wait_until(lambda: not wave.go_on(wave.Turn()))
    assert statuses(lab) == {"ready": 2}


def test_a_seat_that_no_thread_took_is_not_in_hand(pool, lab, monkeypatch):
    """No thread can be started: the next look goes on from the row, as after a death."""
    opening.open_lab(lab, PROF)
    with monkeypatch.context() as full:
        full.setattr(launching.work, "submit", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            wave.go_on(wave.Turn())
    assert not wave.is_busy()


def test_who_made_an_earlier_turn_leaves_the_next_alone(pool, lab, engine):
    """Started over before the thread of its first sandbox is through."""
    engine.gate["create"] = threading.Event()
    opening.open_lab(lab, PROF)
    wave.go_on(wave.Turn())
    lab.seats.update(generation=2)
    engine.gate["create"].set()
    assert wait_until(lambda: not wave.is_busy())
    assert Sandbox.objects.filter(status=Status.RUNNING).count() == 2
    assert statuses(lab) == {"starting": 2}


def test_the_role_is_kept_while_a_seat_is_being_made(pool, lab, engine):
    """Another process would put its files there a second time."""
    engine.gate["create"] = threading.Event()
    opening.open_lab(lab, PROF)
    stop = threading.Event()
    loop = apart(provision.loop, stop)
    assert wait_until(lambda: statuses(lab) == {"starting": 2})
    stop.set()
    loop.join(20)
    assert Lease.objects.get(name=provision.ROLE).until > timezone.now()
    engine.gate["create"].set()
    assert wait_until(lambda: not wave.is_busy())


def test_seats_get_their_files_side_by_side(pool, lab, monkeypatch):
    """Each waits inside for the other: one after the other neither would ever come out."""
    both, broken = threading.Barrier(2, timeout=20), []

    def put(seat, sandbox):
        try:
            both.wait()
        except threading.BrokenBarrierError:
            broken.append(seat.pk)
        return ""

    monkeypatch.setattr(files, "put_starting", put)
    opening.open_lab(lab, PROF)
    wait_until(lambda: not provision.run_round())
    assert (statuses(lab), broken) == ({"ready": 2}, [])
    assert Event.objects.filter(action="seat.ready").count() == 2


@pytest.fixture
def held(engine, monkeypatch):
    """The wave's first four seats wait for their files, the others for their container, until it is set."""
    event, numbers, create = threading.Event(), itertools.count(1), engine.create
    event.launches, event.files = [], []

    def made(spec):
        if Sandbox.objects.get(pk=spec.sandbox_id).lent and next(numbers) > 4:
            event.launches.append(spec.sandbox_id)
            event.wait(60)
        return create(spec)

    def put(seat, sandbox):
        event.files.append(seat.pk)
        event.wait(60)
        return ""

    monkeypatch.setattr(engine, "create", made)
    monkeypatch.setattr(files, "put_starting", put)
    yield event
    event.set()


@pytest.mark.parametrize(("wave_of", "threads", "launches"), [(4, 8, 0), (8, 8, 2), (8, 10, 4), (99, 10, 4)])
def test_a_launch_by_hand_starts_while_the_wave_holds_all_it_may(
    pool, lab, course, held, launch, settings, wave_of, threads, launches
):
    """Four transfers of files and four launches do not come to an end, and somebody's own begins."""
    settings.SANDBOX_WAVE, settings.SANDBOX_WORKERS = wave_of, threads
    class_of(course, 10)
    opening.open_lab(lab, PROF)
    assert wait_until(
        lambda: provision.run_round() and (len(held.files), len(held.launches)) == (4, launches)
    )
    assert provision.run_round(), "it takes no more"
    assert lab.seats.filter(status="starting").count() == 4 + launches
    mine = launch()
    assert wait_until(lambda: Sandbox.objects.get(pk=mine.pk).status == Status.RUNNING)
    assert (len(held.files), len(held.launches)) == (4, launches)
    held.set()
    assert wait_until(lambda: not provision.run_round(), 60)
    assert statuses(lab) == {"ready": 12}


def test_what_is_over_is_seen_to_at_once(pool, lab, monkeypatch):
    """With a minute between two looks: the wave of one goes on because its launch is over."""
    monkeypatch.setattr(provision, "CALM", 60)
    stop = threading.Event()
    opening.open_lab(lab, PROF)
    turn = apart(provision._turn, stop)
    assert wait_until(lambda: statuses(lab) == {"ready": 2})
    end(turn, stop)


def end(turn, stop):
    """Have the turn end: it hears of it whenever it rests."""
    stop.set()
    assert wait_until(lambda: work.over.set() or not turn.is_alive())


@pytest.mark.parametrize("came", [None, False, True])
def test_while_nothing_is_over_the_wave_is_looked_at_once_in_a_turn(db, came, monkeypatch):
    looked = []

    def look(labs):
        looked.append(labs)
        if came is None:
            raise RuntimeError("broken")
        return came

    monkeypatch.setattr(provision, "CALM", 0.3)
    monkeypatch.setattr(wave, "go_on", look)
    provision._turn(threading.Event())
    assert len(looked) == 1


def test_between_two_rounds_the_wave_alone_goes_on(lab, monkeypatch):
    looked, chores = [], []

    def look(labs):
        looked.append(id(labs))
        work.over.set()  # something else is over already
        return True

    monkeypatch.setattr(provision, "CALM", 0.3)
    monkeypatch.setattr(wave, "go_on", look)
    monkeypatch.setattr(provision, "_chores", lambda: bool(chores.append(1)))
    provision._turn(threading.Event())
    assert len(chores) == 1
    assert len(looked) > 1
    assert len(set(looked)) == 1, "labs are read once in a turn"


def test_of_the_seats_read_ahead_none_is_started_once_its_lab_closes(lab, settings):
    settings.SANDBOX_WAVE = 1
    opening.open_lab(lab, PROF)
    turn = wave.Turn()
    assert wave.go_on(turn)
    opening.close_lab(lab, PROF)
    assert not wave.go_on(turn)
    assert Sandbox.objects.count() == 1
    assert statuses(lab) == {"ready": 1, "waiting": 1}


def test_a_seat_read_ahead_that_has_gone_elsewhere_leaves_its_place_to_the_next(lab, course, settings):
    settings.SANDBOX_WAVE = 1
    class_of(course, 2)
    opening.open_lab(lab, PROF)
    turn = wave.Turn()
    assert wave.go_on(turn)
    gone = lab.seats.filter(status="waiting").order_by("queued_at", "id").first()
    lab.seats.filter(pk=gone.pk).update(status="closed")
    assert wave.go_on(turn)
    assert statuses(lab) == {"ready": 1, "closed": 1, "starting": 1, "waiting": 1}


def test_extra_time_and_more_time_given_while_it_waits_is_its_sandboxs_too(lab, settings):
    settings.SANDBOX_WAVE = 1
    opening.open_lab(lab, PROF)
    turn = wave.Turn()
    assert wave.go_on(turn)
    later = lab.seats.get(status="waiting")
    opening.extend_seat(later, PROF, 3600)
    opening.extend_lab(lab, PROF, 1800)
    assert wave.go_on(turn)
    later.refresh_from_db()
    assert later.sandbox.expires_at >= later.closes_at


def test_a_queue_of_refused_ones_is_through_in_one_look(lab, course, image):
    """Nothing of them is ever over, so that nobody would come by again."""
    class_of(course, 3 * wave.AHEAD)
    opening.open_lab(lab, PROF)
    Image.objects.update(enabled=False)
    assert not wave.go_on(wave.Turn())
    assert statuses(lab) == {"failed": 2 + 3 * wave.AHEAD}


def test_whoever_makes_it_ready_says_of_which_sandbox_it_is(lab, launch):
    """Whether or not the loop, which launched it, has said so already."""
    sandboxes = [launch(name=name) for name in ("one", "two")]
    opening.open_lab(lab, PROF)
    lab.seats.update(status="starting")
    for seat, sandbox in zip(lab.seats.all(), sandboxes, strict=True):
        wave.Maker(seat).end(sandbox)
    assert statuses(lab) == {"ready": 2}
    assert {seat.sandbox_id for seat in lab.seats.all()} == {one.pk for one in sandboxes}


def test_whoever_finds_it_failed_says_of_which_sandbox_and_forgets_none(lab, launch, engine):
    engine.fail["create"] = [EngineError("no room")] * 2
    failed, known = launch(name="one"), launch(name="two")
    opening.open_lab(lab, PROF)
    first, second = lab.seats.all()
    lab.seats.update(status="starting")
    lab.seats.filter(pk=second.pk).update(sandbox=known)
    wave.Maker(first).end(failed)
    seats.fail(second, "read before it had one")
    assert statuses(lab) == {"failed": 2}
    assert list(lab.seats.values_list("sandbox", flat=True)) == [failed.pk, known.pk]


def test_who_is_being_closed_is_not_started_as_well(open_lab):
    """Of two who change a seat at the same moment one wins, on PostgreSQL too."""
    open_lab.seats.update(status="waiting", sandbox=None)
    seat, started = open_lab.seats.first(), []

    def start():
        mine = open_lab.seats.get(pk=seat.pk)
        begun.set()
        started.append(seats.change(mine, SeatStatus.WAITING, SeatStatus.STARTING, where=wave.OPEN))

    begun = threading.Event()
    with transaction.atomic():
        assert seats.change(seat, SeatStatus.WAITING, SeatStatus.SAVING)
        other = apart(start)
        assert begun.wait(20)
        other.join(1)
    other.join(20)
    assert started == [False]
    assert open_lab.seats.get(pk=seat.pk).status == SeatStatus.SAVING
