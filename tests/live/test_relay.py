"""Nudges between processes through a real Redis: started for these tests."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from sandboxes.live import hub, nudges, tail
from sandboxes.models import Sandbox
from scripts import services

FLEET = "/ws/sandboxes/"


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    if services.find("redis-server") is None:
        pytest.skip("no redis-server: make test installs it")
    with services.redis() as url:
        yield url


@pytest.fixture
def with_redis(settings: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Redis configured, and no tail that would find the change by itself."""
    settings.REDIS_URL = redis_url
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [redis_url], "prefix": f"sandboxes-{settings.SANDBOX_INSTALL}"},
        }
    }
    monkeypatch.setattr(tail.Tail, "read", lambda self: [])
    return redis_url


ELSEWHERE = """
import django
django.setup()
from sandboxes.live import nudges
nudges.send_sandbox({pk!r}, {owner})
nudges.send_image(7)
"""


def nudge_elsewhere(redis_url: str, sandbox: Sandbox) -> None:
    """Another process, which has no hub: the loop, a management command."""
    environment = os.environ | {"REDIS_URL": redis_url, "DJANGO_SETTINGS_MODULE": "sandboxes.settings"}
    code = ELSEWHERE.format(pk=sandbox.pk, owner=sandbox.owner_id)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=30)


async def test_another_process_nudge_reaches_our_pages(
    with_redis: str, open_socket: Any, alice: Any, running: Sandbox
) -> None:
    page = await open_socket(FLEET, alice)
    await page.gather(0.5)
    await sync_to_async(nudge_elsewhere)(with_redis, running)
    assert (await page.next("changed"))["id"] == running.pk
    assert (await page.next("image"))["id"] == 7


async def test_our_own_nudge_arrives_once_though_redis_sends_it_back(
    with_redis: str, open_socket: Any, alice: Any, running: Sandbox
) -> None:
    page = await open_socket(FLEET, alice)
    await page.gather(0.5)
    await sync_to_async(nudges.send_sandbox)(running.pk, alice.pk)
    assert len([one for one in await page.gather(1) if one["type"] == "changed"]) == 1


async def test_without_redis_at_the_other_end_nothing_waits_and_our_pages_are_told(
    with_redis: str, open_socket: Any, alice: Any, running: Sandbox, settings: Any
) -> None:
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": ["redis://127.0.0.1:1/0"]},
        }
    }
    hub.end()
    began = time.monotonic()
    await sync_to_async(nudges.send_sandbox, thread_sensitive=False)(running.pk, alice.pk)
    assert time.monotonic() - began < 10
