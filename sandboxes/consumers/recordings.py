"""Whether a terminal is recorded, for those who look at it: begun, stopped, told to every viewer.

One for each live terminal. The bytes go their own way (live.recording); here are its policy, its
record, and the frame ``recording``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from django.db import DatabaseError

from sandboxes.lifecycle import audit, recording_policy, recordings, refusals
from sandboxes.lifecycle.refusals import Refused
from sandboxes.live.recording import STOPPED, Recorder, Totals
from sandboxes.live.tasks import Tasks
from sandboxes.live.terminal import LiveTerminal
from sandboxes.models import Recording, Sandbox, Terminal

log = logging.getLogger(__name__)

TRIES = 5
"""How often its end is written down until the loop has to find it."""
NOT_OPTIONAL = Refused("recording", "Whether this terminal is recorded is not for anybody here to choose.")
NOT_THEIRS = Refused("recording", "Only the owner starts and stops a recording.")


class TerminalRecording:
    """Belongs to one event loop. ``off`` does blocking work in a thread."""

    def __init__(self, sandbox: Sandbox, terminal: Terminal, off: Callable[..., Awaitable[Any]]) -> None:
        self.sandbox, self.terminal = sandbox, terminal
        self.policy = recording_policy.of_sandbox(sandbox)
        self.recorder: Recorder | None = None
        self.live: LiveTerminal | None = None
        self._off, self._do = off, Tasks().do
        self._changing = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._stopper = audit.SYSTEM
        self._sentence = ""

    # -- begin and end ----------------------------------------------------------------------------

    async def open(self, origin: audit.Origin, cols: int, rows: int) -> None:
        """Begin with the terminal where the policy is "always". Raises Refused: then it stays shut."""
        if self.policy.is_off or self.policy.is_optional:
            return
        try:
            await self._begin(origin, cols, rows)
        except Refused as refusal:
            await self._off(refusals.record, "terminal.open", origin, refusal, self.sandbox)
            raise

    async def _begin(self, origin: audit.Origin, cols: int, rows: int) -> None:
        row, file = await self._off(recordings.prepare, self.sandbox, self.terminal, origin.name, cols, rows)
        try:
            await self._off(recordings.begin, row, self.sandbox, origin)
        except BaseException:
            file.discard()
            raise
        self._sentence = recording_policy.running(row.keystrokes)
        self.recorder = Recorder(file, lambda totals: self._told(row, totals), row.keystrokes)

    def give_up(self) -> None:
        """The terminal could not be opened: what was begun ends."""
        if self.recorder is not None:
            self.recorder.stop(sentence="The terminal could not be opened.")

    def _told(self, row: Recording, totals: Totals) -> None:
        """In the writing thread: it is over. Without a loop any more, this process' end sees to it."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(lambda: self._do(self._ended(row, totals)))

    async def _ended(self, row: Recording, totals: Totals) -> None:
        self.recorder, self._sentence = None, totals.sentence
        origin, self._stopper = self._stopper, audit.SYSTEM
        if self.live is not None:
            self.live.recorder = None
            if not _has_ended(self.live):  # whose own last words say it
                self.live.tell(self.frame())
        for attempt in range(TRIES):
            try:
                return await self._off(recordings.ended, row, totals, origin)
            except DatabaseError as error:
                log.warning("The end of recording %s is not on record yet: %s", row.pk, error)
                await asyncio.sleep(2**attempt)
        return None

    # -- the owner's choice -----------------------------------------------------------------------

    async def switch(self, on: bool, user: Any, origin: audit.Origin) -> None:
        """Start or stop it, as its owner may where the policy is "optional". Raises Refused."""
        if not self.policy.is_optional:
            raise NOT_OPTIONAL
        if not self.is_for(user):
            raise NOT_THEIRS
        async with self._changing:
            if on:
                await self._start(origin)
            elif self.recorder is not None:
                self._stopper = origin
                self.recorder.stop(STOPPED, f"Stopped by {origin.name}.")

    async def _start(self, origin: audit.Origin) -> None:
        live = self.live
        if live is None or _has_ended(live) or self.recorder is not None:
            return None
        await self._begin(origin, *live.size)
        live.recorder = self.recorder
        if _has_ended(live):  # meanwhile: nobody else would stop it
            return self.give_up()
        live.redraw()  # so that it begins with what a full-screen program shows
        return live.tell(self.frame())

    def is_for(self, user: Any) -> bool:
        """Whether it is this person's to start and stop."""
        return self.policy.is_optional and bool(self.sandbox.owner_id == user.pk)

    # -- what viewers are told --------------------------------------------------------------------

    @property
    def is_on(self) -> bool:
        return self.recorder is not None and not self.recorder.is_over

    def frame(self) -> dict[str, Any]:
        """For every viewer, on change."""
        return {
            "type": "recording", "on": self.is_on, "policy": self.policy.recording,
            "keystrokes": self.policy.keystrokes, "sentence": self._sentence,
        }  # fmt: skip

    def greeting(self, user: Any) -> dict[str, Any] | None:
        """For one viewer, at the start; None where nothing is ever recorded."""
        return None if self.policy.is_off else self.frame() | {"yours": self.is_for(user)}


def _has_ended(live: LiveTerminal) -> bool:
    return live.ending is not None
