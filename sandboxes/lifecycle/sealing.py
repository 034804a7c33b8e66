"""The loop that seals the trail about once a second and hands its signed head on from time to time."""

from __future__ import annotations

import logging
import threading
import time

from django.conf import settings
from django.db import close_old_connections
from django.utils import timezone

from . import chain, heads, lease, process

log = logging.getLogger(__name__)

ROLE = "audit"
EVERY = 1.0
"""Seconds between two rounds."""
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
        lease.release(ROLE)
        process.leave()


class Rounds:
    """When the whole trail was last looked through, and when its head was last handed on."""

    def __init__(self) -> None:
        self._full = self._head = float("-inf")
        self._number = -1

    def one(self) -> int:
        """One round, if the role is ours; returns how many events were sealed."""
        try:
            if not lease.acquire(ROLE, settings.SANDBOX_LEASE):
                return 0
            done = self._seal()
            self._hand_on()
            return done
        except Exception:
            log.exception("A round of the audit loop failed")
            return 0

    def _seal(self) -> int:
        now = time.monotonic()
        full = now - self._full >= FULL_EVERY
        done = chain.seal(full)
        self._full = now if full else self._full
        if done or full:
            lease.report(ROLE, {"at": timezone.now().isoformat(), "number": chain.newest(), "sealed": done})
        return done

    def _hand_on(self) -> None:
        now, number = time.monotonic(), chain.newest()
        if number == self._number or now - self._head < settings.SANDBOX_AUDIT_HEAD_INTERVAL:
            return
        self._head, self._number = now, number
        heads.publish()
