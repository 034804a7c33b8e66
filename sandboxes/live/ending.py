"""How a terminal ends, and what live.terminal leaves to others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Ending:
    """Why a terminal is over: a word, a sentence for people, and whether a new shell may be opened."""

    reason: str
    sentence: str
    again: bool = False
    exit_code: int | None = None
    by: Any = None
    """Whoever ended it, for the record; nothing here looks at it."""


UNKNOWN = ("exited", "The shell has ended.")
"""Reason and sentence when nobody can say why."""


@dataclass(frozen=True)
class Hooks:
    """What the doors do for a terminal; each is awaited and may take its time."""

    explain: Callable[[int | None], Awaitable[Ending]]
    """Why it ended by itself, from its exit code (None: unknown)."""
    kill: Callable[[], Awaitable[None]]
    """End every process the shell started."""
    ended: Callable[[Ending], Awaitable[None]]
    """Write down that it is over."""
    typed: Callable[[], None]
    """Somebody is working in it."""
