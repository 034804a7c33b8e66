"""A task that waits for bytes goes on the moment they come, and can be cancelled as any other."""

import asyncio
import socket

import pytest

from sandboxes.engine.arrival import Arrival
from sandboxes.engine.terminal import LoopPipe


class Pair:
    """As much of a Wire as a LoopPipe needs, and the other end of it."""

    def __init__(self):
        self.sock, self.far = socket.socketpair()
        self.closed = False

    def shutdown(self):
        self.closed = True
        self.sock.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.sock.close()


@pytest.fixture
def pair():
    made = Pair()
    yield made
    made.far.close()
    made.sock.close()


async def test_the_waiter_has_gone_on_when_come_returns():
    arrival = Arrival(asyncio.get_running_loop())
    seen = []

    async def wait():
        seen.append(await arrival)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(lambda: (arrival.come(b"x"), seen.append("after")))
    await task
    assert seen == [b"x", "after"]


async def test_what_came_before_anybody_waited_is_there():
    arrival = Arrival(asyncio.get_running_loop())
    arrival.come(b"early")
    assert await arrival == b"early"


async def test_a_failure_is_raised_where_it_is_awaited():
    arrival = Arrival(asyncio.get_running_loop())
    asyncio.get_running_loop().call_soon(arrival.fail, ConnectionResetError("gone"))
    with pytest.raises(ConnectionResetError):
        await arrival


async def test_a_cancelled_read_loses_nothing(pair):
    pipe = LoopPipe(pair)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(pipe.recv(10), 0.05)
    pair.far.send(b"kept")
    await asyncio.sleep(0.05)
    assert await asyncio.wait_for(pipe.recv(10), 1) == b"kept"


async def test_bytes_nobody_waits_for_stay_in_the_socket_and_the_loop_rests(pair):
    pipe = LoopPipe(pair)
    pair.far.send(b"one")
    assert await pipe.recv(10) == b"one"
    waiting = asyncio.create_task(pipe.recv(3))
    await asyncio.sleep(0.01)
    pair.far.send(b"twothree")
    assert await waiting == b"two"
    await asyncio.sleep(0.02)
    assert pipe._watcher is None
    assert await pipe.recv(10) == b"three"


async def test_the_other_sides_end_is_no_bytes_for_ever(pair):
    pipe = LoopPipe(pair)
    waiting = asyncio.create_task(pipe.recv(10))
    await asyncio.sleep(0.01)
    pair.far.close()
    assert await asyncio.wait_for(waiting, 1) == b""
    assert await pipe.recv(10) == b""


async def test_closing_wakes_who_waits_and_leaves_nothing_watched(pair):
    pipe = LoopPipe(pair)
    waiting = asyncio.create_task(pipe.recv(10))
    await asyncio.sleep(0.01)
    pipe.close()
    assert await asyncio.wait_for(waiting, 1) == b""
    assert (pipe._watcher, pair.sock.fileno()) == (None, -1)


async def test_a_closed_pipe_that_nobody_read_is_let_go_at_once(pair):
    pipe = LoopPipe(pair)
    pair.far.send(b"x")
    assert await pipe.recv(1) == b"x"
    pipe.close()
    assert (pipe._watcher, pair.sock.fileno()) == (None, -1)
