"""What only the real server shows: frames that are too large, foreign pages, and how it goes away."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
import websockets

from bench.person import Person, web_process
from tests.browser.product import Product, running
from tests.live.helpers import eventually

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with running(tmp_path_factory.mktemp("product"), SANDBOX_LEASE="3") as one:
        yield one


@pytest.fixture(scope="module")
def alice(product: Product) -> Person:
    return Person(product, "alice")


@pytest.fixture(scope="module")
def sandbox(alice: Person) -> str:
    return alice.launch("real")


async def frame(ws: Any, kind: str, seconds: float = 10) -> dict[str, Any]:
    """The next control frame of a kind."""
    async with asyncio.timeout(seconds):
        while True:
            got = await ws.recv()
            if isinstance(got, str) and json.loads(got)["type"] == kind:
                return dict(json.loads(got))


async def answer(ws: Any, line: str, mark: bytes) -> None:
    """Type a line and read until its answer."""
    await ws.send(line.encode() + b"\r")
    seen = b""
    async with asyncio.timeout(10):
        while mark not in seen:
            got = await ws.recv()
            seen += got if isinstance(got, bytes) else b""


async def status_of_refusal(connect: Any) -> int:
    """The HTTP status with which a handshake was refused."""
    with pytest.raises(websockets.InvalidStatus) as caught:
        async with connect:
            pass
    return int(caught.value.response.status_code)


async def test_a_frame_of_two_mebibytes_is_answered_and_nothing_else_happens(alice, sandbox):
    async with alice.terminal(sandbox) as ws, alice.terminal(sandbox) as other:
        await frame(ws, "attached")
        for data in (b"x" * (2 << 20), "x" * (2 << 20)):
            await ws.send(data)
            assert (await frame(ws, "error"))["code"] == "too_big"
        await answer(ws, "echo still ''typing", b"still typing")
        await answer(other, "echo st''ill here", b"still here")


async def test_a_frame_beyond_all_reason_ends_its_socket_and_nothing_else(alice, sandbox):
    async with alice.terminal(sandbox) as ws, alice.terminal(sandbox) as other:
        await frame(ws, "attached")
        with contextlib.suppress(websockets.ConnectionClosed):
            await ws.send(b"x" * (8 << 20))
        with pytest.raises(websockets.ConnectionClosed):
            await frame(ws, "never")
        await answer(other, "echo st''ill here", b"still here")


async def test_a_frame_above_our_own_limit_is_answered(alice, sandbox):
    async with alice.terminal(sandbox) as ws:
        await frame(ws, "attached")
        await ws.send(b"x" * (65 * 1024))
        assert (await frame(ws, "error"))["code"] == "too_big"
        await ws.send('{"type":"' + "x" * 70_000 + '"}')
        assert (await frame(ws, "error"))["code"] == "too_big"


async def test_foreign_pages_and_strangers_get_no_socket(product, alice, sandbox):
    port = product.port + 1
    for origin in (
        f"http://127.0.0.1:{port}",
        "http://evil.example",
        f"https://127.0.0.1:{product.port}",
        None,
    ):
        assert await status_of_refusal(alice.terminal(sandbox, origin=origin)) == 403, origin
    assert await status_of_refusal(alice.terminal(sandbox, cookies="")) == 403
    async with Person(product, "bob").terminal(sandbox) as ws:
        assert (await frame(ws, "goodbye"))["code"] == "not_found"


def handshake(product: Product, cookies: str, *lines: str, version: str = "1.1", origin: str = "") -> int:
    """The status that a head of ours is answered with, written by hand, also as no client would."""
    head = [f"GET /ws/sandboxes/ HTTP/{version}", f"Host: 127.0.0.1:{product.port}", f"Cookie: {cookies}",
            f"Origin: {origin or product.url}", *lines]  # fmt: skip
    with socket.create_connection(("127.0.0.1", product.port), 30) as one:
        one.sendall("\r\n".join([*head, "", ""]).encode())
        return int(one.recv(4096).split(b" ")[1])


UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
           "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "version", "usual", "refused"),
    [
        (UPGRADE, "1.0", 101, 403),
        ((*UPGRADE, "Sec-WebSocket-Protocol: " + "x" * 5000), "1.1", 101, 403),
        ((*UPGRADE, "Sec-WebSocket-Protocol: " + ", ".join(map(str, range(1000)))), "1.1", 101, 403),
        ((*UPGRADE, "Sec-WebSocket-Protocol: a, a"), "1.1", 400, 400),
        ((), "1.1", 404, 404),
    ],
    ids=["HTTP 1.0", "a protocol of 5,000 characters", "a thousand", "one twice", "no upgrade"],
)
def test_odd_handshakes_are_held_to_the_same(product, alice, lines, version, usual, refused):
    ours, theirs = alice.cookies(), "http://evil.example"
    assert handshake(product, ours, *lines, version=version) == usual
    assert handshake(product, "", *lines, version=version) == refused
    assert handshake(product, ours, *lines, version=version, origin=theirs) == refused


def test_the_cookie_of_somebody_who_signed_out_opens_none(product):
    person = Person(product, "prof")
    kept = person.cookies()
    assert handshake(product, kept, *UPGRADE) == 101
    person.post("/sign-out/")
    assert handshake(product, kept, *UPGRADE) == 403


async def test_signing_out_closes_the_terminal_within_two_seconds(product, sandbox):
    person = Person(product, "prof")
    async with person.terminal(sandbox) as ws:
        await frame(ws, "attached")
        await asyncio.to_thread(person.post, "/sign-out/")
        began = time.monotonic()
        assert (await frame(ws, "goodbye"))["code"] == "signed_out"
        assert time.monotonic() - began < 8


async def test_a_killed_server_leaves_no_shell_one_round_later(product, alice, sandbox):
    async with alice.terminal(sandbox, "doomed") as ws:
        await answer(ws, "sleep 4720 & echo st''arted", b"started")
        os.kill(web_process(product), signal.SIGKILL)
    assert await eventually(lambda: "sleep 4720" not in product.processes(sandbox), 20)
    assert await eventually(lambda: product._answers(), 20)
    async with alice.terminal(sandbox, "doomed") as ws:
        assert (await frame(ws, "attached"))["offset"] == 0


async def test_a_server_that_is_stopped_takes_its_shells_along(product, alice, sandbox):
    async with alice.terminal(sandbox, "last") as ws, alice.list() as fleet:
        await answer(ws, "sleep 4721 & echo st''arted", b"started")
        await frame(fleet, "engine")
        product.stop()
    assert "sleep 4721" not in product.processes(sandbox)
    log = product.log()
    assert not re.search(r"Traceback|Task was destroyed|never awaited", log), log
