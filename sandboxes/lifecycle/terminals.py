"""The records of terminals, so that no shell is without an owner, whatever crashes.

A terminal is written down, with its marker, before its shell starts; it is over when ``ended_at`` is
set and its processes are gone when ``reaped_at`` is. Streams and viewers are live.terminal's.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn

from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from sandboxes.engine import get_engine
from sandboxes.engine.base import Conflict, EngineError, NotFound
from sandboxes.models import Event, Outcome, Sandbox, Status, Terminal

from . import audit, process, quotas, refusals, work
from .refusals import Refused

log = logging.getLogger(__name__)

LOST = "its server process ended"
AT_IT = timedelta(seconds=10)
"""For so long a live process is left to end its own terminals' processes."""
REAPING = 30.0
"""Seconds for which a round waits until what ended terminals left is ended; the next one looks again."""
LATELY = timedelta(seconds=15)


def open(sandbox: Sandbox, name: str, origin: audit.Origin) -> Terminal:
    """Write a new terminal down before its shell starts.

    Raises Refused, with it on record: the sandbox is not running, or has all the terminals it may.
    """
    reason = _why_not(sandbox)
    if reason is not None:
        _refuse(origin, reason, sandbox)
    process.hold()
    for attempt in range(2):
        try:
            return _add(sandbox, name, origin)
        except Refused as refusal:
            _refuse(origin, refusal, sandbox)
        except IntegrityError:
            if attempt or not _end_lost(sandbox, name):
                break
    sentence = f"Terminal {name} is just being opened elsewhere. Try again in a moment."
    _refuse(origin, Refused("busy", sentence), sandbox)


def _refuse(origin: audit.Origin, refusal: Refused, sandbox: Sandbox) -> NoReturn:
    """On record in bounds: a page may come again and again, which costs it nothing."""
    refusals.note("terminal.open", origin, refusal, sandbox)
    raise refusal


def _end_lost(sandbox: Sandbox, name: str) -> bool:
    """End the terminal of that name if its process is dead; the loop would, a moment later."""
    rows = Terminal.objects.filter(sandbox=sandbox, name=name, ended_at=None)
    lost = rows.exclude(process__in=process.alive()).select_related("sandbox__owner").first()
    if lost is not None:
        ended(lost, LOST, audit.CLEANUP, Outcome.FAILED)
        kill(lost)
    return lost is not None


def _why_not(sandbox: Sandbox) -> Refused | None:
    if sandbox.status == Status.PAUSED:
        return Refused("", "It is paused. Resume it to open a terminal.", offer="resume")
    if sandbox.status != Status.RUNNING:
        offer = "start" if sandbox.status in (Status.STOPPED, Status.FAILED) else ""
        return Refused("", f"It is {sandbox.status}, so it has no terminal.", offer=offer)
    return None


def _add(sandbox: Sandbox, name: str, origin: audit.Origin) -> Terminal:
    with transaction.atomic():
        quotas.check_terminal(sandbox, origin.user_id)
        terminal = Terminal.objects.create(
            sandbox=sandbox, name=name, process=process.process_id(), opened_by=origin.name
        )
        _note(terminal, "open", origin, outcome=Outcome.REQUESTED, operation=_operation(terminal))
    return terminal


def _operation(terminal: Terminal) -> str:
    """What joins the request for a shell with what came of it."""
    return f"terminal-{terminal.pk}"


def _note(terminal: Terminal, word: str, origin: audit.Origin, reason: str = "",
          outcome: Outcome = Outcome.OK, **facts: Any) -> None:  # fmt: skip
    joint = {name: facts.pop(name) for name in ("operation", "duration") if name in facts}
    audit.record(f"terminal.{word}", origin, terminal.sandbox, outcome=outcome, reason=reason,
                 detail={"terminal": terminal.name, **facts}, **joint)  # fmt: skip


def opened(terminal: Terminal, origin: audit.Origin) -> None:
    """Its shell is there. Raises Refused where it was ended meanwhile: its process was taken for dead."""
    row = Terminal.objects.filter(pk=terminal.pk)
    took = audit.since(terminal.opened_at)
    with transaction.atomic():
        if row.filter(ended_at=None).update(reaped_at=None):
            return _note(terminal, "open", origin, operation=_operation(terminal), duration=took)
    row.update(reaped_at=None)  # the shell came after what had ended it: the loop does so again
    raise Refused("busy", "The terminal was ended while it was being opened. Try again in a moment.")


def joined(terminal: Terminal, origin: audit.Origin, may_type: bool) -> None:
    """Somebody begins to look at it."""
    _note(terminal, "join", origin, may_type=may_type)


def left(terminal: Terminal, origin: audit.Origin) -> None:
    """Somebody looks at it no more."""
    _note(terminal, "leave", origin)


def taken_over(terminal: Terminal, origin: audit.Origin) -> None:
    """Somebody else than its owner begins to type in it."""
    _note(terminal, "type", origin)


def ended(terminal: Terminal, reason: str, origin: audit.Origin, outcome: Outcome = Outcome.OK,
          exit_code: int | None = None) -> None:  # fmt: skip
    """Write down that it is over, once. ``reason`` is a sentence for people.

    Of one whose shell never came up it is the answer to the request.
    """
    facts = {} if exit_code is None else {"exit_code": exit_code}
    with transaction.atomic():
        rows = Terminal.objects.filter(pk=terminal.pk, ended_at=None)
        if not rows.update(ended_at=timezone.now(), reason=reason[:200]):
            return
        asked = audit.asked_for(_operation(terminal))
        if asked is not None:
            audit.answer(asked, Outcome.FAILED, reason)
        else:
            _note(terminal, "end", origin, reason, outcome, duration=audit.since(terminal.opened_at), **facts)


def before(terminal: Terminal, origin: audit.Origin) -> Event | None:
    """How the shell of that name before it ended; None where there was none, or ``origin`` closed it."""
    ends = Event.objects.filter(sandbox_id=terminal.sandbox_id, action="terminal.end")
    last = ends.filter(detail__terminal=terminal.name).first()
    is_known = last is not None and last.actor_kind == origin.kind and last.actor_id == origin.user_id
    return None if is_known else last


def kill(terminal: Terminal) -> bool:
    """End every process that its shell started; False when that is not possible now (paused, engine away)."""
    try:
        left_over = get_engine().kill_marked(terminal.sandbox.native_id, terminal.marker)
    except NotFound:
        left_over = 0
    except Conflict:
        left_over = int(Sandbox.objects.up().filter(pk=terminal.sandbox_id).exists())
    except EngineError as error:
        log.warning("Terminal %s could not be ended: %s", terminal.pk, error.detail or error)
        return False
    if left_over == 0:
        Terminal.objects.filter(pk=terminal.pk).update(reaped_at=timezone.now())
    return left_over == 0


def end_all(seconds: float = 3.0) -> None:
    """End every terminal of this process, which is about to end itself; what is left is the loop's."""
    rows = Terminal.objects.filter(process=process.process_id(), ended_at=None)
    threads = [
        threading.Thread(target=_end, args=[terminal], daemon=True)
        for terminal in rows.select_related("sandbox__owner")
    ]
    for thread in threads:
        thread.start()
    until = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(until - time.monotonic(), 0))


def _end(terminal: Terminal) -> None:
    try:
        ended(terminal, "the server was stopped", audit.SYSTEM)
        kill(terminal)
    finally:
        connection.close()


process.at_exit(end_all)


def ran_out_of_memory(sandbox_id: str) -> bool:
    """Whether the kernel ended something in it a moment ago because its memory was full."""
    lately = timezone.now() - LATELY
    return Event.objects.filter(sandbox_id=sandbox_id, action="sandbox.oom", at__gte=lately).exists()


def touch(sandbox_id: str) -> None:
    """Somebody works in it: note the time, for walls of a class. What the idle clock wants is usage.py's."""
    Sandbox.objects.filter(pk=sandbox_id).update(last_activity_at=timezone.now())


def reap(alive: set[str]) -> int:
    """End the terminals whose process is dead, and the processes of ended ones; returns how many rows.

    Paused sandboxes wait: nothing in them can be ended now. Without a container nothing is left to end.
    """
    gone = Terminal.objects.filter(sandbox__status__in=(Status.REMOVED, Status.STOPPED, Status.FAILED))
    done = gone.filter(reaped_at=None).exclude(ended_at=None).update(reaped_at=timezone.now())
    for terminal in (
        Terminal.objects.filter(ended_at=None).exclude(process__in=alive).select_related("sandbox__owner")
    ):
        ended(terminal, LOST, audit.CLEANUP, Outcome.FAILED)
        done += 1
    waiting = Terminal.objects.filter(reaped_at=None, sandbox__status=Status.RUNNING).exclude(ended_at=None)
    _kill_all(waiting.exclude(process__in=alive, ended_at__gt=timezone.now() - AT_IT))
    return done


def _kill_all(waiting: QuerySet[Terminal]) -> None:
    """Sandboxes beside each other, or a class's shells would end one by one; in each one after the other."""
    rows: dict[str, list[Terminal]] = {}
    for terminal in waiting.select_related("sandbox__owner"):
        rows.setdefault(terminal.sandbox_id, []).append(terminal)
    jobs = [work.submit(lambda some=some: [kill(one) for one in some]) for some in rows.values()]
    until = time.monotonic() + REAPING
    for job in jobs:
        work.outcome(job, max(until - time.monotonic(), 0))


@dataclass(frozen=True)
class Why:
    """Why a sandbox's shells ended. Not ``settled``: an action is under way, ask again in a moment."""

    reason: str
    sentence: str
    again: bool = False
    settled: bool = True


def why(sandbox_id: str, opened_at: datetime | None = None) -> Why:
    """Why the shells of this sandbox are over, from its record.

    ``opened_at``: of a shell that did not end by itself, so that a start since then is the reason.
    """
    row = Sandbox.objects.filter(pk=sandbox_id).first()
    if row is None:
        return Why("removed", "This sandbox is gone.")
    if row.pending in _DURING:
        return Why(row.pending, f"This sandbox is being {_DURING[row.pending]}.", settled=False)
    if row.status == Status.RUNNING and opened_at and row.started_at and row.started_at > opened_at:
        return Why("restarted", _restarted(sandbox_id, opened_at))
    if row.status == Status.RUNNING:
        return Why("exited", "The shell has ended.", again=True)
    if row.status_reason == "expired":
        return Why("expired", "The time of this sandbox was over, so it was removed.")
    return Why(str(row.status), _sentence(str(row.status), row.status_reason))


def _restarted(sandbox_id: str, since: datetime) -> str:
    restarts = Event.objects.filter(sandbox_id=sandbox_id, action="sandbox.restart", at__gte=since)
    asked = restarts.filter(outcome__in=(Outcome.REQUESTED, Outcome.OK)).first()
    by = f" by {asked.actor_name or asked.actor_kind}" if asked else ""
    return f"This sandbox was restarted{by}."


def is_of_sandbox(sentence: str) -> bool:
    """Whether a terminal that ended so ended with its sandbox, whose end is on record by itself."""
    return sentence.startswith(("This sandbox ", "The time of this sandbox "))


def _sentence(status: str, reason: str) -> str:
    """The record's reason ("stopped by alice", "out of memory: ...") as a sentence."""
    if reason.startswith(status):
        return f"This sandbox was {reason}."
    because = f": {reason}" if reason else ""
    return f"This sandbox is {status}{because}."


_DURING = {"stop": "stopped", "remove": "removed", "restart": "restarted"}
