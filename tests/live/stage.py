"""A live terminal on a toy shell, and the pages that look at it."""

import asyncio

from sandboxes.live.ending import Ending, Hooks
from sandboxes.live.terminal import LiveTerminal
from sandboxes.live.viewers import Viewer
from tests.fakes.processes import FakeTerminal

SHELL = "m_this"


class Page:
    """A browser's side: counts bytes from where it was attached, acknowledges when told to."""

    def __init__(self, acks=True, cols=80, rows=24, is_owner=True):
        self.acks, self.messages, self.seen, self.pieces = acks, [], b"", []
        self.start = self.at = 0
        self.terminal = None
        self.viewer = Viewer("alice", self.bytes, self.json, cols, rows, is_owner=is_owner)

    async def bytes(self, data):
        self.pieces.append((self.at, data))
        self.seen += data
        self.at += len(data)
        if self.acks and self.terminal:
            asyncio.get_running_loop().call_soon(self.ack)

    def ack(self):
        self.terminal.acknowledge(self.viewer, self.at)

    async def json(self, message):
        self.messages.append(message)
        if message["type"] == "attached":
            self.start = self.at = message["offset"]
        if message["type"] == "gap":
            self.at = message["to"]

    async def enter(self, terminal, offset=None, shell=SHELL):
        self.terminal = terminal
        await terminal.attach(self.viewer, offset, shell)
        return self

    def last(self, kind):
        return [message for message in self.messages if message["type"] == kind][-1]


class World:
    """A terminal on a toy shell, with what its hooks were asked."""

    def __init__(self, grace=60.0, again=True):
        self.shell = FakeTerminal("e1", SHELL, 80, 24, prompt=b"")
        self.killed, self.endings, self.typed = 0, [], 0
        hooks = Hooks(explain=self.explain, kill=self.kill, ended=self.ended, typed=self.note)
        self.live = LiveTerminal(SHELL, self.shell, hooks, grace)

    async def explain(self, code):
        return Ending("exited", "The shell has ended.", True, code)

    async def kill(self):
        self.killed += 1
        self.shell.finish(129)

    async def ended(self, ending):
        self.endings.append(ending)

    def note(self):
        self.typed += 1

    async def print(self, data):
        self.shell.feed(data)
        await settle()


async def settle(seconds=0.03):
    await asyncio.sleep(seconds)
