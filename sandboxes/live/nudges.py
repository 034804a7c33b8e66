"""Nudges: from any thread of any process to the open pages. Hints; nothing here raises or waits long."""

from __future__ import annotations

import logging
from typing import Any

from . import hub, relay

log = logging.getLogger(__name__)


def send_sandbox(sandbox_id: str, owner_id: int) -> None:
    """Tell this sandbox's pages, its owner's lists and the staff's that it changed."""
    _send({"type": "nudge", "kind": "sandbox", "id": sandbox_id, "owner": owner_id})


def send_image(image_id: int) -> None:
    """Tell the pages that show the catalogue."""
    _send({"type": "nudge", "kind": "image", "id": image_id, "owner": 0})


def send_topics(message: dict[str, Any], *topics: str) -> None:
    """Deliver a message to whoever joined one of these topics: what the wings above core tell their pages."""
    _send({"type": "nudge", "kind": "topics", "message": message, "topics": list(topics)})


def _send(nudge: relay.Nudge) -> None:
    try:
        here = hub.running()
        if here is not None:
            here.loop.call_soon_threadsafe(here.nudge, nudge)
        elif relay.is_there():
            relay.send_and_wait(nudge)
    except Exception as error:
        log.debug("A nudge was lost: %s", error)
