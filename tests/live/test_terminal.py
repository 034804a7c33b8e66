"""One shell, many viewers: nothing lost, nothing doubled, nothing grows."""

import asyncio
import time
from dataclasses import replace

import pytest

from sandboxes.engine.base import Unreachable
from sandboxes.live import terminal
from sandboxes.live.ending import Ending
from sandboxes.live.terminal import INPUT_BOUND, KEPT, TooMuch
from sandboxes.live.viewers import WINDOW
from tests.live.stage import SHELL, Page, World, settle


async def test_what_is_typed_comes_back():
    world = World()
    page = await Page().enter(world.live)
    world.live.type(page.viewer, "echo héllo\r".encode())
    await settle()
    assert "héllo".encode() in page.seen
    assert world.typed == 1


async def test_a_reload_replays_the_screen():
    world = World()
    first = await Page().enter(world.live)
    await world.print(b"one two three")
    world.live.detach(first.viewer)
    second = await Page().enter(world.live)
    await settle()
    assert second.seen == b"one two three"
    assert second.last("attached")["head"] == 13


async def test_a_reconnect_gets_what_it_missed_and_nothing_twice():
    world = World()
    page = await Page().enter(world.live)
    await world.print(b"before ")
    world.live.detach(page.viewer)
    await world.print(b"meanwhile ")
    back = await Page().enter(world.live, offset=page.at)
    await world.print(b"after")
    assert page.seen + back.seen == b"before meanwhile after"
    assert back.last("attached")["resumed"] is True


@pytest.mark.parametrize(("offset", "shell"), [(3, "m_other"), (10_000, SHELL)])
def test_an_offset_of_another_shell_or_from_the_future_starts_anew(offset, shell):
    async def story():
        world = World()
        await world.print(b"abcdef")
        page = await Page().enter(world.live, offset, shell)
        await settle()
        return page

    page = asyncio.run(story())
    assert page.last("attached")["resumed"] is False
    assert page.seen == b"abcdef"


async def test_unread_output_stops_the_reader_at_the_window():
    world = World()
    await Page(acks=False).enter(world.live)
    await world.print(b"y" * (4 * WINDOW))
    await settle(0.1)
    assert WINDOW <= world.live.ring.head <= WINDOW + 2 * 128 * 1024
    assert len(world.shell._out) > WINDOW  # the rest waits in the program


async def test_nothing_is_lost_while_nobody_watches():
    world = World()
    page = await Page().enter(world.live)
    world.live.detach(page.viewer)
    text = bytes(range(256)) * (3 * WINDOW // 256)
    await world.print(text)
    await settle(0.1)
    back = await Page().enter(world.live, offset=page.at)
    await settle(0.3)
    assert back.seen == text


async def test_a_slow_viewer_holds_up_nobody_and_is_told_of_its_gap():
    world = World()
    slow, quick = await Page(acks=False).enter(world.live), await Page().enter(world.live)
    text = b"z" * (2 * KEPT)
    await world.print(text)
    await settle(0.4)
    assert quick.seen == text
    assert len(slow.seen) <= WINDOW + 128 * 1024
    slow.acks = True
    slow.ack()
    await settle(0.2)
    gap = slow.last("gap")
    assert slow.at == len(text)
    assert len(slow.seen) == len(text) - (gap["to"] - gap["from"])


async def test_a_shell_without_viewers_ends_after_its_grace():
    world = World(grace=0.05)
    page = await Page().enter(world.live)
    world.live.detach(page.viewer)
    await asyncio.wait_for(world.live.over.wait(), 2)
    await settle()
    assert (world.killed, world.endings[0].reason) == (1, "left")


async def test_who_may_not_come_back_leaves_a_shell_for_less_long(monkeypatch):
    monkeypatch.setattr(terminal, "SENT_AWAY", 0.05)
    world = World(grace=60)
    page = await Page().enter(world.live)
    world.live.detach(page.viewer, sent_away=True)
    await asyncio.wait_for(world.live.over.wait(), 10)
    assert world.endings[0].reason == "left"


async def test_coming_back_within_the_grace_keeps_the_shell():
    world = World(grace=0.1)
    page = await Page().enter(world.live)
    world.live.detach(page.viewer)
    await settle(0.05)
    await Page().enter(world.live)
    await settle(0.15)
    assert world.live.ending is None


async def test_closed_on_purpose_kills_and_says_who():
    world = World()
    page = await Page().enter(world.live)
    ending = Ending("closed", "Closed by alice.", again=True)
    world.live.end(ending)
    world.live.end(replace(ending, reason="again"))
    await asyncio.wait_for(world.live.over.wait(), 2)
    await settle()
    assert page.last("ended")["sentence"] == "Closed by alice."
    assert (world.killed, world.endings) == (1, [ending])


async def test_the_last_words_arrive_before_the_end():
    world = World()
    page = await Page().enter(world.live)
    world.live.type(page.viewer, b"exit 3\r")
    await asyncio.wait_for(world.live.over.wait(), 2)
    await settle()
    assert b"exit 3" in page.seen
    assert page.last("ended")["exit_code"] == 3
    assert world.killed == 1  # what it left in the background goes too


async def test_a_broken_stream_is_an_end_with_a_reason():
    world = World()
    page = await Page().enter(world.live)

    async def broken(limit=0):
        raise Unreachable("The connection to the engine broke.")

    world.shell.read = broken
    await world.print(b"x")
    await asyncio.wait_for(world.live.over.wait(), 2)
    assert page.last("ended")["reason"] == "exited"


async def test_input_that_is_not_taken_is_bounded():
    world = World()
    page = await Page().enter(world.live)

    async def stuck(data):
        await asyncio.Event().wait()

    world.shell.write = stuck
    for _ in range(INPUT_BOUND // 65536):
        world.live.type(page.viewer, b"k" * 65536)
    with pytest.raises(TooMuch):
        world.live.type(page.viewer, b"one more")


async def test_input_order_is_kept():
    world = World()
    page = await Page().enter(world.live)
    for number in range(200):
        world.live.type(page.viewer, b"%03d" % number)
    await settle()
    assert world.shell.written == b"".join(b"%03d" % number for number in range(200))


async def test_nothing_comes_before_the_greeting():
    world = World()
    await Page(cols=120).enter(world.live)
    page = await Page(cols=90).enter(world.live)
    await world.print(b"x")
    assert page.messages[0]["type"] == "attached"
    assert (page.messages[0]["cols"], page.messages[1:]) == (90, [])


async def test_an_acknowledgement_lost_with_its_connection_stops_nobody():
    world = World()
    page = await Page(acks=False).enter(world.live)
    text = b"y" * (3 * WINDOW)
    await world.print(text)
    await settle(0.1)
    world.live.detach(page.viewer)
    back = await Page().enter(world.live, offset=page.at)
    await settle(0.3)
    assert page.seen + back.seen == text


async def test_a_viewer_that_hangs_keeps_no_news_from_the_others():
    world = World()
    stuck, page = Page(), await Page().enter(world.live)
    await stuck.enter(world.live)

    async def hang(message):
        await asyncio.Event().wait()

    stuck.viewer.send_json = hang
    world.live.tell({"type": "paused"})
    third = await Page().enter(world.live)
    assert (page.last("paused"), page.last("viewers")["count"]) == ({"type": "paused"}, 3)
    assert third.last("attached")["viewers"] == 3


@pytest.mark.parametrize("name", ["explain", "kill", "ended"])
async def test_a_hook_that_fails_keeps_no_terminal_from_ending(name):
    world = World()

    async def fails(*args):
        raise RuntimeError("the database is away")

    world.live._hooks = replace(world.live._hooks, **{name: fails})
    page = await Page().enter(world.live)
    world.live.type(page.viewer, b"exit 0\r")
    await asyncio.wait_for(world.live.recorded.wait(), 2)
    assert page.last("ended")["again"] is True


async def test_a_reader_that_fails_is_an_end_too():
    world = World()
    page = await Page().enter(world.live)

    def fails(limit):
        raise ZeroDivisionError

    world.shell.read_nowait = fails
    await world.print(b"x" * 5000)
    await asyncio.wait_for(world.live.recorded.wait(), 2)
    assert page.last("ended")["reason"] == "exited"


async def test_who_comes_too_late_is_told_that_it_is_over():
    world = World()
    first = await Page().enter(world.live)
    world.live.type(first.viewer, b"exit 0\r")
    await asyncio.wait_for(world.live.over.wait(), 2)
    page = await Page().enter(world.live)
    assert page.messages[-1]["type"] == "ended"


async def test_keystrokes_that_wait_are_few_objects():
    world = World()
    page = await Page().enter(world.live)

    async def stuck(data):
        await asyncio.Event().wait()

    world.shell.write = stuck
    for _ in range(50_000):
        world.live.type(page.viewer, b"k")
    assert world.live._input == b"k" * 50_000


async def test_a_cut_stream_is_told_soon_though_the_shell_lives_on():
    world = World()
    page = await Page().enter(world.live)
    world.shell.exit_code = lambda: asyncio.sleep(60)
    began = time.monotonic()
    world.shell.close()
    await asyncio.wait_for(world.live.over.wait(), 20)
    assert time.monotonic() - began < 20
    assert page.last("ended")["exit_code"] is None
    assert world.killed == 1


async def test_a_shell_that_nobody_ever_came_to_ends_after_its_grace():
    world = World(grace=0.05)
    await asyncio.wait_for(world.live.over.wait(), 10)
    await settle()
    assert (world.killed, world.endings[0].reason) == (1, "left")
