"""Who finds a fresh shell where there was one is told how that one ended, and when."""

from datetime import datetime, timedelta

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from sandboxes.engine.base import Unreachable
from sandboxes.lifecycle import actions, audit, terminals
from sandboxes.live.registry import registry
from sandboxes.models import Event, Outcome, Terminal
from tests.live.helpers import eventually

pytestmark = pytest.mark.django_db(transaction=True)


async def greeted(open_terminal, sandbox, who, name="main"):
    page = await open_terminal(sandbox.pk, who, name)
    return page, await page.read(kind="attached")


async def gone(page, sandbox):
    """Its page is left, and the shell off the record."""
    await page.read(kind="ended")
    await page.leave()
    assert await eventually(lambda: not registry.of(sandbox.pk))
    assert await eventually(lambda: Event.objects.filter(action="terminal.end").aexists())


@pytest.mark.parametrize(("code", "sentence"), [(0, ""), (3, "The shell has ended with exit code 3.")])
async def test_of_one_that_was_left_by_exit(open_terminal, running, alice, code, sentence):
    first, greeting = await greeted(open_terminal, running, alice)
    assert "before" not in greeting
    await first.type(b"exit %d\r" % code)
    await gone(first, running)
    _, greeting = await greeted(open_terminal, running, alice)
    assert greeting["before"]["sentence"] == sentence
    assert (
        timedelta() < timezone.now() - datetime.fromisoformat(greeting["before"]["at"]) < timedelta(minutes=5)
    )


async def test_so_is_every_page_that_comes_to_the_new_one(open_terminal, running, alice, prof):
    first, _ = await greeted(open_terminal, running, alice)
    await first.type(b"exit\r")
    await gone(first, running)
    _, told = await greeted(open_terminal, running, alice)
    _, too = await greeted(open_terminal, running, prof)
    assert told["before"] == too["before"]


async def test_of_one_whose_server_process_is_gone(open_terminal, running, alice, engine):
    await Terminal.objects.acreate(sandbox=running, name="main", process="dead-1")
    _, greeting = await greeted(open_terminal, running, alice)
    assert greeting["before"]["sentence"] == "Its server process ended."


async def test_of_one_that_nobody_watched(open_terminal, running, alice, settings):
    settings.SANDBOX_TERMINAL_GRACE = 0.1
    page, _ = await greeted(open_terminal, running, alice)
    await page.leave()
    assert await eventually(lambda: Event.objects.filter(action="terminal.end").aexists())
    _, greeting = await greeted(open_terminal, running, alice)
    assert greeting["before"]["sentence"] == "Nobody was watching any more, so the shell was ended."


async def test_of_one_that_went_with_its_sandbox(open_terminal, running, alice):
    row = await Terminal.objects.acreate(sandbox=running, name="main", process="dead-1")
    end = sync_to_async(terminals.ended)
    await end(row, "This sandbox is being restarted.", audit.ENGINE)
    _, greeting = await greeted(open_terminal, running, alice)
    assert greeting["before"]["sentence"] == "This sandbox was restarted."


async def test_a_restart_is_the_reason_and_no_shells_own_end(open_terminal, running, alice, prof):
    page, _ = await greeted(open_terminal, running, alice)
    await sync_to_async(actions.restart)(running, by=audit.Origin("user", prof.pk, "prof"), wait=None)
    ended = await page.read(kind="ended")
    told = (ended["reason"], ended["sentence"], ended["again"])
    assert told == ("restarted", "This sandbox was restarted by prof.", False)
    page, _ = await greeted(open_terminal, running, alice)
    await page.type(b"exit 3\r")  # later, and by itself
    assert (await page.read(kind="ended"))["reason"] == "exited"


async def test_what_one_closed_oneself_one_knows(open_terminal, running, alice, prof):
    page, _ = await greeted(open_terminal, running, alice)
    await page.send({"type": "close"})
    await gone(page, running)
    page, greeting = await greeted(open_terminal, running, alice)
    assert "before" not in greeting
    await page.send({"type": "close"})
    await gone(page, running)
    _, greeting = await greeted(open_terminal, running, prof)
    assert greeting["before"]["sentence"] == "Closed by alice."


async def test_of_no_other_name_and_of_none_that_never_came_up(open_terminal, running, alice, engine):
    two, _ = await greeted(open_terminal, running, alice, "two")
    await two.type(b"exit\r")
    await gone(two, running)
    engine.fail["open_terminal"] = Unreachable("The engine does not answer.")
    refused = await open_terminal(running.pk, alice)
    await refused.read(kind="goodbye")
    assert await Event.objects.filter(action="terminal.open", outcome=Outcome.FAILED).aexists()
    del engine.fail["open_terminal"]
    _, greeting = await greeted(open_terminal, running, alice)
    assert "before" not in greeting
