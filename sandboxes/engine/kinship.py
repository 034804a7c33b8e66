"""Which of a container's processes descend from an exec, when nothing in them says so any more.

The host knows an exec by its number there, which stays the session of all that came of it, however
they cleared their environment and whether the first of them still lives. Inside, the same processes
have other numbers, and only inside can they be ended. Both lists are in the order of birth, so they
are laid side by side; they are believed only where every relation in them agrees.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

COLUMNS = "pid,ppid,pgid,sid,tpgid,etimes,stat"
"""What is asked of the host's ``ps``: all numbers that it is sure of. Of births it knows no more than
the second, and terminals it names only where it has such a device itself."""

_DOUBT = 5.0


@dataclass(frozen=True)
class Row:
    """One process, seen from inside or from the host.

    ``foreground`` is the group in front on its terminal, -1 without one. ``start`` orders by birth
    within one list: ticks since boot inside, minus its age in seconds on the host.
    """

    pid: int
    parent: int
    group: int
    session: int
    foreground: int
    start: int

    @property
    def born(self) -> str:
        """How ``marks.SWEEP`` names a process, so that a number used again is not mistaken for it."""
        return f"{self.pid}:{self.start}"


def inside(words: Iterable[str]) -> list[Row]:
    """From what ``marks.SWEEP`` prints. Raises ValueError."""
    rows = []
    for word in words:
        pid, parent, group, session, _, start, _, foreground = word.split(":")
        rows.append(Row(*(int(one) for one in (pid, parent, group, session, foreground, start))))
    return rows


def outside(lines: Iterable[Sequence[str]]) -> list[Row]:
    """From the host's ``ps`` with COLUMNS; what has ended and waits to be noticed is left out."""
    rows = []
    for *words, state in lines:
        if not state.startswith(("Z", "X")):
            pid, parent, group, session, foreground, age = map(int, words)
            rows.append(Row(pid, parent, group, session, foreground, -age))
    return rows


def family(rows: Sequence[Row], session: int, age: float) -> set[int]:
    """Numbers of all processes of a session of the host, ``age`` seconds old, and of their descendants.

    A younger process that leads a session of that number got it after the old one was over.
    """
    if any(row.pid == session and -row.start < age - _DOUBT for row in rows):
        return set()
    found: set[int] = set()
    grown = {row.pid for row in rows if row.session == session}
    while grown:
        found |= grown
        grown = {row.pid for row in rows if row.parent in found} - found
    return found


def same(host: Sequence[Row], within: Sequence[Row]) -> dict[int, Row]:
    """For each number on the host the process inside; empty when the two lists are not of one moment."""
    pairs = list(zip(_by_birth(host), _by_birth(within), strict=False))
    if len(host) != len(within) or not _agree(pairs):
        return {}
    return {one.pid: other for one, other in pairs}


def _by_birth(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row.start, row.pid))


def _agree(pairs: Sequence[tuple[Row, Row]]) -> bool:
    """Whether one renaming of numbers turns the one list into the other. A parent outside is 0 inside."""
    there = {one.pid for one, _ in pairs}
    names = {(-1, -1), (0, 0)}
    for one, other in pairs:
        parent = one.parent if one.parent in there else 0
        names |= {(one.pid, other.pid), (parent, other.parent), (one.group, other.group)}
        names |= {(one.session, other.session), (one.foreground, other.foreground)}
    return len(names) == len(dict(names)) == len({inner for _, inner in names})
