"""Who begins a request and does not go on is shown the door, and keeps nobody else waiting."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sandboxes.management.web_server import LARGEST
from tests.fakes.processes import wait_until

PATIENCE = 3.0
APP = """
async def application(scope, receive, send):
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""
WHOLE = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HALF = WHOLE[:-2]
BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
SOCKET = (
    HALF + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
"""A socket whose other side never says a word, not even to pings."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """The web server with three seconds of patience, and nothing of the project behind it."""
    with serve(tmp_path_factory.mktemp("slow"), APP, "--ping-interval", "1", "--ping-timeout", "2") as (
        place,
        _,
    ):
        yield place


@contextmanager
def serve(folder: Path, application: str, *options: str) -> Iterator[tuple[tuple[str, int], int]]:
    """An application on the web server: where it is, and its process."""
    (folder / "plain.py").write_text(application)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        place = probe.getsockname()
    root = str(Path(__file__).resolve().parents[2])
    env = os.environ | {"SANDBOX_CLIENT_PATIENCE": str(PATIENCE), "SANDBOX_DATA": str(folder),
                        "PYTHONPATH": f"{folder}:{root}"}  # fmt: skip
    command = [sys.executable, "-m", "sandboxes.management.web_server", "-b", place[0], "-p", str(place[1])]
    child = subprocess.Popen([*command, *options, "-v", "0", "plain:application"], env=env, cwd=root)
    assert wait_until(lambda: is_open(place), 60)
    try:
        yield place, child.pid
    finally:
        child.terminate()
        child.wait(20)


def is_open(place: tuple[str, int]) -> bool:
    try:
        socket.create_connection(place, 1).close()
    except OSError:
        return False
    return True


def client(place: tuple[str, int], data: bytes) -> socket.socket:
    made = socket.create_connection(place, 30)
    made.sendall(data)
    return made


def is_closed(one: socket.socket, seconds: float = 30) -> bool:
    one.settimeout(seconds)
    until = time.monotonic() + seconds
    try:
        while one.recv(4096):
            if time.monotonic() > until:
                return False
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


@pytest.fixture(scope="module")
def crowd(served: tuple[str, int]) -> dict[bytes, list[socket.socket]]:
    """Clients that begin and do not go on, or ask once and stay; they wait while others are tested."""
    return {begun: [client(served, begun) for _ in range(20)] for begun in BEGUN}


BEGUN = (b"", b"GE", b"GET / HTTP/1.1\r\n", HALF, BODY, BODY + b"some", WHOLE, SOCKET)


def test_others_are_answered_meanwhile(served: tuple[str, int], crowd: Any) -> None:
    for _ in range(20):
        with client(served, WHOLE) as one:
            assert one.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_silent_socket_was_open(served: tuple[str, int]) -> None:
    with client(served, SOCKET) as one:
        assert one.recv(4096).startswith(b"HTTP/1.1 101")


def test_a_byte_now_and_then_gives_no_more_time_to_a_head(served: tuple[str, int]) -> None:
    one, began = client(served, HALF), time.monotonic()
    one.settimeout(0.2)
    while time.monotonic() - began < 60:
        try:
            one.sendall(b"X")
            if one.recv(1) == b"":
                break
        except TimeoutError:
            continue
        except OSError:
            break
    else:
        raise AssertionError("it was never closed")


def test_a_slow_body_that_goes_on_is_taken(served: tuple[str, int]) -> None:
    one = client(served, BODY)
    for _ in range(10):
        time.sleep(0.3)
        one.sendall(b"x" * 100)
    assert one.recv(4096).startswith(b"HTTP/1.1 200")


def test_one_connection_serves_many_requests_with_pauses(served: tuple[str, int]) -> None:
    one = client(served, b"")
    for pause in (0.1, 4, 0.1):
        one.sendall(WHOLE[:5])
        one.sendall(WHOLE[5:])
        assert one.recv(4096).startswith(b"HTTP/1.1 200")
        time.sleep(pause)  # longer than a head may take
    one.sendall(HALF)
    assert is_closed(one)


@pytest.mark.parametrize("length", [b"Content-Length: 9999999999", b"Transfer-Encoding: chunked"])
def test_a_body_that_is_too_large_is_refused_and_not_kept(served: tuple[str, int], length: bytes) -> None:
    one = client(served, b"POST / HTTP/1.1\r\nHost: x\r\n" + length + b"\r\n\r\n")
    piece, sent = b"100000\r\n" + b"x" * (1 << 20) + b"\r\n", 0
    while sent < 20 * LARGEST and not select.select([one], [], [], 0)[0]:
        one.sendall(piece)
        sent += len(piece)
    assert one.recv(4096).startswith(b"HTTP/1.1 413")
    assert sent <= 4 * LARGEST  # what was on the way when it was refused
    assert is_closed(one)


@pytest.mark.parametrize("size", [0, 200_000, LARGEST])
def test_a_body_that_is_not_is_taken(served: tuple[str, int], size: int) -> None:
    one = client(served, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
    one.sendall(b"x" * size)
    assert one.recv(4096).startswith(b"HTTP/1.1 200")


def test_all_of_them_are_shown_the_door(served: tuple[str, int], crowd: Any) -> None:
    for begun, clients in crowd.items():
        assert all(is_closed(one, 60) for one in clients), begun


LENGTH = 400 * 65536
LONG = f"""
from sandboxes.consumers.pacing import paced


async def application(scope, receive, send):
    async with paced(send) as send:
        headers = [(b"content-length", b"{LENGTH}")]
        await send({{"type": "http.response.start", "status": 200, "headers": headers}})
        for _ in range(400):
            await send({{"type": "http.response.body", "body": b"x" * 65536, "more_body": True}})
        await send({{"type": "http.response.body", "body": b""}})
"""


def test_who_asks_for_a_file_and_does_not_read_it_is_let_go(tmp_path: Path) -> None:
    with serve(tmp_path, LONG) as (place, pid):
        idle = [client(place, WHOLE) for _ in range(20)]
        assert wait_until(lambda: connections(pid) >= 20, 30)
        assert wait_until(lambda: connections(pid) == 0, 60)
        assert all(is_closed(one) for one in idle)


def test_who_reads_it_slowly_gets_all_of_it(tmp_path: Path) -> None:
    with serve(tmp_path, LONG) as (place, _):
        one, got, began = client(place, WHOLE), 0, time.monotonic()
        while piece := one.recv(65536):
            got += len(piece)
            time.sleep(0.5 if time.monotonic() - began < 3 * PATIENCE else 0)
            if got >= LENGTH:
                break
        assert got >= LENGTH


def connections(pid: int) -> int:
    """How many sockets to clients the server has, beside the one it listens on and its loop's own pair."""
    found = {os.readlink(one) for one in Path(f"/proc/{pid}/fd").iterdir() if one.is_symlink()}
    ours = {row.split()[9] for row in Path("/proc/net/tcp").read_text().splitlines()[1:]
            if row.split()[3] == "01"}  # fmt: skip
    return sum(one.removeprefix("socket:[").removesuffix("]") in ours for one in found)
