"""Sandboxes in which a shell takes long to open or to end keep no other sandbox's people waiting."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from sandboxes.consumers import shells

from .helpers import eventually


async def soon(work: Any) -> Any:
    return await asyncio.wait_for(work, 20)


def shell(pk: str) -> shells.Shell:
    return shells.Shell(SimpleNamespace(pk=pk), SimpleNamespace(pk=pk))  # type: ignore[arg-type]


async def test_ending_many_that_last_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go, begun = threading.Event(), []

    def kill(record: Any) -> bool:
        begun.append(record.pk)
        return record.pk == "quick" or let_go.wait(60)

    monkeypatch.setattr(shells.terminals, "kill", kill)
    ends = [asyncio.ensure_future(shell(f"slow-{number % 8}").kill()) for number in range(80)]
    try:
        await eventually(lambda: len(begun) >= 16, 20)
        await soon(shell("quick").kill())
        assert await soon(shells.off(lambda: "opened")) == "opened"
        assert len(begun) == 17
    finally:
        let_go.set()
    await soon(asyncio.gather(*ends))
    assert len(begun) == 81


async def test_of_one_sandbox_s_shells_two_are_opened_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go, begun = asyncio.Event(), []

    async def open_terminal(native_id: str, *args: Any, **options: Any) -> str:
        begun.append(native_id)
        if native_id == "slow":
            await let_go.wait()
        return native_id

    engine = SimpleNamespace(open_terminal=open_terminal)
    monkeypatch.setattr(shells, "get_engine", lambda: engine)
    record: Any = SimpleNamespace(marker="m")

    def begin(name: str) -> Any:
        sandbox: Any = SimpleNamespace(pk=name, native_id=name, shell="sh", workdir="/")
        return asyncio.ensure_future(shells._begin(sandbox, record, 80, 24))

    slow = [begin("slow") for _ in range(5)]
    assert await soon(begin("quick")) == "quick"
    assert sorted(begun) == ["quick", "slow", "slow"]
    let_go.set()
    assert await soon(asyncio.gather(*slow)) == ["slow"] * 5
