"""A recording on the real product: what is on disk when its server is killed, and when it is stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.person import Person, web_process
from tests.browser.product import Product, running
from tests.live.helpers import eventually
from tests.live.test_real_server import answer, frame
from tests.live.test_recording_format import cast

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with running(tmp_path_factory.mktemp("product"), SANDBOX_LEASE="3", SANDBOX_RECORDING="always") as one:
        yield one


@pytest.fixture(scope="module")
def alice(product: Product) -> Person:
    return Person(product, "alice")


@pytest.fixture(scope="module")
def sandbox(alice: Person) -> str:
    return alice.launch("real")


def files(product: Product) -> list[Path]:
    return sorted((product.data / "recordings").glob("*"), key=lambda path: path.stat().st_mtime)


def page_of(alice: Person, sandbox: str, path: Path) -> str:
    return alice.page(f"/sandboxes/{sandbox}/recordings/{path.name.partition('.')[0]}/")


async def test_a_killed_server_leaves_all_but_the_last_second(product, alice, sandbox):
    async with alice.terminal(sandbox, "doomed") as ws:
        assert (await frame(ws, "recording"))["on"] is True
        await answer(ws, "i=0; while :; do echo tick-$i; i=$((i+1)); sleep 0.05; done", b"tick-60\r")
        seen = time.monotonic()
        os.kill(web_process(product), signal.SIGKILL)
    (path,) = files(product)
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    _, events = cast(path)
    text = "".join(data for _, code, data in events if code == "o")
    last = int(text.rpartition("tick-")[2].split()[0])
    assert time.monotonic() - seen < 5
    assert last >= 60 - 22, f"only up to tick-{last}"  # 20 a second
    assert [f"tick-{number}\r\n" in text for number in range(last)] == [True] * last
    assert await eventually(product._answers, 20)
    shown = lambda: "is still being recorded" not in page_of(alice, sandbox, path)  # noqa: E731
    assert await eventually(lambda: asyncio.to_thread(shown), 20)
    row = product.tell(
        "from sandboxes.models import *; r = Recording.objects.get(); print(r.ended_reason, r.duration > 2, "
        "Event.objects.filter(action='recording.stop', actor_kind='cleanup').count())",
    )  # fmt: skip
    assert row.strip() == "its server process ended True 1"


async def test_a_stopped_server_finishes_its_files(product, alice, sandbox):
    async with alice.terminal(sandbox, "last") as ws:
        await answer(ws, "echo the-last''-words", b"the-last-words")
        product.stop()
    path = files(product)[-1]
    _, events = cast(path)
    assert "the-last-words" in "".join(data for _, code, data in events if code == "o")
    assert events[-1][1:] == ["m", "the server was stopped"]
    row = product.tell(
        "from sandboxes.models import *; print(Recording.objects.filter(ended_at=None).count(), "
        "Recording.objects.order_by('-started_at').first().bytes)",
    )  # fmt: skip
    assert row.split() == ["0", str(path.stat().st_size)]
