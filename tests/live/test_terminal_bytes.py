"""Whoever comes, goes and acknowledges, in whatever order: no byte is lost or doubled."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from sandboxes.live.terminal import KEPT
from tests.live.stage import Page, World, settle

steps = st.lists(
    st.tuples(
        st.sampled_from(["print", "leave", "return", "ack", "wait"]),
        st.integers(0, 1),
        st.integers(1, 300_000),
    ),
    max_size=20,
)


class Reader:
    """Somebody who comes and goes; what they saw over all their visits, each piece with its place."""

    def __init__(self, terminal):
        self.terminal, self.page, self.at, self.pieces = terminal, None, None, []

    async def come(self, acks=False):
        if self.page is None:
            self.page = await Page(acks=acks).enter(self.terminal, offset=self.at)

    def go(self):
        if self.page is not None:
            self.terminal.detach(self.page.viewer)
            self.pieces, self.at, self.page = self.pieces + self.page.pieces, self.page.at, None

    def ack(self):
        if self.page is not None:
            self.page.ack()

    def check(self, whole, shown):
        """What came is in order, in its place, and there once; marks it in ``shown``."""
        end = 0
        for at, data in self.pieces:
            assert at >= end
            assert whole[at : at + len(data)] == data
            shown[at : at + len(data)] = b"x" * len(data)
            end = at + len(data)
        return sum(len(data) for _, data in self.pieces)


async def play(plan):
    """Do what was planned, then let both readers see the rest; all that was printed, and the readers."""
    world, whole = World(), bytearray()
    readers = [Reader(world.live), Reader(world.live)]
    for one in readers:
        await one.come()
    for word, who, count in plan:
        await do(word, readers[who], count, world, whole)
    for one in readers:
        one.go()
        await one.come(acks=True)
    while any(one.page.at < len(whole) for one in readers):
        await settle(0.01)
    for one in readers:
        one.go()
    return bytes(whole), readers


async def do(word, reader, count, world, whole):
    if word == "print":
        data = bytes(len(whole) + index & 255 for index in range(count))
        whole += data
        world.shell.feed(data)
    elif word == "return":
        await reader.come()
    elif word == "wait":
        await settle(0.005)
    else:
        {"leave": reader.go, "ack": reader.ack}[word]()


@settings(max_examples=60, deadline=None)
@given(steps)
def test_no_byte_is_lost_or_doubled(plan):
    whole, readers = asyncio.run(asyncio.wait_for(play(plan), 20))
    shown = bytearray(len(whole))
    counts = [one.check(whole, shown) for one in readers]
    assert shown.count(b"x") == len(whole)  # what one of them missed, the other has seen
    assert len(whole) > KEPT or counts == [len(whole), len(whole)]
