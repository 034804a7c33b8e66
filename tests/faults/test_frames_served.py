"""Nonsense over the wire: fragments, masks and broken frames to a served product, whose memory stays."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest

from bench.person import Person, web_process
from bench.terminal import Ours
from bench.wire import BINARY, CLOSE, MORE, PING, PONG, TEXT, Closed, Wire, framed
from tests.browser.product import Product

from .conftest import FULL
from .crowd import echoes, settled, web_memory
from .test_frames import frame

pytestmark = [pytest.mark.engine]
GROWTH = 32
"""MiB that the web process may have more after all of it than after the first frames."""
HELLO = b"stty raw -echo; exec cat\n"
"""What is typed must not end the shell each time."""
LARGEST = 4 << 20
END = b"the end"


@pytest.fixture
def alice(plain_product: Product) -> Iterator[Person]:
    yield Person(plain_product)
    plain_product.sweep()
    settled(lambda: not plain_product.names(), 60)


class Shared(Wire):
    """Two tasks send on it: the nonsense, and acknowledgements. It knows when a ping was answered."""

    async def __aenter__(self) -> Shared:
        self._one_at_a_time, self.is_answered = asyncio.Lock(), asyncio.Event()
        await super().__aenter__()
        return self

    async def frame(self) -> tuple[int, bytes]:
        got = await super().frame()
        if got == (PONG, END):
            self.is_answered.set()
        return got

    async def send_raw(self, data: bytes) -> None:
        async with self._one_at_a_time:
            await super().send_raw(data)


class Line:
    """One socket that reads what it is told, opened anew whenever it was shown the door."""

    def __init__(self, person: Person, path: str, hello: bytes = b"") -> None:
        self._person, self._path, self._hello = person, path, hello
        self._wire: Shared | None = None
        self._hearing: asyncio.Task[None] | None = None
        self.doors = -1

    async def send(self, data: bytes) -> None:
        if self._wire is None or self._hearing is None or self._hearing.done():
            await self._open()
        assert self._wire is not None
        try:
            await self._wire.send_raw(data)
        except OSError:  # closed in the middle of it
            await self._open()

    async def renew(self) -> None:
        """After what the protocol does not have: it is closed, or waits for a rest that does not come."""
        assert self._hearing is not None
        await asyncio.wait([self._hearing], timeout=1)
        await self._open()

    async def settle(self, seconds: float) -> None:
        """Until all that was sent is read, or it was shown the door."""
        assert self._wire is not None
        assert self._hearing is not None
        async with asyncio.timeout(seconds):
            while not (self._wire.is_answered.is_set() or self._hearing.done()):
                await self.send(framed(PING, END, MASK))
                await asyncio.sleep(0.3)

    async def _open(self) -> None:
        await self.close()
        url = self._person.product.url
        wire = Shared(url.replace("http", "ws") + self._path, url, self._person.cookies())
        self._wire, self.doors = await wire.__aenter__(), self.doors + 1
        self._hearing = asyncio.create_task(self._hear(Ours(self._wire)))
        if self._hello:
            await self._wire.send(self._hello)

    async def _hear(self, ours: Ours) -> None:
        with suppress(Closed, OSError):
            while True:
                await ours.read()

    async def close(self) -> None:
        if self._hearing is not None and self._wire is not None:
            self._hearing.cancel()
            await asyncio.wait([self._hearing])
            await self._wire.__aexit__()

    async def is_cut_off(self, data: bytes, seconds: float) -> None:
        """Send this on a new socket, and wait until that is closed."""
        await self._open()
        assert self._wire is not None
        assert self._hearing is not None
        with suppress(OSError):  # closed in the middle of it
            await self._wire.send_raw(data)
        await asyncio.wait_for(self._hearing, seconds)


def on_the_wire(dice: random.Random) -> bytes:
    """One message of nonsense as bytes: whole, or in fragments."""
    one = frame(dice)
    kind = BINARY if "bytes" in one else TEXT
    payload = one["bytes"] if "bytes" in one else one["text"].encode(errors="surrogatepass")
    return b"".join(fragments(kind, payload, dice, dice.choice((0, 0, 0, 1, 2, 7))))


def fragments(kind: int, payload: bytes, dice: random.Random, cuts: int) -> Iterator[bytes]:
    """Cut anywhere, empty pieces too, each with a mask of its own; a ping may come between."""
    at = [0, *sorted(dice.randrange(len(payload) + 1) for _ in range(cuts)), len(payload)]
    for number, (begin, end) in enumerate(pairwise(at)):
        yield framed(MORE if number else kind, payload[begin:end], dice.randbytes(4), end=number == cuts)
        if dice.random() < 0.1:
            yield framed(PING, dice.randbytes(dice.randrange(126)), dice.randbytes(4))


MASK = b"\x01\x02\x03\x04"
BROKEN: Sequence[Callable[[random.Random], bytes]] = (
    lambda dice: b"\x81\x02{}",  # without a mask
    lambda dice: framed(dice.choice((3, 7, 11, 15)), b"x", MASK),  # a kind that there is not
    lambda dice: bytes([0x81 | dice.choice((16, 32, 64)), 0x80]) + MASK,  # a reserved bit
    lambda dice: framed(MORE, b"x", MASK),  # goes on with nothing
    lambda dice: framed(TEXT, b"{", MASK, end=False) * 2,  # begins in the middle
    lambda dice: framed(TEXT, dice.choice((b"\xff\xfe", b"\xed\xa0\x80", b"\xc3")), MASK),  # no text
    lambda dice: (
        struct.pack(">BBQ", 0x82, 0xFF, 2 ** dice.choice((23, 31, 62, 63))) + MASK
    ),  # says it is huge
    lambda dice: framed(PING, b"x" * 126, MASK),  # a ping of that size may not be
    lambda dice: framed(PING, b"", MASK, end=False),  # nor one in fragments
    lambda dice: framed(CLOSE, dice.choice((b"\x03", b"\x00\x01", b"\x03\xe8\xff")), MASK),
    lambda dice: dice.randbytes(dice.randrange(1, 2000)),
)
"""Not as the protocol has it."""


async def test_no_frame_on_the_wire_is_a_fault(
    plain_product: Product, alice: Person, dice: random.Random, scale: Any, told: Any
) -> None:
    sandbox = await asyncio.to_thread(alice.launch, "nonsense")
    terminal = f"/ws/sandboxes/{sandbox}/terminals/{{}}/?cols=80&rows=24"
    lines = [Line(alice, "/ws/sandboxes/"), Line(alice, f"/ws/sandboxes/{sandbox}/"),
             *(Line(alice, terminal.format(f"t{number}"), HELLO) for number in range(4))]  # fmt: skip
    worker = web_process(plain_product)
    await asyncio.gather(too_large(alice), *(press(line, dice, 50) for line in lines))  # warm
    before, most = web_memory(plain_product), 0.0
    count = scale(600, 20_000) // len(lines)
    more = [too_large(alice)] if FULL else []
    pressing = asyncio.gather(*more, *(press(line, dice, count) for line in lines))
    while not pressing.done():
        most = max(most, web_memory(plain_product) - before)
        await asyncio.sleep(0.1)
    await pressing
    for line in lines:
        await line.close()
    await echoes(alice, sandbox, 1)
    assert web_process(plain_product) == worker
    log = plain_product.log()
    assert "Traceback" not in log, log[-4000:]
    told(frames=count * len(lines), opened_anew=sum(line.doors for line in lines), most_mib=round(most, 1),
         after_mib=round(web_memory(plain_product) - before, 1))  # fmt: skip
    assert most <= GROWTH


async def press(line: Line, dice: random.Random, count: int) -> None:
    for _ in range(count):
        if dice.random() < 0.02:
            await line.send(dice.choice(BROKEN)(dice))
            await line.renew()
        else:
            await line.send(on_the_wire(dice))
    await line.settle(120)


async def too_large(person: Person) -> None:
    """More than the server takes of one message, whole or in fragments: cut off at once, or as it comes."""
    line = Line(person, "/ws/sandboxes/")
    await line.is_cut_off(framed(BINARY, bytes(LARGEST + 1), MASK), 60)
    more = framed(MORE, bytes(LARGEST // 8), MASK, end=False)
    await line.is_cut_off(framed(BINARY, b"", MASK, end=False) + more * 9, 120)
    await line.close()
