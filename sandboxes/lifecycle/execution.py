"""One command under way in this process: reads both streams, holds the time limit, writes the end.

An exec cannot be killed through the engine: what a command started carries its marker, and is ended
by that, until it is gone. A stream can outlive its command (something else holds it open), so after
an end that was asked for it is let go.
"""

from __future__ import annotations

import logging
import posixpath
import signal
import threading
import time
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from sandboxes.engine import get_engine
from sandboxes.engine.base import Conflict, EngineError, ExecStream, NotFound, Unreachable
from sandboxes.live import output
from sandboxes.models import Command, CommandStatus, Event, Outcome, Sandbox, Status
from sandboxes.units import format_duration

from . import announce, argv, audit, insisting, kept, process, transitions, truth, work
from .capture import Capture
from .endings import OURS

log = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds for which ending marked processes is tried again before some are said to be left."""
LET_GO = 2.0
"""Seconds that a stream may last after its processes are gone."""
PAUSED_AGAIN = 1.0
NOT_ANSWERING = "the engine does not answer; what became of it is found out when it does"
LEFT_OVER = "; some of its processes could not be ended"

HOLD = "trap : EXIT; "
HOLDING = {"sh", "ash", "bash", "dash", "ksh", "mksh", "zsh"}

STOPPED = "ended, because Sandboxes was stopped"

_here: dict[str, Execution] = {}
_closing = threading.Event()


class Execution:
    """A command from its exec to its exit code. ``run`` is for a worker thread, ``end`` for any."""

    def __init__(self, command: Command, origin: audit.Origin) -> None:
        self.command = command
        self.sandbox = command.sandbox
        self.origin = origin
        cap = settings.SANDBOX_OUTPUT_CAP
        self.streams = {"stdout": Capture(cap), "stderr": Capture(cap)}
        self.timed_out = False
        self.interrupted = False
        self.all_gone = True
        self._stream: ExecStream | None = None
        self._over = threading.Event()
        self._ending = threading.Lock()

    def run(self) -> None:
        """Run it to its end, whatever that is, and write it down."""
        _here[self.command.pk] = self
        try:
            self._run()
        except Unreachable as error:
            log.warning("Command %s lost the engine: %s", self.command.pk, error.detail or error)
            self._abandon()
        except EngineError as error:
            self._finish(CommandStatus.FAILED, str(error))
        except Exception:
            log.exception("Command %s broke", self.command.pk)
            end_processes(self.sandbox.native_id, self.command.marker)  # nobody else would
            self._finish(CommandStatus.FAILED, OURS)
        finally:
            self._over.set()
            _here.pop(self.command.pk, None)

    def _run(self) -> None:
        """Steps: 1. exec 2. note the start 3. read to the end 4. wait for whoever ends it 5. conclude."""
        if _closing.is_set():
            return self._finish(CommandStatus.FAILED, STOPPED)
        if _cancelled_by(self.command):
            return self._finish(CommandStatus.CANCELLED, "cancelled before it began")
        with closing(self._open()) as stream:
            limit = work.later(self.command.time_limit, self._enforce)
            try:
                self._read(stream)
            finally:
                limit.cancel()
                self._over.set()
            with self._ending:
                code = _code(stream)
        return self._conclude(code)

    def _open(self) -> ExecStream:
        command = self.command
        argv = held(command.argv)
        self._stream = get_engine().exec(self.sandbox.native_id, argv, marker=command.marker)
        return self._stream

    def _read(self, stream: ExecStream) -> None:
        if not _note_start(self.command):
            work.later(0, self.end)  # cancelled between the exec's making and now
        for name, data in stream:
            self.streams[name].add(data)
            output.publish(self.command.pk, self.sandbox.pk, name, data)

    # -- ending it --------------------------------------------------------------------------------

    def _enforce(self) -> None:
        """Its time is over. While its sandbox is paused nothing can be ended; then later."""
        with self._ending:
            if self._over.is_set():
                return
            self.timed_out = True
        self.keep_ending()

    def keep_ending(self) -> None:
        """End it as soon as that is possible."""
        while not self.end() and not self._over.wait(PAUSED_AGAIN):
            pass

    def interrupt(self) -> None:
        """End it because this process ends."""
        self.interrupted = True
        self.end()

    def end(self) -> bool:
        """End its processes, and let go of a stream that outlives them. False: not possible now."""
        with self._ending:
            gone = end_processes(self.sandbox.native_id, self.command.marker)
            if gone is None:
                return False
            self.all_gone = gone
            if not self._over.wait(LET_GO) and self._stream is not None:
                self._stream.close()
        return True

    # -- how it ended -----------------------------------------------------------------------------

    def _conclude(self, code: int | None) -> None:
        left = "" if self.all_gone else LEFT_OVER
        if self.interrupted:
            return self._finish(CommandStatus.FAILED, STOPPED + left, code)
        by = _cancelled_by(self.command)
        if by:
            return self._finish(CommandStatus.CANCELLED, f"cancelled by {by}{left}", code)
        if self.timed_out:
            limit = format_duration(self.command.time_limit)
            return self._finish(CommandStatus.TIMED_OUT, f"ended at its time limit of {limit}{left}", code)
        reason = with_its_sandbox(self.sandbox) if code in _KILLED else ""
        if code is None:
            return self._finish(CommandStatus.FAILED, reason or "how it ended is not known")
        return self._finish(CommandStatus.EXITED, reason or sentence(code, self.command), code)

    def _finish(self, status: CommandStatus, reason: str, code: int | None = None) -> None:
        outputs = self._outputs()
        insisting.write(lambda: finish(self.command, status, reason, self.origin, exit_code=code, **outputs))

    def _abandon(self) -> None:
        """Nothing is known, so nothing is concluded: the cleanup loop ends it once the engine answers."""
        row = Command.objects.filter(pk=self.command.pk, status=CommandStatus.RUNNING)
        known = {"process": "", "reason": NOT_ANSWERING} | self._outputs()
        insisting.write(lambda: row.update(**known))
        output.finished(self.command.pk, self.sandbox.pk)

    def _outputs(self) -> dict[str, Any]:
        columns: dict[str, Any] = {}
        for name, seen in self.streams.items():
            columns |= {name: seen.kept, f"{name}_bytes": seen.total, f"{name}_head": seen.head}
        return columns


def held(argv: list[str]) -> list[str]:
    """The same words, with a shell that stays until its last program has ended.

    Most shells become their last program, and that may leave at once (``env -i setsid sleep 900``):
    the command would be over, and nobody could tell what it left behind. A trap keeps them.
    """
    shell, *rest = argv
    if posixpath.basename(shell) not in HOLDING or len(rest) != 2 or rest[0] != "-c":
        return argv
    return [shell, "-c", HOLD + rest[1]]


def end(command: Command) -> bool:
    """End a command's processes, whichever process of ours runs it; True when they are known to be gone."""
    here = _here.get(command.pk)
    if here is None:
        return bool(end_processes(command.sandbox.native_id, command.marker))
    if here.end():
        return here.all_gone
    work.later(PAUSED_AGAIN, here.keep_ending)
    return False


def end_all(seconds: float = 5.0) -> None:
    """End every command of this process, which is about to end itself; its records say so."""
    _closing.set()
    threads = [threading.Thread(target=here.interrupt, daemon=True) for here in list(_here.values())]
    for thread in threads:
        thread.start()
    until = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(until - time.monotonic(), 0))


process.at_exit(end_all)


def end_processes(native_id: str, marker: str) -> bool | None:
    """End what carries the marker, until it is gone. False: some are left; None: not possible now.

    It is not possible in a paused sandbox, nor while the engine is away.
    """
    until = time.monotonic() + PATIENCE
    try:
        while get_engine().kill_marked(native_id, marker):
            if time.monotonic() > until:
                return False
            time.sleep(0.1)
    except NotFound:
        return True
    except Conflict:
        return None if _is_paused(native_id) else True
    except EngineError as error:
        log.warning("Processes of %s could not be ended: %s", marker, error.detail or error)
        return None
    return True


def _is_paused(native_id: str) -> bool:
    try:
        return truth.status_of(get_engine().inspect(native_id)) == Status.PAUSED
    except NotFound:
        return False
    except Unreachable:
        return True


_KILLED = {None, truth.KILL, truth.TERM}


def _code(stream: ExecStream) -> int | None:
    try:
        return stream.exit_code()
    except NotFound:
        return None


def with_its_sandbox(sandbox: Sandbox) -> str:
    """The sentence for a command that ended because its sandbox did; empty if that goes on."""
    row = transitions.fresh(sandbox.pk) or sandbox
    if row.status not in (Status.RUNNING, Status.PAUSED):
        return f"ended with its sandbox: {row.status_reason or row.status}"
    if row.pending in ("stop", "restart", "remove"):
        return f"ended with its sandbox: it is {transitions.TABLE[row.pending].during}"
    try:
        state = get_engine().inspect(row.native_id)
    except NotFound:
        return f"ended with its sandbox: {truth.REMOVED_OUTSIDE}"
    except EngineError:
        return ""
    ended = truth.status_of(state) == Status.STOPPED
    return f"ended with its sandbox: {truth.how_it_ended(row, state)}" if ended else ""


def sentence(code: int, command: Command) -> str:
    """What an exit code means, where it means something by itself."""
    if code == 126:
        return "the program could not be run"
    if code == 127:
        return "the program was not found"
    if code == truth.KILL and _memory_ran_out(command):
        return truth.out_of_memory(command.sandbox, "it")
    if code > 128:
        try:
            return f"ended by signal {signal.Signals(code - 128).name.removeprefix('SIG')}"
        except ValueError:
            return ""
    return ""


def _memory_ran_out(command: Command) -> bool:
    """Whether the kernel ended something in its sandbox while it ran.

    The line may be older than what we know of its start: that is written once it runs, and a line stands
    for all of so many seconds.
    """
    since = (command.started_at or command.created_at) - timedelta(seconds=truth.OOM_SECONDS)
    seen = Event.objects.filter(sandbox_id=command.sandbox_id, action="sandbox.oom")
    return seen.filter(at__gte=since).exists()


# -- its record ---------------------------------------------------------------------------------


def _cancelled_by(command: Command) -> str:
    return Command.objects.values_list("cancelled_by", flat=True).get(pk=command.pk)


def _note_start(command: Command) -> bool:
    """Write down when it began; False when its end has been asked for meanwhile."""
    command.started_at = timezone.now()
    rows = Command.objects.filter(pk=command.pk)
    return bool(rows.filter(cancelled_by="").update(started_at=command.started_at))


def finish(
    command: Command, status: CommandStatus, reason: str, origin: audit.Origin, **columns: Any
) -> bool:
    """Write a command's end, once: record, Event and nudges. False when it had ended already."""
    columns |= {"status": status, "reason": reason[:300], "ended_at": timezone.now()}
    outcome = Outcome.OK if status in (CommandStatus.EXITED, CommandStatus.CANCELLED) else Outcome.FAILED
    with transaction.atomic():
        if not Command.objects.filter(pk=command.pk, status=CommandStatus.RUNNING).update(**columns):
            return False
        note(command, origin, outcome, reason, exit_code=columns.get("exit_code"), status=str(status))
    if columns.get("stdout") or columns.get("stderr"):
        kept.make_room(command.sandbox_id)
    output.finished(command.pk, command.sandbox_id)
    return True


def note(command: Command, origin: audit.Origin, outcome: Outcome, reason: str = "", **facts: Any) -> None:
    """One line on record about a command; all of its text stays in its own record."""
    now: datetime = timezone.now()
    took = None if outcome == Outcome.REQUESTED else audit.since(command.created_at, now)
    audit.record("command.run", origin, command.sandbox, outcome=outcome, operation=command.pk,
                 reason=reason, duration=took,
                 detail={"command": command.pk, "argv": argv.kept(command.argv), **facts})  # fmt: skip
    Sandbox.objects.filter(pk=command.sandbox_id).update(changed_at=now, last_activity_at=now)
    announce.sandbox(command.sandbox)
