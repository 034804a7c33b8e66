"""What a web process sees of use: keys, output and open pages, gathered without a write per key."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sandboxes.consumers import usage
from sandboxes.lifecycle.usage import Use
from sandboxes.live import hub


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A process with one terminal of "sb_a", and no page open."""
    ring = SimpleNamespace(head=10)
    terminal = SimpleNamespace(shell="m_1", ring=ring)
    entries: list[Any] = []
    monkeypatch.setattr(usage.registry, "up", lambda: [("sb_a", terminal)])
    monkeypatch.setattr(hub, "current", lambda: SimpleNamespace(guard=SimpleNamespace(entries=entries)))
    watch = usage.Watch()
    watch.gather()
    return SimpleNamespace(ring=ring, entries=entries, watch=watch)


def test_a_quiet_terminal_is_no_use(world):
    assert world.watch.gather() == {}


def test_output_is_use_once(world):
    world.ring.head += 1
    assert world.watch.gather() == {"sb_a": Use.OUTPUT}
    assert world.watch.gather() == {}


def test_keys_are_use_however_many(world):
    for _ in range(100):
        world.watch.typed("sb_b")
    assert world.watch.gather() == {"sb_b": Use.KEYS}
    assert world.watch.gather() == {}


def test_an_open_page_is_use_as_long_as_it_is_open(world):
    world.entries.append(SimpleNamespace(sandbox_id="sb_c"))
    world.entries.append(SimpleNamespace(sandbox_id=None))
    assert world.watch.gather() == world.watch.gather() == {"sb_c": Use.VIEWER}


def test_the_liveliest_use_is_named(world):
    world.entries.append(SimpleNamespace(sandbox_id="sb_a"))
    world.ring.head += 1
    assert world.watch.gather() == {"sb_a": Use.OUTPUT}
    world.watch.typed("sb_a")
    assert world.watch.gather() == {"sb_a": Use.KEYS}
