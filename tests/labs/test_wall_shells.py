"""Which of a seat's shells its tile on the wall shows: one, as long as there is something to see of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sandboxes.labs import wall
from sandboxes.live.ring import Ring

NOON = 1_790_000_000.0


class Shells:
    """Shells by name, oldest first, a clock, and what the tile shows of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = NOON
        monkeypatch.setattr(wall, "time", SimpleNamespace(time=lambda: self.now))
        self.all: dict[str, Any] = {}
        self.seen = wall.Seen()

    def prints(self, *names: str) -> None:
        for name in names:
            new = SimpleNamespace(shell=name, ring=Ring(4096), typed_at=0.0, size=(80, 24))
            ring = self.all.setdefault(name, new).ring
            ring.add(f"{name}\r\n".encode())
            self.now += 0.01
            ring.added_at = self.now

    def typed(self, name: str) -> None:
        self.all[name].typed_at = self.now

    def shown(self, after: float = 1.0) -> str:
        self.now += after
        self.seen.look(list(self.all.values()))
        return str(self.seen.lines[0]) if self.seen.lines else ""


@pytest.fixture
def shells(monkeypatch: pytest.MonkeyPatch) -> Shells:
    return Shells(monkeypatch)


def shown_while(shells: Shells, *names: str, seconds: int = 30) -> set[str]:
    """What was shown while these print every second, the last one last."""
    found = set()
    for _ in range(seconds):
        shells.prints(*names)
        found.add(shells.shown())
    return found


@pytest.mark.parametrize("order", [("main", "two"), ("two", "main")])
def test_of_two_that_both_print_the_oldest_stays(shells: Shells, order: tuple[str, str]) -> None:
    shells.prints("main", "two")
    assert shown_while(shells, *order) == {"main"}


def test_or_the_one_that_was_typed_in_last(shells: Shells) -> None:
    shells.prints("main", "two")
    assert shells.shown() == "main"
    shells.typed("two")
    assert shown_while(shells, "two", "main") == {"two"}


def test_whoever_looks_later_sees_the_same(shells: Shells) -> None:
    shells.prints("main", "two")
    shells.typed("two")
    shells.prints("main")
    shells.seen = wall.Seen()
    assert shown_while(shells, "two", "main") == {"two"}


def test_another_one_is_shown_once_that_is_quiet(shells: Shells) -> None:
    shells.prints("main", "two")
    shells.typed("two")
    shells.prints("two")
    assert shown_while(shells, "main", seconds=4) == {"two"}
    shells.now += wall.QUIET
    assert shown_while(shells, "main") == {"main"}
    assert shown_while(shells, "two", "main") == {"main"}
    shells.typed("two")
    assert shown_while(shells, "two", "main") == {"two"}


def test_one_that_takes_keys_without_a_word_is_not_quiet(shells: Shells) -> None:
    shells.prints("main", "two")
    shells.now += 60
    shells.typed("two")
    assert shown_while(shells, "main", seconds=4) == {"two"}


def test_where_none_speaks_it_stays_and_the_first_look_has_the_last_word(shells: Shells) -> None:
    shells.prints("main", "two")
    shells.now += 60
    shells.prints("main")
    assert shells.shown(after=600) == "main"
    shells.prints("two")
    assert shells.shown() == "two"
    assert shells.shown(after=600) == "two"


def test_one_that_has_ended_makes_room(shells: Shells) -> None:
    shells.prints("main", "two")
    shells.typed("two")
    assert shells.shown() == "two"
    del shells.all["two"]
    assert shown_while(shells, "main", seconds=1) == {"main"}
