"""Of the output of a sandbox's commands the latest is kept; the records of the others stay and say so."""

import pytest

from sandboxes.lifecycle import audit, commands
from sandboxes.lifecycle.refusals import Refused
from sandboxes.models import Command
from tests.fakes.engine import Script

pytestmark = pytest.mark.django_db


def kept():
    return [len(one.stdout) + len(one.stderr) for one in Command.objects.order_by("created_at")]


def test_the_oldest_output_is_let_go_and_its_record_stays(run, engine, settings):
    settings.SANDBOX_OUTPUT_KEPT = 250
    engine.scripts[("sh",)] = Script((("stdout", b"x" * 60), ("stderr", b"y" * 40)))
    first = run("one")
    for text in ("two", "three"):
        run(text)
    assert kept() == [0, 100, 100]
    first.refresh_from_db()
    assert (first.exit_code, first.stdout_bytes, first.stderr_bytes, str(first)) == (0, 60, 40, "one")


def test_the_newest_is_kept_whatever_its_size(run, engine, settings):
    settings.SANDBOX_OUTPUT_KEPT = 10
    engine.scripts[("sh",)] = Script((("stdout", b"x" * 60),))
    run("one")
    run("two")
    assert kept() == [0, 60]


def test_what_wrote_nothing_lets_nothing_go(run, engine, settings):
    settings.SANDBOX_OUTPUT_KEPT = 60
    engine.scripts[("sh",)] = Script((("stdout", b"x" * 60),))
    run("one")
    engine.scripts[("sh",)] = Script()
    run("two")
    assert kept() == [60, 0]


def test_who_begins_too_many_has_to_wait_in_their_own_sandboxes(run, running, prof, settings):
    settings.SANDBOX_USER_COMMAND_PACE = 2
    run("one")
    run("two")
    with pytest.raises(Refused, match="You began 2 commands in the last 10 minutes"):
        run("three")
    for _ in range(3):  # what staff run for many is not counted
        commands.run(running, "x", origin=audit.Origin.of(prof), user=prof)
    assert Command.objects.filter(by=prof).count() == 3
