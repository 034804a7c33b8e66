"""A socket ends within two seconds of the right to it: one round a second, and the time to say so."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.sessions.models import Session
from django.utils import timezone

from sandboxes.live import terminal
from sandboxes.live.guard import Entry, Guard
from sandboxes.models import Sandbox, Terminal, User
from tests.live.helpers import eventually

BOUND = 15.0
"""Seconds: two, and many more for a busy machine."""


def sign_out(page: Any, alice: User, sandbox: Sandbox) -> None:
    page.client.logout()


def end_session(page: Any, alice: User, sandbox: Sandbox) -> None:
    Session.objects.all().delete()


def let_session_expire(page: Any, alice: User, sandbox: Sandbox) -> None:
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))


def disable(page: Any, alice: User, sandbox: Sandbox) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)


def change_password(page: Any, alice: User, sandbox: Sandbox) -> None:
    alice.set_password("another")
    alice.save()


def give_away(page: Any, alice: User, sandbox: Sandbox) -> None:
    Sandbox.objects.filter(pk=sandbox.pk).update(owner=User.objects.create_user("carol"))


LOSSES = [
    (sign_out, "signed_out", 4401),
    (end_session, "signed_out", 4401),
    (let_session_expire, "signed_out", 4401),
    (disable, "disabled", 4401),
    (change_password, "signed_out", 4401),
    (give_away, "not_found", 4404),
]


@pytest.mark.parametrize("path", ["/ws/sandboxes/{}/", "/ws/sandboxes/{}/terminals/main/"])
@pytest.mark.parametrize(("lose", "code", "close"), LOSSES, ids=[one[0].__name__ for one in LOSSES])
async def test_the_socket_ends_with_the_right_to_it(
    open_socket: Any,
    alice: User,
    running: Sandbox,
    path: str,
    lose: Callable[..., None],
    code: str,
    close: int,
) -> None:
    page = await open_socket(path.format(running.pk), alice)
    assert page.is_open
    began = time.monotonic()
    await sync_to_async(lose)(page, alice, running)
    assert (await next_text(page))["code"] == code
    assert await next_text(page, "") == {"closed": close}
    assert time.monotonic() - began < BOUND


async def next_text(page: Any, kind: str = "goodbye") -> Any:
    """The next such frame; bytes of a terminal are passed over."""
    while True:
        try:
            return await page.next(kind, BOUND)
        except KeyError:
            continue


async def test_its_shell_does_not_wait_for_who_may_not_come_back(
    open_socket: Any, alice: User, running: Sandbox, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SANDBOX_TERMINAL_GRACE = 600
    monkeypatch.setattr(terminal, "SENT_AWAY", 0.05)
    page = await open_socket(f"/ws/sandboxes/{running.pk}/terminals/main/", alice)
    await next_text(page, "attached")
    await sync_to_async(page.client.logout)()
    assert (await next_text(page))["code"] == "signed_out"
    await page.communicator.disconnect(timeout=BOUND)
    ended = Terminal.objects.filter(sandbox_id=running.pk).exclude(ended_at=None)
    assert await eventually(ended.aexists)


async def test_others_go_on(open_socket: Any, alice: User, bob: User, running: Sandbox) -> None:
    page, other = await open_socket("/ws/sandboxes/", alice), await open_socket("/ws/sandboxes/", bob)
    await sync_to_async(page.client.logout)()
    assert (await page.next("goodbye", BOUND))["code"] == "signed_out"
    assert await other.quiet(1.2, "goodbye")


async def test_new_rights_need_a_new_socket(open_socket: Any, prof: User) -> None:
    page = await open_socket("/ws/sandboxes/", prof)
    await sync_to_async(User.objects.filter(pk=prof.pk).update)(is_staff=False)
    assert await page.next("goodbye", BOUND) == {"closed": 1012}


async def test_a_watched_sandbox_that_is_given_away_shows_no_more_numbers(
    open_socket: Any, alice: User, running: Sandbox
) -> None:
    page = await open_socket("/ws/sandboxes/", alice)
    await page.send({"type": "watch", "ids": [running.pk]})
    assert (await page.next("stats"))["rows"]
    await sync_to_async(give_away)(page, alice, running)
    for _ in range(10):  # on a busy machine some may still be on their way
        if await page.quiet(1.5, "stats"):
            break
    else:
        raise AssertionError("The numbers go on.")
    assert page.is_open


def test_a_round_has_four_queries_however_many_sockets(
    django_assert_num_queries: Any, alice: User, bob: User, launch: Any, client: Any
) -> None:
    client.force_login(alice)
    key = client.session.session_key
    ids = [launch(name=f"box-{number}").pk for number in range(5)]
    from sandboxes import access

    guard = Guard(lambda user, sandbox: access.can(user, sandbox, access.VIEW), learn=access.learn)
    entries: list[Any] = [
        Entry(None, alice.pk, key, False, pk, watched=frozenset(ids))  # type: ignore[arg-type]
        for pk in ids * 20
    ]
    with django_assert_num_queries(4):
        assert guard.check(entries) == []
    entries.append(Entry(None, bob.pk, key, False, ids[0]))  # type: ignore[arg-type]
    assert [one.code for one in guard.check(entries)] == ["signed_out"]
