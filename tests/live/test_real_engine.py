"""The same on the real engine: what somebody does by hand shows, and numbers are true."""

from __future__ import annotations

import statistics
import threading
import time
from typing import Any

import docker
import pytest
from asgiref.sync import sync_to_async

from sandboxes.engine.docker_engine import DockerEngine
from sandboxes.live import hub, stats
from sandboxes.models import Event, Sandbox, Status
from tests.live.helpers import eventually

pytestmark = pytest.mark.engine
FLEET = "/ws/sandboxes/"


@pytest.fixture
def engine(real_engine: DockerEngine) -> DockerEngine:
    return real_engine


def by_hand(sandbox: Sandbox) -> Any:
    """Its container, as somebody at the machine has it."""
    return docker.from_env().containers.get(sandbox.native_id)


async def hear(page: Any, deed: Any) -> float:
    """Seconds from the deed's end until the page is told."""
    await page.gather(0.7)
    await sync_to_async(deed, thread_sensitive=False)()
    began = time.monotonic()
    frame = await page.next("changed")
    assert frame["type"] == "changed", frame
    return time.monotonic() - began


async def test_what_is_done_by_hand_shows_within_a_second(
    open_socket: Any, alice: Any, running: Sandbox
) -> None:
    container = by_hand(running)
    page = await open_socket(FLEET, alice)
    await eventually(lambda: hub.current().guard.entries)
    times = []
    for deed, status in (
        (container.pause, Status.PAUSED),
        (container.unpause, Status.RUNNING),
        (lambda: container.kill("KILL"), Status.STOPPED),
        (container.start, Status.RUNNING),
        (lambda: container.remove(force=True), Status.REMOVED),
    ):
        times.append(await hear(page, deed))
        is_so = sync_to_async(lambda status=status: Sandbox.objects.get(pk=running.pk).status == status)
        assert await eventually(is_so), status
    assert statistics.median(times) < 1, times
    count = sync_to_async(Event.objects.filter(sandbox_id=running.pk, actor_kind="engine").count)
    assert await count() >= 5


async def test_a_busy_sandbox_shows_what_it_uses_and_no_stream_is_left(
    open_socket: Any, alice: Any, launch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stats, "LINGER", 1.0)
    sandbox = await sync_to_async(launch)(cpus="0.4", memory="64m", pids="50")
    await sync_to_async(by_hand(sandbox).exec_run)(["sh", "-c", "while :; do :; done"], detach=True)
    page = await open_socket(f"{FLEET}{sandbox.pk}/", alice)
    samples = []
    while len(samples) < 5:
        frame = await page.next("stats", 5)
        if frame["sample"]["cpu"]:
            samples.append(frame["sample"])
    last = samples[-1]
    assert 0.05 < max(one["cpu"] for one in samples) < 0.5  # a busy machine may give it less than 0.4
    assert (last["cpus"], last["memory_limit"], last["pids_limit"]) == (0.4, 64 << 20, 50)
    assert 0 < last["memory"] < 64 << 20
    assert 2 <= last["pids"] <= 10
    assert last["write_rate"] is not None
    assert last["rx_rate"] is None
    assert len(readers()) == 1
    await page.close()
    assert await eventually(lambda: not readers(), 6)


def readers() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("stats-")]
