"""However many requests come at once, so many have a thread and a connection; nobody's keep all others."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpResponse

from sandboxes.views import pages


class Slow(pages.Pages):
    """Its answers wait to be let go; those of somebody quick do not."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Event()
        self.under_way, self.most, self.lock = 0, 0, threading.Lock()

    def get_response(self, request: Any) -> Any:
        with self.lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        if request.COOKIES.get(settings.SESSION_COOKIE_NAME) != "quick":
            self.let_go.wait(60)
        with self.lock:
            self.under_way -= 1
        return HttpResponse("done")

    def ask(self, session: str = "", path: str = "/") -> asyncio.Future[Any]:
        cookie = [(b"cookie", f"{settings.SESSION_COOKIE_NAME}={session}".encode())] if session else []
        scope = {"type": "http", "method": "GET", "path": path, "headers": cookie, "query_string": b""}
        return asyncio.ensure_future(self._start_of(scope))

    async def _start_of(self, scope: Any) -> Any:
        """How the answer begins."""
        came: asyncio.Queue[Any] = asyncio.Queue()
        came.put_nowait({"type": "http.request", "body": b""})
        said: list[Any] = []

        async def send(message: Any) -> None:
            said.append(message)

        await self(scope, came.get, send)
        return said[0]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(pages, "PATIENCE", 60)
    made = Slow()
    yield made
    made.let_go.set()


async def until(slow: Slow, count: int) -> None:
    async with asyncio.timeout(30):
        while slow.under_way < count:
            await asyncio.sleep(0.01)


async def done(asked: Any) -> list[int]:
    return [one["status"] for one in await asyncio.wait_for(asyncio.gather(*asked), 60)]


async def test_one_person_s_requests_keep_nobody_else_waiting(slow: Slow) -> None:
    before = threading.active_count()
    many = [slow.ask("greedy") for _ in range(100)]
    await until(slow, pages.EACH)
    assert threading.active_count() - before <= pages.EACH + 4
    assert await done([slow.ask("quick") for _ in range(20)]) == [200] * 20
    assert slow.under_way == pages.EACH
    slow.let_go.set()
    assert await done(many) == [200] * 100
    assert slow.most <= pages.EACH + pages.EACH


async def test_of_all_so_many_are_answered_at_a_time(slow: Slow) -> None:
    many = [slow.ask(f"person-{number}") for number in range(150)]
    await until(slow, pages.ALL)
    slow.let_go.set()
    assert await done(many) == [200] * 150
    assert slow.most == pages.ALL


async def test_who_is_nobody_leaves_room_for_who_is_somebody_and_for_health(slow: Slow) -> None:
    many = [slow.ask() for _ in range(100)]
    await until(slow, pages.NOBODYS)
    assert await done([slow.ask("quick")]) == [200]
    health = slow.ask(path="/healthz")
    await until(slow, pages.NOBODYS + 1)
    slow.let_go.set()
    assert await done([health, *many]) == [200] * 101
    assert slow.most <= pages.NOBODYS + 1


async def test_who_waits_too_long_is_told_when_to_come_again(slow: Slow, monkeypatch) -> None:
    monkeypatch.setattr(pages, "PATIENCE", 0.1)
    held = [slow.ask("greedy") for _ in range(pages.EACH)]
    await until(slow, pages.EACH)
    answer = await asyncio.wait_for(slow.ask("greedy"), 30)
    headers = dict(answer["headers"])
    assert (answer["status"], headers[b"retry-after"]) == (503, b"5")
    assert headers[b"x-content-type-options"] == b"nosniff"
    slow.let_go.set()
    assert await done(held) == [200] * pages.EACH


async def test_who_does_not_wait_for_an_answer_keeps_its_turn_until_the_thread_is_free(slow: Slow) -> None:
    gone = [slow.ask("greedy") for _ in range(pages.EACH)]
    await until(slow, pages.EACH)
    for one in gone:
        one.cancel()
    many = [slow.ask("greedy") for _ in range(pages.EACH)]
    assert await done([slow.ask("quick")]) == [200]
    assert slow.most <= pages.EACH + 1
    slow.let_go.set()
    assert await done(many) == [200] * pages.EACH
    assert slow.most <= pages.EACH + 1
