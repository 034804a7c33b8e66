"""A share of the commands for each: nobody's long ones keep others waiting."""

import threading

import pytest
from django.db import connection

from sandboxes import checks
from sandboxes.lifecycle import audit, commands
from sandboxes.lifecycle.refusals import Refused
from sandboxes.models import Command, CommandStatus, Sandbox, Status
from tests.fakes.engine import Script
from tests.fakes.processes import wait_until
from tests.lifecycle.helpers import trail

FOREVER = Script(hold=None)


@pytest.fixture
def begin(pool, engine):
    """Run a command that does not end by itself."""
    engine.scripts[("sh",)] = FOREVER

    def begin(sandbox, user, seconds=None):
        by = audit.Origin.of(user)
        return commands.run(sandbox, "x", origin=by, user=user, time_limit=seconds, wait=0)

    yield begin
    for command in Command.objects.filter(status=CommandStatus.RUNNING).select_related("sandbox"):
        commands.cancel(command, audit.SYSTEM)
    assert wait_until(lambda: not Command.objects.filter(status=CommandStatus.RUNNING).exists())


@pytest.mark.django_db(transaction=True)
def test_a_sandbox_has_its_share(begin, running, alice, prof, settings):
    settings.SANDBOX_COMMANDS = 2
    begin(running, alice)
    begin(running, prof)
    sentence = "quiet-otter has 2 commands running, and may have no more. Wait for one to end, or end one."
    with pytest.raises(Refused) as caught:
        begin(running, alice)
    assert (str(caught.value), caught.value.field) == (sentence, "command")
    assert trail()[-1] == ("command.run", "refused", sentence)
    assert Command.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_person_has_a_share_and_takes_none_of_others(begin, running, launch, alice, bob, settings):
    settings.SANDBOX_USER_COMMANDS = 2
    other = launch(name="calm-heron")
    assert wait_until(lambda: Sandbox.objects.get(pk=other.pk).status == Status.RUNNING)
    begin(running, alice)
    begin(other, alice)
    sentence = "You have 2 commands running, and may have no more. Wait for one to end, or end one."
    with pytest.raises(Refused, match=sentence):
        begin(other, alice)
    assert begin(other, bob).is_running


@pytest.mark.django_db(transaction=True)
def test_what_ended_makes_room(begin, running, alice, settings):
    settings.SANDBOX_COMMANDS = 1
    first = begin(running, alice)
    assert commands.cancel(first, audit.Origin.of(alice), wait=5)
    assert wait_until(lambda: not Command.objects.get(pk=first.pk).is_running)
    assert begin(running, alice).is_running


@pytest.mark.django_db(transaction=True)
def test_many_at_once_take_no_more_than_the_share(begin, running, alice, settings):
    settings.SANDBOX_USER_COMMANDS = 3
    gate, refused = threading.Barrier(8), []

    def one():
        gate.wait()
        try:
            begin(running, alice)
        except Refused as refusal:
            refused.append(refusal)
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (Command.objects.count(), len(refused)) == (3, 5)


@pytest.mark.django_db(transaction=True)
def test_long_ones_of_several_people_leave_room_for_short_ones(
    begin, running, launch, alice, bob, prof, settings
):
    settings.SANDBOX_COMMAND_WORKERS, settings.SANDBOX_COMMAND_TIME_LIMIT = 9, 60
    others = {person: launch(name=f"of-{person.username}", owner=person) for person in (bob, prof)}
    assert wait_until(lambda: Sandbox.objects.filter(status=Status.RUNNING).count() == 3)
    for _ in range(7):
        begin(running, alice, 28800)
    sentence = (
        "Nearly all commands that can run at a time are running: until some have ended, run one at a time"
    )
    for sandbox, person, seconds in ((running, alice, 5), (others[bob], bob, 61)):
        with pytest.raises(Refused, match=sentence):
            begin(sandbox, person, seconds)
    assert begin(others[bob], bob, 60).is_running
    assert begin(running, prof, 61).is_running  # where they teach, they wait as ever


@pytest.mark.parametrize(("share", "threads", "found"), [(8, 32, 0), (32, 32, 2), (8, 0, 0)])
def test_a_share_that_is_everything_is_warned_of(settings, share, threads, found):
    settings.SANDBOX_COMMANDS = settings.SANDBOX_USER_COMMANDS = share
    settings.SANDBOX_COMMAND_WORKERS = threads
    assert [one.id for one in checks.check_commands(None)] == ["sandboxes.W002"] * found
