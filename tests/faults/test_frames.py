"""Sockets that are sent nonsense: answered or shown the door, never a fault, and nothing piles up."""

from __future__ import annotations

import json
import logging
import random
import resource
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from sandboxes.consumers.base import Bucket
from sandboxes.models import Command
from tests.gates.test_sockets import SOCKETS, address, world  # noqa: F401  # a fixture
from tests.gates.world import HERE, World
from tests.live.conftest import open_socket  # noqa: F401  # a fixture
from tests.live.helpers import eventually

WORDS = (
    *("type", "watch", "ids", "follow", "unfollow", "command", "ack", "offset", "resize", "cols", "rows"),
    *("redraw", "close", "record", "on"),
    *("ping", "__proto__", "constructor", "", "\x00", "\u202e", "\U0001f600", "a" * 300),
)
ODD = (
    *("", " ", "null", "[]", "{}", "0", "1e999", "NaN", "-Infinity", '"', "{", '{"type":', '{"type":1}'),
    *("\ufeff{}", '{"type":"\\ud800"}', "[" * 5000, '{"a":' * 2000, '{"type":"watch","type":"ack"}'),
    *("\x00" * 64, "\x1b]52;c;?\x07"),
)
NUMBERS = (0, 1, -1, 2**31, 2**63, 2**200, 1.5, 1e308, True, None)
ROUGH = 8 << 20
CALM = {4401, 4404, 4409, 4429, 4503, 1000, 1012}
"""Codes with which a socket may be closed."""


def value(dice: random.Random, depth: int = 0) -> Any:
    kind = dice.randrange(5 if depth < 3 else 3)
    if kind == 0:
        return dice.choice(NUMBERS)
    if kind == 1:
        return dice.choice(WORDS)
    if kind == 2:
        return "".join(chr(dice.randrange(1, 0x2FFF)) for _ in range(dice.randrange(40)))
    if kind == 3:
        return [value(dice, depth + 1) for _ in range(dice.randrange(6))]
    return {dice.choice(WORDS): value(dice, depth + 1) for _ in range(dice.randrange(5))}


def frame(dice: random.Random) -> dict[str, Any]:
    """One frame of nonsense, more or less like one of ours."""
    kind = dice.randrange(10)
    if kind < 5:
        message = {"type": dice.choice(WORDS)} | {dice.choice(WORDS): value(dice) for _ in range(3)}
        return {"text": json.dumps(message)}
    if kind < 7:
        return {"text": dice.choice(ODD)}
    if kind == 7:
        return {"text": json.dumps(value(dice))}
    size = (
        min(int(2 ** dice.uniform(0, 14)), ROUGH) if dice.random() < 0.995 else dice.choice((70_000, ROUGH))
    )
    return {"bytes": dice.randbytes(size)} if kind == 8 else {"text": "x" * size}


class Line:
    """One socket, opened anew whenever it was shown the door."""

    def __init__(self, opened: Callable[[], Any]) -> None:
        self._open, self.socket, self.doors = opened, None, 0

    async def send(self, frames: list[dict[str, Any]]) -> None:
        if self.socket is None:
            self.socket = await self._open()
            assert self.socket.is_open, (self._open, self.socket.code)
        for one in frames:
            await self.socket.communicator.send_input({"type": "websocket.receive", **one})
        await self.settle()

    async def settle(self) -> None:
        """Until all is read; takes what comes back."""
        link = self.socket.communicator
        assert await eventually(lambda: link.input_queue.empty() or link.future.done(), 60)
        while not link.output_queue.empty():
            got = link.output_queue.get_nowait()
            if got["type"] == "websocket.close":
                assert got["code"] in CALM, got
                self.doors += 1
                await self.socket.close()
                self.socket = None
                return
        if link.future.done():
            link.future.result()  # raises what it died of


def memory() -> int:
    """The most that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


@pytest.mark.parametrize("patient", [True, False], ids=["heard", "braked"])
async def test_no_frame_is_a_fault(
    open_socket: Callable[..., Any],  # noqa: F811
    world: World,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    dice: random.Random,
    scale: Callable[[int, int], int],
    told: Callable[..., None],
    patient: bool,
) -> None:
    """Heard: the brake is off, so that each frame is looked at. Braked: as it is."""
    if patient:
        monkeypatch.setattr(Bucket, "take", lambda self, count=1.0: True)
    await sync_to_async(Command.objects.update)(status="exited")  # those of that world never ran
    lines = [Line(partial(open_socket, address(path, world, HERE), client=world.browser(role)))
             for path, role in zip(SOCKETS, ["student"] * 4 + ["instructor"], strict=True)]  # fmt: skip
    count, before = scale(800, 10_000), 0
    with caplog.at_level(logging.ERROR):
        for number in range(count // 100):
            for line in lines:
                await line.send([frame(dice) for _ in range(100 // len(lines))])
            before = before or (memory() if number == 0 else before)
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR] == []
    told(
        frames=count, faults=0, shown_the_door=sum(line.doors for line in lines), grown_mib=memory() - before
    )
    assert memory() - before <= 32
    for line in lines:
        if line.socket is not None:
            with suppress(TimeoutError):
                await line.socket.close()
