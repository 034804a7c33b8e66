"""The loop itself: two at once, one role, its report, and how it ends."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from sandboxes.engine.base import Unreachable
from sandboxes.lifecycle import cleanup, disk, guard, idle, images, lease, paces, process, work
from sandboxes.management.commands.cleanup import told_to_stop
from sandboxes.models import Event, Lease, Sandbox, Status
from tests.fakes.processes import wait_until
from tests.lifecycle.helpers import (
    moments_ago,
    overdue,
    stray,
)

pytestmark = pytest.mark.django_db


@pytest.mark.django_db(transaction=True)
def test_two_rounds_at_once_are_harmless(pool, launch, engine):
    for number in range(6):
        overdue(launch(name=f"s{number}"))
    assert wait_until(lambda: Sandbox.objects.filter(status=Status.RUNNING).count() == 6)
    Sandbox.objects.update(expires_at=moments_ago(seconds=1))
    stray(engine, seconds=100)

    def one(_):
        try:
            return cleanup.run_round()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        reports = list(threads.map(one, range(2)))
    assert sum(report.counts["expired"] for report in reports) == 6
    assert not engine.containers
    assert Event.objects.filter(action="sandbox.remove", outcome="ok").count() == 6
    assert Event.objects.filter(action="sandbox.remove", outcome="requested").count() == 6
    assert Event.objects.filter(action="cleanup.orphan").count() == 1
    assert sum(report.counts["orphans"] for report in reports) == 1


@pytest.mark.django_db(transaction=True)
def test_an_orphan_that_two_loops_remove_at_once_is_on_record_once(pool, engine):
    stray(engine, seconds=100)
    engine.gate["remove"] = threading.Event()

    def one(_):
        try:
            return cleanup.run_round().counts["orphans"]
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        rounds = threads.map(one, range(2))
        assert wait_until(lambda: [name for name, _ in engine.calls].count("remove") == 2)
        engine.gate["remove"].set()
        assert sorted(rounds) == [0, 1]
    assert Event.objects.filter(action="cleanup.orphan").count() == 1
    assert not engine.containers


def test_the_role_is_had_by_one_and_is_free_when_it_runs_out(db):
    assert lease.acquire("cleanup", 60)
    assert lease.acquire("cleanup", 60), "renewed"
    role = Lease.objects.filter(name="cleanup")
    role.update(owner="another")
    later = timezone.now() + timedelta(minutes=1)
    Lease.objects.create(name="process:another", owner="another", until=later)
    assert not lease.acquire("cleanup", 60)
    lease.report("cleanup", {"at": "never"})
    assert role.get().report == {}
    role.update(until=moments_ago())
    assert lease.acquire("cleanup", 60)


@pytest.mark.parametrize("last_sign", [None, -1.0])
def test_a_dead_process_keeps_no_role(db, last_sign):
    until = timezone.now() + timedelta(hours=1)
    Lease.objects.create(name="cleanup", owner="killed", until=until)
    if last_sign is not None:
        Lease.objects.create(name="process:killed", owner="killed", until=moments_ago())
    assert lease.acquire("cleanup", 60)
    assert Lease.objects.get(name="cleanup").owner == process.process_id()


@pytest.mark.django_db(transaction=True)
def test_the_loop_keeps_its_report_and_leaves_when_told(pool, running, engine):
    stop = threading.Event()
    loop = threading.Thread(target=cleanup.loop, args=(0.05, stop))
    loop.start()
    assert wait_until(lambda: Lease.objects.filter(name="cleanup", report__has_key="at").exists())
    overdue(running)
    assert wait_until(lambda: Sandbox.objects.get(pk=running.pk).status == Status.REMOVED)
    stop.set()
    loop.join(10)
    assert not loop.is_alive()
    assert set(Lease.objects.get(name="cleanup").report) == {
        "at",
        "seconds",
        "counts",
        "error",
        "engine",
        "held",
    }
    assert Lease.objects.get(name="cleanup").until <= timezone.now()
    assert not Lease.objects.filter(name__startswith="process:").exists()


@pytest.mark.django_db(transaction=True)
def test_the_loop_outlives_a_round_that_fails(pool, engine, monkeypatch):
    rounds = []
    monkeypatch.setattr(cleanup, "run_round", lambda **_: rounds.append(1) or 1 / 0)
    stop = threading.Event()
    loop = threading.Thread(target=cleanup.loop, args=(0.01, stop))
    loop.start()
    assert wait_until(lambda: len(rounds) > 2)
    stop.set()
    loop.join(10)


@pytest.mark.django_db(transaction=True)
def test_that_the_engine_is_back_is_told_before_the_round_waits(pool, launch, engine):
    """Pages say that the loop's last round failed until another one says otherwise."""
    launch()
    assert wait_until(lambda: Sandbox.objects.filter(status=Status.RUNNING).exists())
    overdue(Sandbox.objects.get())
    engine.fail["list"] = [Unreachable("away")]
    engine.gate["remove"] = threading.Event()
    stop = threading.Event()
    loop = threading.Thread(target=cleanup.loop, args=(0.05, stop))
    loop.start()
    assert wait_until(lambda: Sandbox.objects.filter(pending="remove").exists())
    assert wait_until(lambda: Lease.objects.get(name="cleanup").report["error"] == "")
    assert Sandbox.objects.filter(pending="remove").exists()
    engine.gate["remove"].set()
    stop.set()
    loop.join(20)
    assert not loop.is_alive()


class Stop:
    """Ends the loop after its first round, and keeps for how long it would have rested."""

    def __init__(self):
        self.rests = []

    def is_set(self):
        return bool(self.rests)

    def wait(self, seconds):
        self.rests.append(seconds)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("interval", "fault", "rest"),
    [
        (10, None, 10),
        (10, "list", cleanup.AWAY),
        (10, "images", 10),  # it said which containers there are
        (0.5, "list", 0.5),
    ],
)
def test_while_the_engine_is_away_the_loop_looks_again_soon(engine, interval, fault, rest, monkeypatch):
    if fault:
        engine.fail[fault] = Unreachable("away")
    monkeypatch.setattr(cleanup, "_looking", cleanup.Every(60))
    stop = Stop()
    cleanup.loop(interval, stop)
    assert stop.rests == [rest]
    assert Lease.objects.get(name="cleanup").report["error"] == ("away" if fault else "")


# -- the role passes while a round is under way -----------------------------------------------------


@pytest.fixture
def passes(engine, monkeypatch):
    """``passes("list")``: while the engine is asked that, the role goes to another process that lives."""

    def pass_on():
        later = timezone.now() + timedelta(minutes=1)
        Lease.objects.create(name="process:another", owner="another", until=later)
        Lease.objects.filter(name="cleanup").update(owner="another", until=later)

    def passes(call):
        asked = getattr(engine, call)

        def ask(*arguments):
            if not Lease.objects.filter(owner="another").exists():
                pass_on()
            return asked(*arguments)

        monkeypatch.setattr(engine, call, ask)

    return passes


@pytest.mark.django_db(transaction=True)
def test_a_round_whose_role_has_passed_ends_nothing_and_reports_nothing(running, engine, passes):
    overdue(running)
    stray(engine, seconds=100)
    passes("list")
    cleanup.loop(1, Stop())
    running.refresh_from_db()
    assert (running.status, len(engine.containers)) == (Status.RUNNING, 2)
    assert "remove" not in {name for name, _ in engine.calls}
    assert Lease.objects.get(name="cleanup").report == {}


@pytest.mark.django_db(transaction=True)
def test_what_comes_after_the_passing_is_left_to_the_other(launch, engine, passes):
    for name in ("a", "b", "c"):
        overdue(launch(name=name))
    passes("remove")
    cleanup.loop(1, Stop())
    assert Sandbox.objects.filter(status=Status.REMOVED).count() == 1


@pytest.mark.django_db(transaction=True)
def test_so_are_the_other_containers_without_a_sandbox(engine, passes):
    for number in range(3):
        stray(engine, f"sb_stray{number}", seconds=100)
    passes("remove")
    cleanup.loop(1, Stop())
    assert len(engine.containers) == 2


def test_one_round_on_request_needs_no_role(running, engine, passes):
    overdue(running)
    passes("list")
    assert cleanup.once().counts["expired"] == 1


def test_the_role_is_renewed_in_good_time_and_not_at_each_step(db):
    lease.acquire("cleanup", 60)
    until = Lease.objects.get(name="cleanup").until
    lease.keep("cleanup", 60)
    assert Lease.objects.get(name="cleanup").until == until
    Lease.objects.filter(name="cleanup").update(until=until - timedelta(seconds=40))
    lease.keep("cleanup", 60)
    assert Lease.objects.get(name="cleanup").until >= until


@pytest.mark.parametrize("lasts", [0, cleanup.MEASURE_EVERY - 0.1, 60])
def test_looks_are_as_close_together_as_others_count_on(engine, monkeypatch, lasts):
    """Rounds as far apart as they may be, whose work takes no time, nearly all they wait, or for ever."""
    now, looks = [1000.0], {"disk": [], "use": [], "images": []}
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr(cleanup, "time", clock)
    monkeypatch.setattr(paces, "time", clock)
    for name, every in (("_measuring", cleanup.MEASURE_EVERY), ("_idling", cleanup.USE_EVERY),
                        ("_looking", cleanup.LOOK_EVERY)):  # fmt: skip
        monkeypatch.setattr(cleanup, name, cleanup.Every(every))
    monkeypatch.setattr(disk, "watch", lambda: looks["disk"].append(now[0]))
    monkeypatch.setattr(idle, "watch", lambda: looks["use"].append(now[0]))
    monkeypatch.setattr(images, "refresh_presence", lambda: looks["images"].append(now[0]))
    monkeypatch.setattr(cleanup, "_begin", lambda *_: [("expired", "sb_slow", None)])
    monkeypatch.setattr(work, "outcome", lambda _, most: now.append(now.pop() + min(lasts, most)))
    rounds = 12
    for _ in range(rounds):
        assert cleanup.run_round().error == ""
        now[0] += cleanup.LONGEST
    longest = {name: max(late - soon for soon, late in pairwise(times)) for name, times in looks.items()}
    assert longest["disk"] <= 15
    assert longest["use"] <= idle.FRESH.total_seconds() < idle.GAP.total_seconds()
    assert longest["images"] <= guard.FRESH.total_seconds()
    assert len(looks["disk"]) == rounds * (2 if lasts > cleanup.PATIENCE else 1), "at both ends of a long one"


def test_one_round_on_request(running, engine, capsys):
    overdue(running)
    call_command("cleanup", "--once")
    assert "expired 1" in capsys.readouterr().out
    assert Lease.objects.get(name="cleanup").report["counts"] == {"expired": 1}


@pytest.mark.django_db(transaction=True)
def test_sigterm_ends_the_command_cleanly(pool, engine, monkeypatch):
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    monkeypatch.setattr(
        cleanup, "run_round", lambda **_: signal.raise_signal(signal.SIGTERM) or cleanup.Report(moments_ago())
    )
    try:
        call_command("cleanup", "--interval", "11")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_rounds_that_would_be_too_rare_are_refused():
    with pytest.raises(CommandError, match="at most 11 seconds"):
        call_command("cleanup", "--interval", "12")


def test_the_stop_is_set_from_another_thread():
    stop = threading.Event()
    with stop._cond:
        told_to_stop(stop)
    assert stop.wait(5)
