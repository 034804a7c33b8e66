"""How many sockets one person may have, how many may look at one terminal, and what that puts on record."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.conf import settings as defaults

from sandboxes.consumers import presence
from sandboxes.lifecycle import refusals
from sandboxes.live import hub
from sandboxes.models import Event, Outcome

from .helpers import eventually

pytestmark = pytest.mark.django_db(transaction=True)
FLEET = "/ws/sandboxes/"


async def goodbye(socket: Any) -> tuple[str, str, int]:
    """Code, reason, and the code with which it was closed."""
    said = await socket.next("goodbye")
    return said["code"], said["reason"], (await socket.next())["closed"]


async def test_one_person_has_so_many_sockets_and_no_more(open_socket: Any, alice: Any, bob: Any) -> None:
    most = defaults.SANDBOX_USER_SOCKETS
    assert most == 120
    browser = (first := await open_socket(FLEET, alice)).client
    for _ in range(most - 1):
        assert (await open_socket(FLEET, client=browser)).is_open
    code, reason, closed = await goodbye(await open_socket(FLEET, client=browser))
    assert (code, closed) == ("too_many", 4429)
    assert "120 pages and terminals" in reason
    assert hub.current().guard.count(alice.pk) == most
    on_record = Event.objects.filter(action="socket.open", outcome=Outcome.REFUSED, actor_name="alice")
    assert await eventually(on_record.aexists)
    others = await open_socket(FLEET, bob)
    assert (await others.next())["type"] == "engine"
    await first.close()
    again = await open_socket(FLEET, client=browser)
    assert (await again.next())["type"] == "engine"


async def test_a_refused_socket_hears_nothing(
    open_socket: Any, running: Any, alice: Any, settings: Any
) -> None:
    settings.SANDBOX_USER_SOCKETS = 1
    browser = (await open_socket(FLEET, alice)).client
    for path in (f"/ws/sandboxes/{running.pk}/", f"/ws/sandboxes/{running.pk}/terminals/main/"):
        socket = await open_socket(path, client=browser)
        assert (await socket.next())["code"] == "too_many", path
        assert await socket.next() == {"closed": 4429}


@pytest.fixture
async def shell(open_terminal: Any, running: Any, alice: Any) -> Any:
    """Its owner's page."""
    page = await open_terminal(running.pk, alice)
    await page.read(kind="attached")
    return page


async def test_so_many_may_look_at_one_terminal_and_its_owner_always(
    open_terminal: Any, shell: Any, running: Any, alice: Any, prof: Any, settings: Any
) -> None:
    settings.SANDBOX_TERMINAL_VIEWERS = 3  # the owner's page is one of them
    first, second = [await open_terminal(running.pk, prof) for _ in range(2)]
    for page in (first, second):
        await page.read(kind="attached")
    third = await open_terminal(running.pk, prof)
    said = await third.read(kind="goodbye")
    assert (said["code"], said["reason"][:32]) == ("too_many", "As many look at this terminal as")
    await third.read(kind="closed")
    assert third.code == 4429
    await (await open_terminal(running.pk, alice)).read(kind="attached")
    await first.leave()
    await second.leave()
    await (await open_terminal(running.pk, prof)).read(kind="attached")


async def test_of_many_who_come_at_once_no_more_get_in(
    open_terminal: Any, shell: Any, running: Any, prof: Any, settings: Any
) -> None:
    settings.SANDBOX_TERMINAL_VIEWERS = 4
    pages = await asyncio.gather(*(open_terminal(running.pk, prof) for _ in range(12)))
    kinds = [(await page.read_one())["type"] for page in pages]
    assert sorted(kinds) == ["attached"] * 3 + ["goodbye"] * 9


async def test_coming_and_going_does_not_fill_the_trail(
    open_terminal: Any, shell: Any, running: Any, prof: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "AWAY", 300.0)
    for _ in range(25):
        page = await open_terminal(running.pk, prof)
        await page.read(kind="attached")
        await page.leave()
    assert await Event.objects.filter(action="terminal.join", actor_name="prof").acount() == 1
    assert not await Event.objects.filter(action="terminal.leave").aexists()


async def test_two_pages_are_one_who_looks(
    open_terminal: Any, shell: Any, running: Any, prof: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "AWAY", 0.05)
    first, second = [await open_terminal(running.pk, prof) for _ in range(2)]
    for page in (first, second):
        await page.read(kind="attached")
    await first.leave()
    await asyncio.sleep(0.3)
    left = Event.objects.filter(action="terminal.leave", actor_name="prof")
    assert not await left.aexists()
    await second.leave()
    assert await eventually(left.aexists)
    assert await Event.objects.filter(action="terminal.join", actor_name="prof").acount() == 1


async def test_knocking_at_a_terminal_that_is_not_to_be_had_does_not_fill_the_trail(
    open_terminal: Any, paused: Any, alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "bound", refusals.Bound(burst=5, pause=1000))
    for _ in range(40):
        assert (await (await open_terminal(paused.pk, alice)).read(kind="goodbye"))["code"] == "paused"
    assert await Event.objects.filter(action="terminal.open", outcome=Outcome.REFUSED).acount() == 5
