"""Every socket, for everybody, for what is theirs, somebody else's or missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from sandboxes import asgi
from sandboxes.lifecycle import refusals
from sandboxes.models import Event, Image, Outcome
from tests.live.conftest import open_socket  # noqa: F401  # a fixture
from tests.live.helpers import eventually

from . import world as worlds
from .rules import EVERYBODY, LOOK, SEE, WORK, Pairs
from .world import HERE, MISSING, ROLES, THERE, World

SOCKETS: dict[str, Pairs] = {
    "ws/sandboxes/": EVERYBODY,
    "ws/sandboxes/<sandbox>/": SEE,
    "ws/sandboxes/<sandbox>/terminals/main/": SEE,
    "ws/seats/<seat>/": WORK,
    "ws/labs/<lab>/wall/": LOOK,
}
NOTHING = {"sandbox": "sb_nothinghere", "seat": "seat_nothing", "lab": "lab_nothing"}
ORIGINS = (
    "https://testserver", "http://testserver:9999", "http://testserver:443", "http://testserver.evil.example",
    "http://eviltestserver", "http://evil.example", "http://user@testserver", "http://testserver/path",
    "ftp://testserver", "null", "", "http://127.0.0.1",
)  # fmt: skip


def patterns() -> list[str]:
    """As asgi has them, without the last one, which takes what leads nowhere."""
    return [pattern for pattern in asgi.paths if pattern]


def pattern_of(path: str) -> str:
    return next(one for one in patterns() if re.match(one, filled(path, NOTHING)))


def filled(path: str, ids: dict[str, str]) -> str:
    return re.sub(r"<(\w+)>", lambda one: ids[one[1]], path)


def address(path: str, world: World, target: str) -> str:
    place = world.places.get(target)
    ids = {name: getattr(place, name).pk for name in NOTHING} if place else NOTHING
    return f"/{filled(path, ids)}"


@pytest.fixture
async def world(engine: Any, transactional_db: None, image: Image) -> World:
    return await sync_to_async(worlds.build)(image)


def test_every_socket_has_a_row() -> None:
    assert sorted(map(pattern_of, SOCKETS)) == sorted(patterns())


@pytest.mark.parametrize("path", SOCKETS)
async def test_who_may_open_it(open_socket: Callable[..., Any], world: World, path: str) -> None:  # noqa: F811
    """Refused before it is accepted where nobody is signed in; else as if missing, and on record."""
    wrong = []
    for role in ROLES:
        for target in (HERE, THERE, MISSING) if "<" in path else (HERE,):
            may = (role, target) in SOCKETS[path]
            refusals.bound = refusals.Bound()
            noted = await refused()
            socket = await open_socket(address(path, world, target), client=world.browser(role))
            if role in ("anonymous", "disabled"):
                met = not socket.is_open
            elif may:
                met = socket.is_open and await is_served(path, socket)
            else:
                met = await socket.next("goodbye") == gone(path) and await socket.next() == {"closed": 4404}
                met = met and await eventually(partial(later, noted))
            if not met:
                wrong.append(f"{role}: {target}")
            await socket.close()
    assert wrong == []


async def is_served(path: str, socket: Any) -> bool:
    """A seat's has nothing to say at first."""
    if "seats" in path:
        return bool(await socket.quiet(0.1, "goodbye"))
    return (await socket.first())["type"] != "goodbye"


def gone(path: str) -> dict[str, str]:
    """The same word for what is missing and for what is not theirs."""
    what = {"sandboxes": "sandbox", "seats": "seat", "labs": "lab"}[path.split("/")[1]]
    return {"type": "goodbye", "code": "not_found", "reason": f"There is no such {what}."}


@sync_to_async
def refused() -> int:
    return Event.objects.filter(outcome=Outcome.REFUSED).count()


async def later(before: int) -> bool:
    return await refused() > before


@pytest.mark.parametrize("path", SOCKETS)
async def test_pages_of_another_origin_open_none(
    open_socket: Callable[..., Any],  # noqa: F811
    world: World,
    path: str,
) -> None:
    """Scheme, host and port must be ours, also for who may; each refusal is on record."""
    role = next(iter(role for role, target in sorted(SOCKETS[path]) if target == HERE))
    to = address(path, world, HERE)
    for origin in ORIGINS:
        refusals.bound = refusals.Bound()
        socket = await open_socket(to, client=world.browser(role), origin=origin)
        assert not socket.is_open, origin
    assert await eventually(lambda: later(len(ORIGINS) - 1))
    socket = await open_socket(to, client=world.browser(role))
    assert socket.is_open
