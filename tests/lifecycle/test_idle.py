"""What nobody uses is warned, then stopped; five kinds of use, and everything unknown, keep it alive."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.utils import timezone

from sandboxes.engine.base import Unreachable
from sandboxes.lifecycle import actions, cleanup, idle, usage
from sandboxes.lifecycle.usage import Use
from sandboxes.models import Command, CommandStatus, Lease, Sandbox, Status
from tests.fakes.engine import FakeEngine
from tests.lifecycle.helpers import ALICE, change, trail

LIMIT = 3600
COLUMNS = ("used_at", "changed_at", "created_at", "idle_warned_at")


@pytest.fixture
def quiet(running: Sandbox) -> Sandbox:
    """Alice's, with a limit of an hour, looked at twice: what it computes is known."""
    change(running, idle_limit=LIMIT)
    look()
    return passes(running, minutes=2)


def look() -> int:
    """A web process looks and sees nothing; then the loop looks."""
    usage.write({})
    return idle.watch()


def passes(sandbox: Sandbox, **by: float) -> Sandbox:
    """So much time goes by, in which the loop looks all the while and sees nobody."""
    sandbox.refresh_from_db()
    past = timedelta(**by)
    now = {name: at - past for name in COLUMNS if (at := getattr(sandbox, name)) is not None}
    change(sandbox, **now)
    look()
    sandbox.refresh_from_db()
    return sandbox


def told(sandbox: Sandbox) -> list[str]:
    return [reason for action, _, reason in trail(sandbox) if action == "sandbox.idle"]


def test_unused_it_is_warned_five_minutes_before(quiet):
    assert passes(quiet, minutes=50).idle_warned_at is None
    assert passes(quiet, minutes=4).idle_warned_at is not None
    assert told(quiet) == ["nobody used it for 56 min; it is stopped in 5 min if nobody does"]


def test_warned_once(quiet):
    passes(quiet, minutes=55)
    passes(quiet, minutes=1)
    assert len(told(quiet)) == 1


def test_after_the_warning_it_is_stopped_with_the_reason_in_words(quiet):
    passes(quiet, minutes=55)
    passes(quiet, minutes=4)
    assert quiet.status == Status.RUNNING
    passes(quiet, minutes=2)
    assert (quiet.status, quiet.status_reason) == (Status.STOPPED, "idle: nobody used it for 1 h 3 min")
    assert ("sandbox.stop", "ok", quiet.status_reason) in trail(quiet)


def test_never_without_a_whole_warning_however_late_it_comes(quiet):
    passes(quiet, hours=3)
    assert quiet.status == Status.RUNNING
    assert idle.told(quiet).ends_at > timezone.now() + timedelta(minutes=4)
    assert passes(quiet, minutes=6).status == Status.STOPPED


def test_it_keeps_its_files_and_can_be_started(quiet, engine):
    passes(quiet, hours=2)
    passes(quiet, minutes=6)
    assert quiet.native_id in engine.containers
    assert actions.start(quiet, by=ALICE, wait=None).done
    assert not usage.is_warned(passes(quiet, minutes=10))


def test_without_a_limit_it_goes_on(quiet):
    change(quiet, idle_limit=0)
    assert passes(quiet, hours=7).status == Status.RUNNING
    assert told(quiet) == []


@pytest.mark.parametrize("use", [Use.KEYS, Use.OUTPUT, Use.VIEWER])
def test_what_web_processes_see_is_use(quiet, use):
    passes(quiet, minutes=55)
    usage.write({quiet.pk: use})
    quiet.refresh_from_db()
    assert (quiet.used_how, quiet.idle_warned_at) == (use, None)
    assert usage.WORDS[use] in idle.told(quiet).sentence
    assert passes(quiet, minutes=10).idle_warned_at is None


def test_a_running_command_is_use(quiet, alice):
    row = Command.objects.create(sandbox=quiet, by=alice, argv=["make"], time_limit=9, process="x")
    passes(quiet, hours=3)
    assert (quiet.used_how, quiet.idle_warned_at) == (Use.COMMAND, None)
    Command.objects.filter(pk=row.pk).update(status=CommandStatus.EXITED)
    passes(quiet, minutes=2)
    assert passes(quiet, minutes=55).idle_warned_at is not None


def test_computing_above_the_floor_is_use(quiet, engine, settings):
    settings.SANDBOX_IDLE_CPU = 0.0
    engine.containers[quiet.native_id].cpu += 600
    passes(quiet, hours=3)
    assert (quiet.used_how, quiet.idle_warned_at) == (Use.CPU, None)


def test_computing_below_the_floor_is_none(quiet, engine):
    passes(quiet, minutes=55)
    assert quiet.used_how != Use.CPU
    assert quiet.idle_warned_at is not None


def test_an_act_of_somebody_is_use(quiet):
    passes(quiet, minutes=55)
    assert actions.extend(quiet, by=ALICE).done
    look()
    quiet.refresh_from_db()
    assert idle.told(quiet).sentence.startswith("in use: something was done with it")
    assert not idle.told(quiet).is_soon
    assert passes(quiet, minutes=30).status == Status.RUNNING


def test_one_click_counts_even_where_it_has_the_longest_time(quiet, settings):
    passes(quiet, minutes=55)
    end = timezone.now() + timedelta(seconds=settings.SANDBOX_MAX_LIFETIME)
    change(quiet, expires_at=end)
    result = actions.extend(quiet, by=ALICE)
    assert result.done
    assert result.message == "quiet-otter goes on: this counted as use."
    assert quiet.expires_at == end
    passes(quiet, minutes=20)
    assert quiet.status == Status.RUNNING


def test_use_between_look_and_stop_is_faster(quiet, monkeypatch):
    passes(quiet, minutes=55)
    stale = Sandbox.objects.get(pk=quiet.pk)
    usage.write({quiet.pk: Use.KEYS})
    monkeypatch.setattr(idle, "ends_at", lambda row: timezone.now() - timedelta(seconds=1))
    assert idle._look(stale, timezone.now()) is False
    quiet.refresh_from_db()
    assert quiet.status == Status.RUNNING


def test_a_paused_one_is_left_alone(quiet):
    actions.pause(quiet, by=ALICE, wait=None)
    assert passes(quiet, hours=3).status == Status.PAUSED
    actions.resume(quiet, by=ALICE, wait=None)
    assert not usage.is_warned(passes(quiet, minutes=30))


# -- what is not known is use -------------------------------------------------------------------


def test_while_no_web_process_looks_nobody_is_unused(quiet):
    passes(quiet, minutes=55)
    Lease.objects.filter(name__startswith=usage.NAME).delete()
    change(quiet, used_at=timezone.now() - timedelta(hours=5), changed_at=quiet.created_at)
    assert idle.watch() == 0
    quiet.refresh_from_db()
    assert (quiet.status, quiet.used_how, quiet.idle_warned_at) == (Status.RUNNING, Use.UNKNOWN, None)


def test_after_a_web_process_was_away_a_whole_limit_begins(quiet):
    passes(quiet, minutes=50)
    Lease.objects.filter(name__startswith=usage.NAME).update(until=timezone.now() - timedelta(seconds=1))
    idle.watch()
    passes(quiet, minutes=2)
    assert passes(quiet, minutes=50).idle_warned_at is None
    assert passes(quiet, minutes=5).idle_warned_at is not None


@pytest.mark.parametrize("gap", [timedelta(minutes=5), timedelta(days=1), timedelta(hours=-1)])
def test_after_a_loop_that_was_away_or_a_clock_that_jumped_nothing_is_concluded(quiet, gap):
    passes(quiet, minutes=59)
    report = Lease.objects.get(name=idle.NAME).report
    then = (timezone.now() - gap).isoformat()
    Lease.objects.filter(name=idle.NAME).update(report=report | {"at": then})
    change(quiet, used_at=timezone.now() - timedelta(hours=9))
    look()
    quiet.refresh_from_db()
    assert (quiet.status, quiet.used_how, quiet.idle_warned_at) == (Status.RUNNING, Use.UNKNOWN, None)


def test_a_use_in_the_future_is_now(quiet):
    change(quiet, used_at=timezone.now() + timedelta(hours=1), used_how=Use.KEYS)
    look()
    quiet.refresh_from_db()
    assert quiet.status == Status.RUNNING
    assert "in use" in idle.told(quiet).sentence


def test_another_loop_goes_on_from_the_rows(quiet):
    """Nothing is in memory: a loop that dies between warning and end is replaced by any other."""
    passes(quiet, minutes=55)
    assert cleanup.run_round().error == ""
    assert passes(quiet, minutes=6).status == Status.STOPPED


def test_a_counter_that_went_back_is_unknown_and_so_use(quiet, engine):
    passes(quiet, minutes=2)
    engine.containers[quiet.native_id].cpu = -5
    assert passes(quiet, hours=2).used_how == Use.CPU


def test_nothing_is_concluded_while_the_engine_is_away(quiet, engine: FakeEngine):
    passes(quiet, minutes=50)
    engine.fail["cpu_time"] = Unreachable("away")
    change(quiet, used_at=timezone.now() - timedelta(hours=2), changed_at=quiet.created_at)
    assert cleanup.run_round().error == "away"
    quiet.refresh_from_db()
    assert (quiet.status, quiet.idle_warned_at) == (Status.RUNNING, None)


def test_in_a_round_after_a_jump_of_the_clock_nobody_is_looked_at(quiet):
    passes(quiet, minutes=55)
    change(quiet, idle_warned_at=timezone.now() - timedelta(minutes=6))
    cleanup.run_round(expire=False)
    quiet.refresh_from_db()
    assert quiet.status == Status.RUNNING


# -- which limit --------------------------------------------------------------------------------


def test_the_limit_is_the_launchs_the_images_or_the_installs(launch, image, settings):
    settings.SANDBOX_IDLE = 1800
    assert launch(name="a").idle_limit == 1800
    image.idle = 900
    image.save()
    assert launch(name="b").idle_limit == 900
    assert launch(name="c", idle=0).idle_limit == 0
    assert launch(name="d", idle=5).idle_limit == usage.LEAST


def test_what_a_lab_has_in_memory_only_is_never_stopped_so(launch):
    assert launch(name="a", lent=True, isolation="strict", idle=600).idle_limit == 0
    assert launch(name="b", lent=True, idle=600).idle_limit == 600


def test_notes_of_use_cost_a_few_queries_however_many(launch, django_assert_max_num_queries):
    rows = [launch(name=f"box-{number}") for number in range(8)]
    usage.write({})
    with django_assert_max_num_queries(9):
        usage.write({row.pk: Use.VIEWER for row in rows})


def test_the_cpu_of_many_is_read_at_once_for_the_engine_takes_a_second_for_each(engine, quiet, monkeypatch):
    together = threading.Barrier(8)

    def read(native_id: str) -> float:
        together.wait(20)
        return 1.0

    monkeypatch.setattr(engine, "cpu_time", read)
    rows = [Sandbox(pk=f"sb_{number}", native_id=quiet.native_id) for number in range(8)]
    assert len(idle._read(rows, timezone.now())) == 8
