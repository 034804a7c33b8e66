"""A download waits for whoever takes it; Twisted is told before its last piece, and where it breaks."""

import asyncio
from functools import partial

import pytest

from sandboxes.consumers.pacing import paced

MORE = {"type": "http.response.body", "body": b"x", "more_body": True}
LAST = {"type": "http.response.body", "body": b""}


class Request:
    """As much of Twisted's request as daphne's ``send`` holds."""

    def __init__(self):
        self.channel, self.producer, self.sent = object(), None, []

    def registerProducer(self, producer, streaming):
        assert self.producer is None
        assert streaming
        self.producer = producer

    def unregisterProducer(self):
        self.producer = None

    async def reply(self, message):
        self.sent.append(message)


def daphnes(request):
    return partial(lambda protocol, message: protocol.reply(message), request)


async def test_a_piece_waits_until_the_connection_wants_more():
    request = Request()
    async with paced(daphnes(request)) as send:
        await send(MORE)
        request.producer.pauseProducing()
        task = asyncio.create_task(send(MORE))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not task.done()
        request.producer.resumeProducing()
        await task
        await send(LAST)
        assert request.producer is None
    assert request.sent == [MORE, MORE, LAST]


async def test_a_lost_connection_lets_go():
    request = Request()
    async with paced(daphnes(request)) as send:
        await send(MORE)
        request.producer.pauseProducing()
        task = asyncio.create_task(send(MORE))
        await asyncio.sleep(0)
        request.producer.stopProducing()
        request.channel = None
        await task


async def test_what_breaks_in_the_middle_leaves_no_producer():
    request = Request()

    async def broken():
        async with paced(daphnes(request)) as send:
            await send(MORE)
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await broken()
    assert request.producer is None


async def test_an_answer_in_one_piece_has_no_producer():
    request = Request()
    async with paced(daphnes(request)) as send:
        await send({"type": "http.response.start", "status": 200})
        await send(LAST)
    assert request.producer is None


async def test_other_servers_are_left_alone():
    async def send(message):
        pass

    async with paced(send) as same:
        assert same is send
