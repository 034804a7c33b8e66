"""Who loses a right while connected loses the sockets that stood on it, within two seconds.

The two seconds are held in the full form (``FAULTS=full``), which has the machine to itself; the short
one shares it and waits ``PATIENCE``. What is printed (``-s``) tells how long it took.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.sessions.models import Session
from django.urls import reverse
from django.utils import timezone

from sandboxes.labs import people
from sandboxes.labs.models import Enrollment, Role
from sandboxes.models import Sandbox, User
from tests.live.conftest import open_socket  # noqa: F401  # a fixture

from .test_sockets import SOCKETS, address, is_served, world  # noqa: F401  # a fixture
from .world import HERE, NOBODY, World

PATIENCE = 20.0
BOUND = 2.0 if os.environ.get("FAULTS") == "full" else PATIENCE
"""Seconds from the loss to the close."""
FLEET, SANDBOX, TERMINAL, SEAT, WALL = SOCKETS
ALL = (FLEET, SANDBOX, TERMINAL, SEAT, WALL)
COURSE = (SANDBOX, TERMINAL, SEAT, WALL)
OWN = (SANDBOX, TERMINAL, SEAT)


def sign_out(world: World, role: str) -> None:  # noqa: F811
    world.browser(role).post(reverse("sign_out"))


def end_the_session(world: World, role: str) -> None:  # noqa: F811
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))


def disable(world: World, role: str) -> None:  # noqa: F811
    User.objects.filter(pk=world.users[role].pk).update(is_active=False)


def change_the_password(world: World, role: str) -> None:  # noqa: F811
    user = User.objects.get(pk=world.users[role].pk)
    user.set_password("another one")
    user.save()


def take_staff_away(world: World, role: str) -> None:  # noqa: F811
    User.objects.filter(pk=world.users[role].pk).update(is_staff=False)


def take_out(world: World, role: str) -> None:  # noqa: F811
    people.remove(place(world, role), world.users["staff"], NOBODY)


def make_a_student(world: World, role: str) -> None:  # noqa: F811
    Enrollment.objects.filter(pk=place(world, role).pk).update(role=Role.STUDENT)


def hand_over(world: World, role: str) -> None:  # noqa: F811
    Sandbox.objects.filter(pk=world.places[HERE].sandbox.pk).update(owner=world.users["stranger"])


def place(world: World, role: str) -> Enrollment:  # noqa: F811
    return Enrollment.objects.select_related("course").get(user=world.users[role], course__title="Here")


@dataclass(frozen=True)
class Loss:
    """What happens to whom, and which sockets it ends; the others stay."""

    act: Callable[[World, str], None]
    role: str
    ends: tuple[str, ...]
    opens: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.act.__name__}-{self.role}"


LOSSES = [
    *(Loss(act, role, ends, ends) for act in (sign_out, end_the_session, disable, change_the_password)
      for role, ends in (("student", (FLEET, *OWN)), ("instructor", ALL))),
    Loss(take_staff_away, "staff", ALL, ALL),
    Loss(take_out, "student", OWN, (FLEET, *OWN)),
    Loss(take_out, "instructor", COURSE, ALL),
    Loss(take_out, "assistant", COURSE, ALL),
    Loss(make_a_student, "instructor", COURSE, ALL),
    Loss(hand_over, "student", (SANDBOX, TERMINAL), (FLEET, *OWN)),
]  # fmt: skip


def test_it_is_tried_often_enough() -> None:
    assert sum(len(loss.ends) for loss in LOSSES) >= 50


@pytest.mark.parametrize("loss", LOSSES, ids=str)
async def test_sockets_end_with_the_right_to_them(
    open_socket: Callable[..., Any],  # noqa: F811
    world: World,  # noqa: F811
    loss: Loss,
) -> None:
    if loss.act is take_out and loss.role == "instructor":
        await sync_to_async(Enrollment.objects.filter(user=world.users["assistant"]).update)(
            role=Role.INSTRUCTOR
        )
    if loss.role != "student":  # a shell that somebody may watch
        watched = await open_socket(address(TERMINAL, world, HERE), client=world.browser("student"))
        assert await is_served(TERMINAL, watched)
    browser = world.browser(loss.role)
    sockets = {path: await open_socket(address(path, world, HERE), client=browser) for path in loss.opens}
    assert all(socket.is_open for socket in sockets.values())
    assert all([await is_served(path, socket) for path, socket in sockets.items()])
    began = time.monotonic()
    await sync_to_async(loss.act)(world, loss.role)
    took = await asyncio.gather(*(ended(sockets[path], began) for path in loss.ends))
    print(f"{loss}: " + " ".join(f"{one:.2f}" for one in took))
    assert max(took) <= BOUND, took
    for path, socket in sockets.items():
        assert socket.is_open is (path not in loss.ends), path
    await are_refused_from_now_on(open_socket, world, loss)


async def ended(socket: Any, began: float) -> float:
    """Seconds until it was closed, whatever it said before."""
    took = 0.0
    async with asyncio.timeout(PATIENCE):
        while socket.is_open:
            got = await socket.communicator.receive_output(timeout=PATIENCE)
            if got["type"] == "websocket.close":
                socket.is_open, socket.code, took = False, got.get("code"), time.monotonic() - began
                await socket.communicator.disconnect(timeout=PATIENCE)
    return took


async def are_refused_from_now_on(open_socket: Any, world: World, loss: Loss) -> None:  # noqa: F811
    """Opened anew, as a page would, each leads nowhere."""
    for path in loss.ends:
        again = await open_socket(address(path, world, HERE), client=world.browser(loss.role))
        if again.is_open and path != FLEET:
            assert (await again.next("goodbye"))["code"] == "not_found", path
