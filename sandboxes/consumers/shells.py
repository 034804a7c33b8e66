"""One shell's ties to the rest: opened through the engine, recorded by lifecycle, shown by live."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.db import DatabaseError, close_old_connections

from sandboxes.engine import get_engine
from sandboxes.engine.base import EngineError
from sandboxes.lifecycle import audit, terminals
from sandboxes.lifecycle.refusals import Refused
from sandboxes.live.ending import UNKNOWN, Ending, Hooks
from sandboxes.live.lanes import Lanes
from sandboxes.live.terminal import LiveTerminal
from sandboxes.models import Event, Outcome, Sandbox, Terminal

from . import usage
from .presence import Presence
from .recordings import TerminalRecording

log = logging.getLogger(__name__)

TOUCH_EVERY = 30.0
"""Seconds between two notes that somebody works in a terminal."""
PATIENCE = 5.0
"""Seconds for which the record is asked why a shell ended, while an action is under way."""
UNSURE = 2.0
"""Seconds for which a shell that was killed waits for its sandbox to be seen ended."""
CUT = 1.0
"""The same for one whose connection broke, and for ending what it started: its viewers wait for word."""
KILLS = 20
RECORDINGS = 5
"""How often each is tried."""
KILLED = {None, 137, 143}
"""Exit codes of a shell that did not end by itself; None when its connection broke."""
BROKEN = "The connection to the shell broke. What it started was ended."
BROKEN_ONLY = "The connection to the shell broke. What it started is ended as soon as that is possible."
_threads = ThreadPoolExecutor(32, thread_name_prefix="terminals")
"""Own ones: a class that ends at once must not wait for six threads shared with everything else."""
_killers = ThreadPoolExecutor(32, thread_name_prefix="terminals-end")
"""Ending takes as long as a sandbox makes it take: nobody's opening waits for these."""
_opening, _ending = Lanes(2), Lanes(2)
"""In one sandbox at a time; more wait on the loop, or slow ones would hold every thread."""


async def off[T](work: Callable[..., T], *args: Any, threads: ThreadPoolExecutor = _threads) -> T:
    """Do blocking work (engine, database) in a thread, never on the loop."""

    def run() -> T:
        close_old_connections()
        try:
            return work(*args)
        finally:
            close_old_connections()

    return await asyncio.get_running_loop().run_in_executor(threads, run)


class Shell:
    """One terminal's record, and what live.terminal asks of it."""

    def __init__(self, record: Terminal, sandbox: Sandbox) -> None:
        self.record = record
        self.sandbox = sandbox
        self.is_gone = False
        """Whether all it started is known to be ended."""
        self.never_began: Callable[[], bool] = lambda: False
        self._touched = 0.0

    def hooks(self) -> Hooks:
        return Hooks(explain=self.explain, kill=self.kill, ended=self.ended, typed=self.typed)

    async def explain(self, code: int | None) -> Ending:
        """Why it ended by itself: its sandbox did, or the shell."""
        began = time.monotonic()
        was_cut = code is None or code > 128
        if code is None:
            self._killing = asyncio.ensure_future(self.kill())
        while True:
            why = await off(terminals.why, self.sandbox.pk, self.record.opened_at if was_cut else None)
            patience = _patience(code) if why.settled else PATIENCE
            if (why.settled and why.reason != "exited") or time.monotonic() >= began + patience:
                break
            await asyncio.sleep(0.1)
        sentence = await self._of_shell(code) if why.reason == "exited" else why.sentence
        return Ending(why.reason, sentence, why.again, code)

    async def _of_shell(self, code: int | None) -> str:
        if self.never_began():
            return f"This image has no shell {self.sandbox.shell}. An admin can name another."
        if code == 137 and await off(terminals.ran_out_of_memory, self.sandbox.pk):
            return "The shell was ended because this sandbox ran out of memory."
        if code is None:
            return BROKEN if self.is_gone else BROKEN_ONLY
        return "The shell has ended." if code == 0 else f"The shell has ended with exit code {code}."

    async def kill(self) -> None:
        """End all it started; again until it is done, or left to the cleanup loop."""
        for _ in range(KILLS):
            async with _ending.of(self.sandbox.pk):
                self.is_gone = self.is_gone or await off(terminals.kill, self.record, threads=_killers)
            if self.is_gone:
                return
            await asyncio.sleep(0.1)

    async def ended(self, ending: Ending) -> None:
        """Write it down; again while the database refuses, since the name stays taken until then."""
        origin = ending.by or (audit.SYSTEM if ending.reason == "left" else audit.ENGINE)
        outcome = Outcome.FAILED if self._has_failed(ending) else Outcome.OK
        facts = (ending.sentence, origin, outcome, ending.exit_code)
        for attempt in range(RECORDINGS):
            try:
                return await off(terminals.ended, self.record, *facts)
            except DatabaseError as error:
                log.warning("The end of terminal %s is not on record yet: %s", self.record.pk, error)
                await asyncio.sleep(2**attempt)
        return None

    def _has_failed(self, ending: Ending) -> bool:
        """A shell hands on its last command's exit code, which says nothing about the shell itself."""
        by_itself = ending.reason == "exited"
        return by_itself and (self.never_began() or ending.exit_code in KILLED)

    def typed(self) -> None:
        usage.watch.typed(self.sandbox.pk)
        if time.monotonic() - self._touched > TOUCH_EVERY:
            self._touched = time.monotonic()
            self._touching = asyncio.ensure_future(off(terminals.touch, self.sandbox.pk))


def _patience(code: int | None) -> float:
    """Seconds that may pass until its sandbox is seen ended, by the code a shell ended with."""
    if code is None:
        return CUT
    return PATIENCE if code in KILLED else UNSURE if code > 128 else 0.0


async def open_shell(sandbox: Sandbox, name: str, origin: audit.Origin, cols: int, rows: int) -> LiveTerminal:
    """Open a shell in a sandbox. Steps: 1. record 2. its recording, where it has one 3. exec 4. live.

    Raises Refused or EngineError; the record is ended then.
    """
    record = await off(terminals.open, sandbox, name, origin)
    recording = TerminalRecording(sandbox, record, off)
    stream: Any = None
    try:
        await recording.open(origin, cols, rows)
        stream = await _begin(sandbox, record, cols, rows)
        before = await off(terminals.before, record, origin)
        await off(terminals.opened, record, origin)
    except BaseException as error:
        recording.give_up()
        if stream is not None:  # what is not on record does not happen; the loop ends what it started
            stream.close()
        reason = str(error) if isinstance(error, EngineError | Refused) else "It could not be opened."
        await off(terminals.ended, record, reason, origin, Outcome.FAILED)
        raise
    shell = Shell(record, sandbox)
    shell.never_began = lambda: stream.never_began
    grace = settings.SANDBOX_LENT_TERMINAL_GRACE if sandbox.lent else settings.SANDBOX_TERMINAL_GRACE
    live = LiveTerminal(record.marker, stream, shell.hooks(), grace, recording.recorder)
    live.record, live.recording, live.before = record, recording, _told(before)
    live.presence = Presence(live, origin, off)
    recording.live = live
    return live


def _told(before: Event | None) -> dict[str, Any]:
    """What pages are told of the shell before: when it was over, and why where there is more to say."""
    if before is None:
        return {}
    why = before.reason.replace("This sandbox is being ", "This sandbox was ")
    why = "" if why == UNKNOWN[1] else f"{why[:1].upper()}{why[1:].rstrip('.')}."
    return {"before": {"at": before.at.isoformat(), "sentence": why}}


async def _begin(sandbox: Sandbox, record: Terminal, cols: int, rows: int) -> Any:
    async with _opening.of(sandbox.pk):
        return await get_engine().open_terminal(
            sandbox.native_id, [sandbox.shell or "sh"], cols=cols, rows=rows, marker=record.marker,
            environment={"COLORTERM": "truecolor"}, workdir=sandbox.workdir,
        )  # fmt: skip
