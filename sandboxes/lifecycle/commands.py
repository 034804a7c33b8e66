"""One-shot commands: checked, put on record, run in a pool of their own, cancelled, run again.

How a command under way is read and ended is execution.py's business.
"""

from __future__ import annotations

import shlex
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from sandboxes.live import output
from sandboxes.models import Command, CommandStatus, Outcome, Sandbox, Status, User

from . import audit, execution, kept, limits, process, quotas, refusals, transitions, truth, work
from .in_hand import InHand
from .refusals import Refused
from .transitions import TABLE

TEXT_LENGTH = 4096
ARGUMENTS = 256
WAIT = 0.4
"""Seconds for which ``run`` waits, so that a quick command comes back with its result."""

NEAR = timedelta(seconds=5)
"""How far apart the kernel's word and a command's end may come."""

NOTHING_TYPED = "Type a command first."
INTERRUPTED = "what ran it was interrupted, so it was ended"
_adding = threading.Lock()
"""What is counted before one more is begun is of all of this process."""
_in_hand = InHand("actions")
"""Sandboxes in which commands are being ended."""
_BLOCKING = {"stop", "restart", "remove", "pause"}


def run(
    sandbox: Sandbox,
    argv_or_text: Sequence[str] | str,
    *,
    origin: audit.Origin,
    user: User | None = None,
    shell: bool = True,
    time_limit: int | str | None = None,
    wait: float | None = WAIT,
) -> Command:
    """Run a command as the container's user; returns its record, which changes while it runs.

    Text is given to the sandbox's shell, or with ``shell=False`` split like a shell would. Seconds
    of ``time_limit`` count from its start. Raises Refused, on record by then. Not in a transaction.
    """
    row = transitions.fresh(sandbox.pk) or sandbox
    try:
        text, argv = _read(argv_or_text, row.shell if shell else "")
        seconds = _time_limit(time_limit)
    except Refused as refusal:
        refusals.refuse("command.run", origin, refusal, row)
    return _begin(row, argv, text, seconds, origin, user, wait)


def rerun(
    command: Command, *, origin: audit.Origin, user: User | None = None, wait: float | None = WAIT
) -> Command:
    """The same again, as a new command. Raises Refused."""
    row = transitions.fresh(command.sandbox_id) or command.sandbox
    return _begin(row, command.argv, command.text, command.time_limit, origin, user, wait)


def cancel(command: Command, origin: audit.Origin, *, wait: float | None = 1.0) -> bool:
    """End a running command's processes, whichever process of ours runs it.

    Returns whether they are known to be gone within ``wait`` seconds; False also if it had ended.
    """
    name = origin.name or origin.kind
    with transaction.atomic():
        asked = Command.objects.filter(pk=command.pk, status=CommandStatus.RUNNING, cancelled_by="")
        if not asked.update(cancelled_by=name):
            return False
        audit.record("command.cancel", origin, command.sandbox, detail={"command": command.pk})
    return bool(work.outcome(work.submit(execution.end, command), wait))


# -- before it runs -----------------------------------------------------------------------------


def _read(given: Sequence[str] | str, shell: str) -> tuple[str, list[str]]:
    """What was typed, and the words to run. Raises Refused."""
    words = [given] if isinstance(given, str) else list(given)
    if not words or not words[0].strip():
        raise Refused("command", NOTHING_TYPED)
    for word in words:
        _check_word(word)
    if len(words) > ARGUMENTS or sum(map(len, words)) > TEXT_LENGTH:
        raise Refused("command", f"A command has at most {TEXT_LENGTH} characters and {ARGUMENTS} words.")
    if not isinstance(given, str):
        return shlex.join(words)[:TEXT_LENGTH], words
    return given, [shell, "-c", given] if shell else _split(given)


def _check_word(word: str) -> None:
    if "\0" in word or any("\ud800" <= one <= "\udfff" for one in word):
        raise Refused("command", "A command cannot hold NUL or half a character.")


def _split(text: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError:
        raise Refused("command", "A quote in the command is not closed.") from None
    if not words or not words[0]:
        raise Refused("command", NOTHING_TYPED)
    return words


def _time_limit(value: int | str | None) -> int:
    if value is None or value == "":
        return int(settings.SANDBOX_COMMAND_TIME_LIMIT)
    try:
        return limits.clean_time_limit(value)
    except ValueError as error:
        raise Refused("time_limit", str(error)) from None


def _check_can_run(row: Sandbox) -> None:
    """Raises Refused unless it runs and goes on running, with what would help."""
    if row.status == Status.PAUSED:
        raise Refused("command", f"{row.name} is paused. Resume it first.", offer="resume")
    if row.status in (Status.STOPPED, Status.FAILED):
        raise Refused("command", f"{row.name} is {row.status}. Start it first.", offer="start")
    if row.status != Status.RUNNING:
        raise Refused("command", f"{row.name} is {row.status}, so nothing can run in it.")
    if row.pending in _BLOCKING:
        raise Refused("command", f"{row.name} is busy {TABLE[row.pending].during}. Try again in a moment.")


def _begin(row: Sandbox, argv: list[str], text: str, seconds: int, origin: audit.Origin,
           user: User | None, wait: float | None) -> Command:  # fmt: skip
    """Put it on record and hand it to the pool."""
    process.hold()
    command = Command(sandbox=row, by=user, by_name=origin.name, argv=argv, text=text,
                      time_limit=seconds, process=process.process_id())  # fmt: skip
    try:
        _check_can_run(row)
        _add(command, origin)
    except Refused as refusal:
        refusals.refuse("command.run", origin, refusal, row)
    job = work.submit(execution.Execution(command, origin).run, pool="commands")
    work.outcome(job, wait)
    command.refresh_from_db(from_queryset=Command.objects.select_related("sandbox"))
    return command


def _add(command: Command, origin: audit.Origin) -> None:
    """Put it on record, if there is room for it. Raises Refused."""
    with _adding, transaction.atomic():
        quotas.check_command(command.sandbox, command.by, command.time_limit)
        command.save(force_insert=True)
        execution.note(command, origin, Outcome.REQUESTED)


# -- for the loop and the events ----------------------------------------------------------------


def reap(alive: set[str]) -> list[Future[int]]:
    """End the commands of processes that have died, and say so in their records; how many in each sandbox.

    In a paused sandbox nothing can be ended: they wait until it is resumed or ends. Sandboxes are seen to
    side by side, or one that is slow would hold up all; in each one after the other.
    """
    rows = Command.objects.filter(status=CommandStatus.RUNNING).exclude(process__in=alive)
    left: dict[str, list[Command]] = {}
    for command in rows.exclude(sandbox__in=_in_hand.keys()).select_related("sandbox__owner"):
        left.setdefault(command.sandbox_id, []).append(command)
    return [_in_hand.begin(pk, _reap_all, some) for pk, some in left.items()]


def _reap_all(some: list[Command]) -> int:
    return sum(_reap(command) for command in some)


def _reap(command: Command) -> bool:
    sandbox = transitions.fresh(command.sandbox_id) or command.sandbox
    is_there = sandbox.status in (Status.RUNNING, Status.PAUSED)
    if is_there and not execution.end_processes(sandbox.native_id, command.marker):
        return False
    reason = execution.with_its_sandbox(sandbox) or INTERRUPTED
    origin = replace(audit.CLEANUP, on_behalf=command.by_name)
    return execution.finish(command, CommandStatus.FAILED, reason, origin)


def note_out_of_memory(sandbox: Sandbox, at: datetime) -> None:
    """Say in the records of commands that were just killed that memory ran out."""
    rows = Command.objects.filter(sandbox=sandbox, exit_code=truth.KILL, status=CommandStatus.EXITED)
    reason = truth.out_of_memory(sandbox, "it")
    for pk in rows.filter(ended_at__gte=at - NEAR, started_at__lte=at + NEAR).values_list("pk", flat=True):
        Command.objects.filter(pk=pk).update(reason=reason)
        output.finished(pk, sandbox.pk)


def prune(before: datetime) -> int:
    """Let go of the output of commands that ended before then in removed sandboxes; returns how many."""
    rows = Command.objects.filter(sandbox__status=Status.REMOVED, ended_at__lt=before)
    return kept.let_go(rows)
