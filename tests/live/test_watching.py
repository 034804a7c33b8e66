"""Who only watches: types nothing, opens nothing, shapes no window; and the right may come and go."""

from __future__ import annotations

from typing import Any

import pytest

from sandboxes.models import Sandbox

ALLOWED: set[int] = set()


def rule(user: Any, sandbox: Sandbox) -> bool | None:
    """The test's own rule of a room."""
    return user.pk in ALLOWED


@pytest.fixture(autouse=True)
def ruled(settings):
    ALLOWED.clear()
    settings.SANDBOX_TYPING_RULE = f"{__name__}.rule"


async def test_a_watcher_opens_no_shell(open_terminal, running, prof):
    page = await open_terminal(running.pk, prof)
    assert (await page.read(kind="goodbye"))["code"] == "unopened"


async def test_a_watcher_sees_types_nothing_and_leaves_the_window_as_it_is(
    open_terminal, running, alice, prof
):
    mine = await open_terminal(running.pk, alice)
    await mine.read(kind="attached")
    watcher = await open_terminal(running.pk, prof, query="cols=20&rows=5")
    attached = await watcher.read(kind="attached")
    assert (attached["cols"], attached["rows"], attached["others"]) == (80, 24, ["alice"])
    assert (await watcher.read(kind="rights"))["may_type"] is False
    assert (await mine.read(kind="viewers"))["others"] == ["prof"]
    await watcher.type(b"echo no\r")
    assert (await watcher.read(kind="error"))["code"] == "not_allowed"
    await watcher.send({"type": "close"})
    assert (await watcher.read(kind="error"))["code"] == "not_allowed"


async def test_the_right_comes_and_goes_while_connected(open_terminal, running, alice, prof):
    mine = await open_terminal(running.pk, alice)
    await mine.read(kind="attached")
    watcher = await open_terminal(running.pk, prof)
    assert (await watcher.read(kind="rights"))["may_type"] is False
    ALLOWED.add(prof.pk)
    assert (await watcher.read(kind="rights"))["may_type"] is True
    await watcher.type(b"echo yes''please\r")
    ALLOWED.clear()
    assert (await watcher.read(kind="rights"))["may_type"] is False
    await watcher.type(b"x")
    assert (await watcher.read(kind="error"))["code"] == "not_allowed"
