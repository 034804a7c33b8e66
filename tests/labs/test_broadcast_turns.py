"""Who waits for whom when many are acted on, and what goes on when it may not any more."""

from __future__ import annotations

import time

import pytest
from django.utils import timezone

from sandboxes.labs import broadcast, opening
from sandboxes.labs.models import Enrollment, LabRunResult
from sandboxes.lifecycle import audit
from sandboxes.models import Command, Sandbox

from .conftest import PROF, rounds

pytestmark = pytest.mark.django_db(transaction=True)


def test_at_most_so_many_are_under_way(open_lab, pool, seat, alice, monkeypatch):
    monkeypatch.setattr(broadcast, "AT_ONCE", 1)
    broadcast.command(open_lab, "sleep 0.4", PROF, list(broadcast.chosen(open_lab, _all(open_lab))))
    broadcast.go_on()
    broadcast.go_on()
    assert Command.objects.count() == 1
    for _ in range(100):
        if not broadcast.go_on():
            break
        time.sleep(0.05)
    assert LabRunResult.objects.filter(done=True).count() == 2


def test_a_persons_share_is_waited_for(open_lab, seat, alice, ines, settings):
    settings.SANDBOX_USER_COMMANDS = 4
    busy = Command.objects.create(sandbox=seat(alice).sandbox, by=ines, argv=["x"], time_limit=60)
    broadcast.command(open_lab, "true", PROF, [seat(alice)])
    rounds()
    assert LabRunResult.objects.get().done
    LabRunResult.objects.update(done=False, command=None)
    settings.SANDBOX_USER_COMMANDS = 1
    assert not broadcast.go_on()
    row = LabRunResult.objects.get()
    assert (row.done, row.command, row.reason) == (False, None, "")
    busy.delete()
    rounds()
    assert LabRunResult.objects.get().done


@pytest.fixture
def busy(open_lab, seat, alice, ines, settings, monkeypatch):
    """A run of commands of which one will be under way for long, and the other waits for its share."""
    settings.SANDBOX_USER_COMMANDS = 3
    monkeypatch.setattr(broadcast, "AT_ONCE", 1)
    run = broadcast.command(open_lab, "sleep 600", PROF, list(broadcast.chosen(open_lab, _all(open_lab))))
    under_way = Command.objects.create(sandbox=seat(alice).sandbox, by=ines, argv=["x"], time_limit=60)
    run.results.filter(seat=seat(alice)).update(command=under_way)
    broadcast.go_on()
    return run


def test_eyes_up_and_files_wait_for_no_command(busy, open_lab, engine):
    everyone = list(broadcast.chosen(open_lab, _all(open_lab)))
    broadcast.put_file(open_lab, "data.csv", b"a", PROF, everyone)
    for _ in range(4):
        broadcast.go_on()
    given = LabRunResult.objects.exclude(run__file_name="")
    assert set(given.values_list("done", "reason")) == {(True, "")}
    broadcast.act(open_lab, "pause", PROF, everyone)
    for _ in range(4):
        broadcast.go_on()
    assert set(Sandbox.objects.values_list("status", flat=True)) == {"paused"}
    assert not busy.results.filter(done=True).exists()


def test_one_persons_share_holds_up_nobody_elses_commands(open_lab, seat, alice, bob, ines, tina, settings):
    settings.SANDBOX_USER_COMMANDS = 1
    Command.objects.create(sandbox=seat(alice).sandbox, by=ines, argv=["x"], time_limit=60)
    for _ in range(broadcast.AT_ONCE):
        broadcast.command(open_lab, "true", PROF, [seat(alice)])
    other = broadcast.command(open_lab, "true", audit.Origin.of(tina), [seat(bob)])
    broadcast.go_on()
    assert Command.objects.filter(sandbox=seat(bob).sandbox).count() == 1
    broadcast.go_on()
    assert other.results.get().done


def _all(lab):
    return list(lab.seats.values_list("pk", flat=True))


def test_what_was_begun_when_the_process_died_is_found_again(open_lab, seat, alice):
    broadcast.command(open_lab, "echo once", PROF, [seat(alice)])
    rounds()
    LabRunResult.objects.update(command=None, done=False, reason=f"begun {time.time() - 1:.3f}")
    rounds()
    row = LabRunResult.objects.get()
    assert row.done
    assert row.command is not None
    assert Command.objects.count() == 1


def test_what_was_claimed_and_never_began_begins(open_lab, seat, alice):
    broadcast.command(open_lab, "echo once", PROF, [seat(alice)])
    LabRunResult.objects.update(reason=f"begun {time.time():.3f}")
    rounds()
    assert LabRunResult.objects.get().command is not None


def test_a_lab_that_is_over_runs_nothing_more(open_lab, seat, alice):
    broadcast.command(open_lab, "echo late", PROF, [seat(alice)])
    opening.close_lab(open_lab, PROF)
    rounds()
    assert LabRunResult.objects.get().reason == "The lab was over."
    assert not Command.objects.exists()


@pytest.mark.parametrize("what", [{"removed_at": timezone.now()}, {"role": "student"}])
def test_who_was_taken_out_meanwhile_runs_nothing_more(open_lab, seat, alice, tina, what):
    """A class takes minutes to be through; what they pressed goes on in nobody's terminal."""
    run = broadcast.command(open_lab, "echo late", audit.Origin.of(tina), [seat(alice)])
    Enrollment.objects.filter(user=tina).update(**what)
    rounds()
    assert run.results.get().reason == "tina may not act in this course any more."
    assert not Command.objects.exists()
