"""Nudges between processes through Redis, where there is one; one group, joined by every web process.

At most once and in no order: what gets lost is found by live.tail.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings

log = logging.getLogger(__name__)

GROUP = "hubs"
PATIENCE = 2.0
"""Seconds that sending may take."""
Nudge = dict[str, Any]


def is_there() -> bool:
    """Whether processes can reach each other."""
    return bool(settings.REDIS_URL)


def _layer() -> Any:
    return get_channel_layer()


async def send(nudge: Nudge) -> None:
    """Tell every web process. Raises when Redis cannot be reached in time."""
    await asyncio.wait_for(_layer().group_send(GROUP, nudge), PATIENCE)


def send_and_wait(nudge: Nudge) -> None:
    """The same for a thread without an event loop."""
    async_to_sync(send)(nudge)


async def listen(hear: Callable[[Nudge], None]) -> None:
    """Call ``hear`` for what any process tells, for ever; reconnects by itself."""
    while True:
        try:
            layer = _layer()
            channel = await layer.new_channel()
            await layer.group_add(GROUP, channel)
            while True:
                hear(await layer.receive(channel))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.warning("Nudges of other processes are not heard: %s", error)
            await asyncio.sleep(PATIENCE)
