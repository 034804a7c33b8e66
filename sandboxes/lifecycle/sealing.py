"""The loop that seals the trail about once a second, and hands on its signed head and its events."""

from __future__ import annotations

import logging
import threading
import time

from django.conf import settings
from django.db import close_old_connections
from django.utils import timezone

from . import chain, configured, feeds, heads, lease, process
from .feeds import delivering

log = logging.getLogger(__name__)

ROLE = "audit"
EVERY = 1.0
"""Seconds between two rounds."""
FEED_FOR = 2.0
"""Seconds for which feeds go on in one round where much is waiting; well below the role's lease."""
DRAIN = 5.0
"""Seconds that posts under way get at the end."""
FULL_EVERY = 300.0
"""Seconds between two looks through the whole trail for what committed late."""


def loop(stop: threading.Event) -> None:
    """Rounds while the role is ours, until ``stop`` is set."""
    process.hold()
    rounds = Rounds()
    try:
        while not stop.is_set():
            rounds.one()
            close_old_connections()
            stop.wait(EVERY)
    finally:
        delivering.drain(DRAIN)
        lease.release(ROLE)
        process.leave()


class Rounds:
    """When the whole trail was last looked through, and when its head was last handed on."""

    def __init__(self) -> None:
        self._full = self._head = float("-inf")
        self._number = -1
        self._is_noted = False

    def one(self) -> int:
        """One round, if the role is ours; returns how many events were sealed."""
        try:
            if not lease.acquire(ROLE, settings.SANDBOX_LEASE):
                return 0
            self._note_settings()
            done = self._seal()
            self._hand_on()
            self._feed()
            return done
        except Exception:
            log.exception("A round of the audit loop failed")
            return 0

    def _note_settings(self) -> None:
        """Once a start, tried again until it is written."""
        if not self._is_noted:
            configured.note()
            self._is_noted = True

    def _seal(self) -> int:
        now = time.monotonic()
        full = now - self._full >= FULL_EVERY
        done = chain.seal(full)
        self._full = now if full else self._full
        if done or full:
            lease.report(ROLE, {"at": timezone.now().isoformat(), "number": chain.newest(), "sealed": done})
        return done

    def _feed(self) -> None:
        """Counters, the file and the webhooks get what was sealed; none of them stops the others."""
        end = time.monotonic() + FEED_FOR
        while feeds.run_round() and time.monotonic() < end:
            pass

    def _hand_on(self) -> None:
        now, number = time.monotonic(), chain.newest()
        if number == self._number or now - self._head < settings.SANDBOX_AUDIT_HEAD_INTERVAL:
            return
        self._head, self._number = now, number
        heads.publish()
