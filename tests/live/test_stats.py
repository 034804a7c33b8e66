"""Numbers: one stream a watched sandbox however many watch, none without viewers, honest rates."""

from __future__ import annotations

import time
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from sandboxes.engine.base import StatsSample
from sandboxes.lifecycle import actions
from sandboxes.live import hub, stats
from sandboxes.live.series import HISTORY, Facts, Series, between
from sandboxes.models import Sandbox
from tests.conftest import LAUNCHER
from tests.live.helpers import eventually

FLEET = "/ws/sandboxes/"
LIMITS = {"cpus": 1.0, "memory_limit": 512 << 20}


@pytest.fixture(autouse=True)
def short_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "LINGER", 1.0)


async def act(name: str, sandbox: Sandbox) -> None:
    await sync_to_async(getattr(actions, name))(sandbox, by=LAUNCHER, wait=None)


async def rows(page: Any, seconds: float = 20) -> Any:
    return (await page.next("stats", seconds))["rows"]


async def test_a_list_gets_one_frame_a_second_with_all_rows(
    open_socket: Any, alice: Any, launch: Any
) -> None:
    ids = {(await sync_to_async(launch)()).pk for _ in range(3)}
    page = await open_socket(FLEET, alice)
    await page.send({"type": "watch", "ids": [*ids, "sb_missing"]})
    frames = [one for one in await page.gather(3.5) if one["type"] == "stats"]
    assert 2 <= len(frames) <= 4
    assert frames[-1]["rows"].keys() == ids
    for row in frames[-1]["rows"].values():
        assert row == {"cpu": 0.25, "cpus": 1.0, "memory": 5 << 20, "memory_limit": 512 << 20}


async def test_many_viewers_share_one_stream_which_ends_after_the_last(
    open_socket: Any, alice: Any, prof: Any, running: Sandbox, engine: Any
) -> None:
    pages = [await open_socket(FLEET, user) for user in (alice, alice, prof)]
    for page in pages:
        await page.send({"type": "watch", "ids": [running.pk]})
        assert running.pk in await rows(page)
    pages.append(await open_socket(f"{FLEET}{running.pk}/", alice))
    await pages[-1].next("stats")
    assert engine.stats_open == hub.current().stats.open == 1
    for page in pages[:-1]:
        await page.close()
    await pages[-1].gather(1.5)
    assert engine.stats_open == 1
    await pages[-1].close()
    assert await eventually(lambda: engine.stats_open == 0 and hub.current().stats.open == 0)


async def test_watching_others_replaces_what_was_watched(
    open_socket: Any, alice: Any, launch: Any, engine: Any
) -> None:
    first, second = [(await sync_to_async(launch)()).pk for _ in range(2)]
    page = await open_socket(FLEET, alice)
    await page.send({"type": "watch", "ids": [first]})
    assert (await rows(page)).keys() == {first}
    await page.send({"type": "watch", "ids": [second]})
    await page.gather(1.1)
    assert (await rows(page)).keys() == {second}
    assert await eventually(lambda: engine.stats_open == 1)


async def test_nobody_gets_a_foreign_sandboxs_numbers(
    open_socket: Any, bob: Any, running: Sandbox, engine: Any
) -> None:
    page = await open_socket(FLEET, bob)
    await page.send({"type": "watch", "ids": [running.pk]})
    assert await page.quiet(1.5, "stats")
    assert engine.stats_open == 0


async def test_a_paused_one_has_no_numbers_and_a_resumed_one_has_again(
    open_socket: Any, alice: Any, running: Sandbox, engine: Any
) -> None:
    page, own = await open_socket(FLEET, alice), await open_socket(f"{FLEET}{running.pk}/", alice)
    await page.send({"type": "watch", "ids": [running.pk]})
    assert (await rows(page))[running.pk]
    await act("pause", running)
    assert await eventually_row(page, running.pk, None)
    assert await eventually(lambda: engine.stats_open == 0)
    assert await page.quiet(1.5, "stats")
    samples = [one["sample"] for one in await own.gather(0.2) if one["type"] == "stats"]
    assert samples[-1] == {"at": samples[-1]["at"], "pids_limit": 256, **LIMITS} | dict.fromkeys(
        ("cpu", "memory", "rx_rate", "tx_rate", "read_rate", "write_rate", "pids")
    )
    await act("resume", running)
    assert (await rows(page))[running.pk]


async def eventually_row(page: Any, pk: str, wanted: Any) -> bool:
    until = time.monotonic() + 5
    while time.monotonic() < until:
        if (await rows(page))[pk] == wanted:
            return True
    return False


async def test_one_that_stops_and_starts_again_is_read_again(
    open_socket: Any, alice: Any, running: Sandbox, engine: Any
) -> None:
    page = await open_socket(FLEET, alice)
    await page.send({"type": "watch", "ids": [running.pk]})
    assert (await rows(page))[running.pk]
    engine.kill_by_hand(running.native_id)
    assert await eventually_row(page, running.pk, None)
    await act("start", await sync_to_async(Sandbox.objects.get)(pk=running.pk))
    assert (await rows(page))[running.pk]


async def test_a_stream_that_breaks_is_opened_again(
    open_socket: Any, alice: Any, running: Sandbox, engine: Any
) -> None:
    from sandboxes.engine.base import Unreachable

    page = await open_socket(FLEET, alice)
    engine.fail["stats"] = [Unreachable("broken"), Unreachable("still broken")]
    await page.send({"type": "watch", "ids": [running.pk]})
    assert await eventually_row(page, running.pk, None)
    until = time.monotonic() + 8
    while not (await rows(page))[running.pk]:
        assert time.monotonic() < until


async def test_a_page_gets_the_history_and_then_each_sample(
    open_socket: Any, alice: Any, running: Sandbox, engine: Any
) -> None:
    engine.stats_interval = 0.2
    page = await open_socket(f"{FLEET}{running.pk}/", alice)
    assert (await page.next("history"))["samples"] == []
    await page.next("stats")
    sample = (await page.next("stats"))["sample"]
    assert sample == {
        "at": sample["at"], "cpu": 0.25, "memory": 5 << 20, "rx_rate": None, "tx_rate": None,
        "read_rate": 0.0, "write_rate": sample["write_rate"], "pids": 2, "pids_limit": 256, **LIMITS,
    }  # fmt: skip
    assert sample["write_rate"] > 0
    second = await open_socket(f"{FLEET}{running.pk}/", alice)
    samples = (await second.next("history"))["samples"]
    assert sample in samples
    assert samples[0]["cpu"] is None
    assert samples[0]["write_rate"] is None


def reading(at: float, rx: int | None, written: int | None) -> StatsSample:
    return StatsSample(at, 0.5, 1, 2, rx, 0, 0, written, 1)


def test_rates_are_differences_and_unknown_without_two_readings() -> None:
    assert between(None, reading(1, 100, 0)).rx_rate is None
    assert between(reading(1, 100, 0), reading(3, 300, 50))[4:8] == (100.0, 0.0, 0.0, 25.0)


@pytest.mark.parametrize(
    ("before", "after"),
    [(reading(1, 100, 0), reading(2, 50, 0)), (reading(1, None, 0), reading(2, 5, 0)),
     (reading(1, 5, 0), reading(2, None, 0)), (reading(2, 5, 0), reading(2, 9, 0))],
)  # fmt: skip
def test_a_rate_that_cannot_be_known_is_not_made_up(before: StatsSample, after: StatsSample) -> None:
    assert between(before, after).rx_rate is None


def test_ten_minutes_are_kept() -> None:
    series = Series(Facts("c", True, 1.0, 1, 1))
    for number in range(HISTORY + 50):
        series.samples.append(between(None, reading(number, 0, 0)))
    assert len(series.samples) == HISTORY
    assert series.samples[0].at == 50


async def test_no_more_streams_than_allowed(
    open_socket: Any, alice: Any, launch: Any, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stats, "MOST", 2)
    ids = [(await sync_to_async(launch)()).pk for _ in range(3)]
    page = await open_socket(FLEET, alice)
    await page.send({"type": "watch", "ids": ids})
    await page.gather(1.5)
    assert engine.stats_open == 2
    assert page.is_open
