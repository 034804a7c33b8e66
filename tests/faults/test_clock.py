"""The host's clock is put forward, put back, crosses a summer's night and 2038: nobody ends early for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from sandboxes.engine.base import Reach
from sandboxes.lifecycle import (
    brakes,
    changed,
    cleanup,
    clock,
    guard,
    idle,
    invariants,
    process,
    terminals,
    transitions,
)
from sandboxes.lifecycle.refusals import Refused
from sandboxes.models import Event, Lease, Sandbox, Status, Terminal
from tests.lifecycle.helpers import ALICE, counted

pytestmark = pytest.mark.django_db
HOUR, DAY = 3600.0, 86400.0
ZONE_CHANGES = (datetime(2027, 3, 28, 1, tzinfo=UTC), datetime(2027, 10, 31, 1, tzinfo=UTC))
END_OF_32_BITS = datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC)


class Host:
    """A host whose clock the test sets; ``pass_by`` lets time pass on both clocks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.passed = 0.0, 0.0
        real, wall, steady = timezone.now, time.time, time.monotonic
        offset = lambda: self.wall + self.passed  # noqa: E731
        monkeypatch.setattr(timezone, "now", lambda: real() + timedelta(seconds=offset()))
        monkeypatch.setattr(
            clock.Clock, "_now", staticmethod(lambda: wall() + offset() - steady() - self.passed)
        )

    def put_at(self, when: datetime) -> None:
        self.wall += (when - timezone.now()).total_seconds()


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, engine: Any) -> Host:
    return Host(monkeypatch)


@pytest.fixture
def one_round(host: Host) -> Callable[[], dict[str, int]]:
    """What a round of the loop does; it looks at the clock first."""
    watch = clock.Clock()
    return lambda: counted(cleanup.run_round(expire=watch.is_steady()))


def jumps() -> int:
    return Event.objects.filter(action="cleanup.clock").count()


def left(sandbox: Sandbox) -> float:
    sandbox.refresh_from_db()
    assert sandbox.expires_at is not None
    return (sandbox.expires_at - timezone.now()).total_seconds()


@pytest.mark.parametrize("jump", [HOUR, DAY, 400 * DAY, -HOUR, -DAY, -400 * DAY])
def test_a_jump_ends_nobody_early_and_nobody_lives_for_ever(
    host: Host, one_round: Any, launch: Any, settings: Any, told: Any, jump: float
) -> None:
    made = [launch(lifetime=seconds) for seconds in (60, 600, 3600)]
    shell = terminals.open(made[0], "main", ALICE)
    terminals.opened(shell, ALICE)
    one_round()
    had = [left(one) for one in made]
    host.wall += jump
    for _ in range(3):
        one_round()
    assert jumps() == 1
    assert [Sandbox.objects.get(pk=one.pk).status for one in made] == [Status.RUNNING] * 3
    assert Terminal.objects.get(pk=shell.pk).ended_at is None
    for one, before in zip(made, had, strict=True):
        assert before - 30 <= left(one) <= max(before, settings.SANDBOX_MAX_LIFETIME if jump < 0 else 0) + 1
    host.passed += settings.SANDBOX_MAX_LIFETIME + 1 if jump < 0 else 3601
    process.renew()
    one_round()
    assert not Sandbox.objects.exclude(status=Status.REMOVED).exists()
    assert invariants.breaches(0) == []
    told(jump=jump, early=0, rounds=1)


def test_forward_and_back_is_as_if_nothing_had_been(host: Host, one_round: Any, launch: Any) -> None:
    one = launch(lifetime=600)
    one_round()
    had = left(one)
    host.wall += DAY
    one_round()
    host.wall -= DAY
    one_round()
    assert jumps() == 2
    assert had - 30 <= left(one) <= 8 * HOUR
    assert Sandbox.objects.get(pk=one.pk).status == Status.RUNNING


@pytest.mark.parametrize("jump", [59, -59, 61, -61])
def test_from_a_minute_on_it_is_a_jump(host: Host, one_round: Any, jump: float) -> None:
    host.wall += jump
    one_round()
    assert jumps() == (abs(jump) > 60)


@pytest.mark.parametrize("moment", [*ZONE_CHANGES, END_OF_32_BITS], ids=["spring", "autumn", "2038"])
def test_a_night_like_any_other(
    host: Host, launch: Any, settings: Any, moment: datetime, monkeypatch: Any
) -> None:
    """Times are kept as moments, so no zone's night is longer, and no number of seconds too large."""
    settings.TIME_ZONE = "Europe/Berlin"
    host.put_at(moment - timedelta(minutes=5))
    watch = clock.Clock()
    short, long = launch(lifetime=120), launch(lifetime=1800)
    for minutes, living in ((1, {short.pk, long.pk}), (2, {long.pk}), (10, {long.pk}), (18, set())):
        host.passed += minutes * 60
        process.renew()
        cleanup.run_round(expire=watch.is_steady())
        assert set(Sandbox.objects.filter(status=Status.RUNNING).values_list("pk", flat=True)) == living
    assert jumps() == 0


def live_on(host: Host) -> None:
    """A lease's time in which this process gives its signs of life, and no other does."""
    for _ in range(4):
        host.passed += 3
        process.renew()


def test_what_is_under_way_is_not_taken_from_a_living_process(
    host: Host, one_round: Any, running: Sandbox
) -> None:
    """After a jump every lease looks over. Two rounds later the dead are known all the same."""
    Lease.objects.create(name="process:other", owner="other", until=timezone.now() + timedelta(seconds=5))
    transitions.claim(running, "pause", ALICE)
    Sandbox.objects.update(claimed_by="other")
    host.wall += DAY
    assert one_round() == {}
    running.refresh_from_db()
    assert (running.pending, running.claimed_by) == ("pause", "other")
    live_on(host)
    assert one_round() == {"redone": 1}
    running.refresh_from_db()
    assert (running.status, running.pending) == (Status.PAUSED, "")


def test_a_dead_process_is_not_alive_for_ever_when_the_clock_goes_back(
    host: Host, one_round: Any, running: Sandbox
) -> None:
    Lease.objects.create(name="process:other", owner="other", until=timezone.now() + timedelta(seconds=5))
    transitions.claim(running, "pause", ALICE)
    Sandbox.objects.update(claimed_by="other")
    host.wall -= DAY
    assert one_round() == {}
    live_on(host)
    assert one_round() == {"redone": 1}


# -- what the loop finds afterwards ------------------------------------------------------------------


@pytest.mark.parametrize("jump", [HOUR, -HOUR, -DAY])
@pytest.mark.parametrize("what", ["ended", "gone", "changed", "orphan"])
def test_what_happens_after_a_jump_is_found_as_soon_as_ever(
    host: Host, one_round: Any, launch: Any, engine: Any, monkeypatch: Any, jump: float, what: str
) -> None:
    """Times on record that are still to come say nothing about what is newer than what."""
    monkeypatch.setattr(changed, "_turns", changed.Turns())
    one = launch(lifetime=4 * 3600)
    one_round()
    host.wall += jump
    one_round()
    if what == "ended":
        engine.stop(one.native_id)
    elif what == "gone":
        engine.remove(one.native_id)
    elif what == "changed":
        engine.changed[one.native_id] = ["memory"]
    else:
        Sandbox.objects.all().delete()
    host.passed += 61
    process.renew()
    one_round()
    found = {str(status) for status in Sandbox.objects.filter(pk=one.pk).values_list("status", flat=True)}
    assert found == {"gone": {"removed"}, "orphan": set()}.get(what, {"stopped"})
    assert bool(engine.containers) == (what in ("ended", "changed"))


@pytest.mark.parametrize("jump", [HOUR, -HOUR, -DAY])
def test_a_guard_that_was_seen_before_a_jump_is_looked_at_again(
    host: Host, one_round: Any, launch: Any, engine: Any, jump: float
) -> None:
    launch(network="internet")
    host.wall += jump
    one_round()
    host.passed += 61
    process.renew()
    engine.reached = Reach(True, False)
    assert not guard.seen().is_fresh
    with pytest.raises(Refused):
        launch(network="internet")


@pytest.mark.parametrize("jump", [HOUR, -HOUR, -DAY])
def test_what_was_counted_before_a_jump_is_over_when_it_would_have_been(
    host: Host, one_round: Any, launch: Any, settings: Any, jump: float
) -> None:
    """Launches in ten minutes, wrong passwords, and how long nobody has used it."""
    settings.SANDBOX_QUOTA_CREATES = 2
    one, _ = launch(lifetime=4 * 3600, idle=3600), launch()
    brakes.add("sign in", 600)
    one_round()
    host.wall += jump
    one_round()
    host.passed += 1200
    process.renew()
    one.refresh_from_db()
    assert brakes.known("sign in") == 0
    assert idle.told(one).is_unused
    launch()


# -- several loops ----------------------------------------------------------------------------------


def test_a_loop_that_gets_the_role_later_does_not_move_the_ends_again(host: Host, launch: Any) -> None:
    """It stood by over the jump, and has been asked nothing since it started."""
    one, mine, standby = launch(lifetime=600), clock.Clock(), clock.Clock()
    mine.is_steady()
    had = left(one)
    host.wall += HOUR
    assert not mine.is_steady()
    host.passed += 30
    assert standby.is_steady()
    assert (jumps(), mine.is_steady()) == (1, True)
    assert had - 60 <= left(one) <= had


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_loop_that_starts_after_a_jump_puts_right_what_nobody_has(
    host: Host, launch: Any, jump: float
) -> None:
    """The one before it died, and the clock was put right before there was another."""
    one = launch(lifetime=600)
    clock.Clock().is_steady()
    had = left(one)
    host.wall += jump
    late = clock.Clock()
    assert [late.is_steady(), late.is_steady(), clock.Clock().is_steady()] == [False, True, True]
    assert jumps() == 1
    assert left(one) >= had - 30


def test_a_host_that_started_anew_has_not_jumped(host: Host, launch: Any, monkeypatch: Any) -> None:
    """Its monotonic clock began again; so it is for a loop on another host."""
    one = launch(lifetime=600)
    clock.Clock().is_steady()
    had = left(one)
    host.passed += 60
    monkeypatch.setattr(clock, "host", lambda: "another")
    monkeypatch.setattr(clock.Clock, "_now", staticmethod(time.time))
    again = clock.Clock()
    assert [again.is_steady(), again.is_steady()] == [True, True]
    assert jumps() == 0
    assert left(one) < had


@pytest.mark.django_db(transaction=True)
def test_two_loops_that_see_a_jump_in_the_same_instant_move_the_ends_once(host: Host, launch: Any) -> None:
    """By the new clock each takes the other for dead, and the role for free."""
    one = launch(lifetime=600)
    loops = [clock.Clock() for _ in range(4)]
    loops[0].is_steady()
    had = left(one)
    together = threading.Barrier(len(loops))

    def look(mine: clock.Clock) -> bool:
        try:
            together.wait(30)
            return mine.is_steady()
        finally:
            connection.close()

    host.wall += HOUR
    with ThreadPoolExecutor(len(loops)) as threads:
        assert sorted(threads.map(look, loops)) == [False, True, True, True]
    assert jumps() == 1
    assert had - 30 <= left(one) <= had


def test_a_clock_that_is_put_right_little_by_little_never_jumps(host: Host, launch: Any) -> None:
    one, mine, standby = launch(lifetime=3600), clock.Clock(), clock.Clock()
    for _ in range(10):
        host.wall += 20
        assert mine.is_steady()
    assert standby.is_steady()
    assert (jumps(), clock.Clock().is_steady()) == (0, True)
    assert left(one) > 3000
