"""Ends what a marked exec started, wherever it has hidden, and tells how much of it is left.

Steps: 1. sweep inside the container, see ``marks`` 2. ask the host what else is of the exec's
session 3. find those inside, see ``kinship``, and sweep again with them.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field

from . import kinship
from .base import Conflict, EngineError, NoCapacity, NotFound, TimedOut, Unreachable
from .exec_stream import Execs
from .frames import FrameParser
from .keys import is_marked
from .kinship import Row
from .marks import sweep_argv
from .turns import Turns
from .wire import Wire

log = logging.getLogger(__name__)

_SWEEPS = 3
_LOOKS = 6
_PAUSE = 0.05
_USERS = 8
_SWEEP_TIME = 10.0
_turns = Turns()
_ANSWER = re.compile(r"[0-9: ]*/[0-9 ]*/[0-9a-z: -]*")


@dataclass(frozen=True)
class Swept:
    """What one sweep found at its end: what it could not end, whose it may not look at, and all there is."""

    left: set[str] = field(default_factory=set)
    others: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


class Sweeping(Execs):
    """The part of the Engine that ends what was marked."""

    def kill_marked(self, native_id: str, marker: str) -> int:
        with _turns.of(native_id):
            return self._kill_marked(native_id, marker)

    def _kill_marked(self, native_id: str, marker: str) -> int:
        swept = self._sweep_all(native_id, marker, ())
        for look in range(_LOOKS):
            host, hidden = self._hidden(native_id, marker)
            if not hidden:
                return len(swept.left)
            inside = kinship.same(host, swept.rows)
            seeds = [inside[pid].born for pid in hidden if pid in inside]
            swept = self._sweep_all(native_id, marker, seeds)
            if not seeds:  # somebody was coming or going: on a busy host our own sweep, which goes late
                time.sleep(_PAUSE * 2**look)
        return max(len(hidden), len(swept.left))

    # -- from the host ----------------------------------------------------------------------------

    def _hidden(self, native_id: str, marker: str) -> tuple[list[Row], set[int]]:
        """All processes as the host sees them, and which of them came of the marked execs."""
        sessions = self._sessions(native_id, marker)
        rows = self._host_rows(native_id) if sessions else []
        families = (kinship.family(rows, session, age) for session, age in sessions.items())
        return rows, set().union(*families)

    def _host_rows(self, native_id: str) -> list[Row]:
        """Nothing where the host's ``ps`` cannot tell: then the sweep inside has to do."""
        try:
            with self.connection.control(reading=True) as api:
                return kinship.outside(api.top(native_id, f"-o {kinship.COLUMNS}")["Processes"] or ())
        except (NotFound, Conflict, Unreachable):
            raise
        except (EngineError, ValueError) as error:
            log.warning("The host's processes could not be read: %s", error)
            return []

    def _sessions(self, native_id: str, marker: str) -> dict[int, float]:
        """The host's number of each exec with that marker, and how many seconds ago it began at most.

        Known to this process, else among those that still run, whoever made them.
        """
        known, now = self.begun.get(marker), time.monotonic()
        execs = [known] if known else [(exec_id, now) for exec_id in self._running(native_id)]
        found = {self._number(exec_id, marker): now - began for exec_id, began in execs}
        return {number: age for number, age in found.items() if number}

    def _running(self, native_id: str) -> list[str]:
        with self.connection.control(reading=True) as api:
            return list(api.inspect_container(native_id)["ExecIDs"] or ())

    def _number(self, exec_id: str, marker: str) -> int:
        """The host's number of an exec's first process; 0 when there is none, or it has another marker."""
        try:
            with self.connection.control(reading=True) as api:
                found = api.exec_inspect(exec_id)
        except NotFound:
            return 0
        return int(found["Pid"]) if is_marked(found.get("DetachKeys"), marker) else 0

    # -- inside -----------------------------------------------------------------------------------

    def _sweep_all(self, native_id: str, marker: str, seeds: Iterable[str]) -> Swept:
        """Root without its capabilities may not look at other users' processes, so where a sweep
        meets some, they get a sweep of their own."""
        users, seen = [""], {"0"}  # never as root where root was not given
        swept = Swept(set(seeds))
        while users:
            swept = self._sweep(native_id, sweep_argv(marker, swept.left), users.pop())
            fresh = set(swept.others[:_USERS]) - seen
            seen |= fresh
            users += fresh
        return swept

    def _sweep(self, native_id: str, argv: list[str], user: str) -> Swept:
        for _ in range(_SWEEPS):
            answer = self._answer(native_id, argv, user)
            if _ANSWER.fullmatch(answer):
                left, others, rows = answer.split("/")
                return Swept(set(left.split()), others.split(), kinship.inside(rows.split()))
            time.sleep(0.1)
        return Swept({"?"})  # no room to look: whatever fills it is still there

    def _answer(self, native_id: str, argv: list[str], user: str) -> str:
        """What one sweep printed; nothing when it could not run."""
        try:
            _, wire = self.open_exec(native_id, argv, {}, "/", tty=False, user=user)
            with closing(wire):
                return first_line(wire, _SWEEP_TIME).decode(errors="replace")
        except NoCapacity:
            return ""
        except TimedOut as error:  # paused under way, for instance
            raise self.why_not(native_id, error) from error


def first_line(wire: Wire, seconds: float) -> bytes:
    """The first line of an exec's stdout. Raises TimedOut.

    Not to the end of the stream: the engine may hold that back (see ``wire.Wires``).
    """
    parser, answer, end = FrameParser(), b"", time.monotonic() + seconds
    try:
        while b"\n" not in answer and (data := wire.recv(max(0.01, end - time.monotonic()))):
            answer += b"".join(piece for name, piece in parser.feed(data) if name == "stdout")
    except TimeoutError:
        raise TimedOut("The sandbox did not answer in time.") from None
    return answer.strip()
