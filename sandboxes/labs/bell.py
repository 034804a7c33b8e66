"""The queue's bell: whoever leaves work for the worker rings, and it looks at once, in its own process.

A ring is a datagram to a socket in DATA_DIR, which is open to one user alone: who serves pages has to be
who runs the loop. It is a hint: one that is lost, or cannot be heard (another user, another machine, a path
too long for a socket), costs the worker's pause between two looks.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from contextlib import suppress
from pathlib import Path

from django.conf import settings
from django.db import transaction

from sandboxes.lifecycle import work

log = logging.getLogger(__name__)

rung = threading.Event()
"""Set by a ring that this process heard, after which whoever waits for ``work.over`` is woken."""


def ring() -> None:
    """Ring once the transaction is through."""
    transaction.on_commit(_ring)


def _ring() -> None:
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.sendto(b"!", str(path()))


def path() -> Path:
    """Where the socket of the process that has the role is."""
    return Path(settings.DATA_DIR) / "provision.bell"


class Ear:
    """One socket and the thread that hears it. Raises OSError or RuntimeError where there can be none."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._is_over = False
        self._thread = threading.Thread(target=self._hear, name="bell", daemon=True)
        try:
            self._place = self._bind()
            self._thread.start()
        except (OSError, RuntimeError):
            self._socket.close()
            raise

    def _bind(self) -> tuple[int, int]:
        """Take the path over from whoever had it, in one go: a bind that fails takes nothing away."""
        own = path().with_suffix(f".{os.getpid()}")
        own.unlink(missing_ok=True)
        try:
            self._socket.bind(str(own))
            own.chmod(0o600)
            own.replace(path())
        finally:
            own.unlink(missing_ok=True)
        return _place()

    def is_good(self) -> bool:
        """Whether it still hears what is sent to the path."""
        with suppress(OSError):
            return self._thread.is_alive() and _place() == self._place
        return False

    def close(self) -> None:
        """Hear no more. The path stays: by now it may be another process' own."""
        self._is_over = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def _hear(self) -> None:
        with self._socket, suppress(OSError):
            while True:
                self._socket.recv(1)
                if self._is_over:
                    return
                rung.set()
                work.over.set()


def _place() -> tuple[int, int]:
    """Which socket is at the path now."""
    found = path().stat()
    return found.st_dev, found.st_ino


class Bell:
    """What the worker hears with: made when first wanted, and anew where it hears nothing any more."""

    def __init__(self) -> None:
        self._ear: Ear | None = None
        self._trouble = ""

    def listen(self) -> None:
        """Be heard from now on; ask each turn, it costs a look at the path."""
        if self._ear is not None and self._ear.is_good():
            return
        self.mute()
        try:
            self._ear, self._trouble = Ear(), ""
        except (OSError, RuntimeError) as error:
            self._say(str(error))

    def mute(self) -> None:
        """Hear no more, until asked to."""
        ear, self._ear = self._ear, None
        if ear is not None:
            ear.close()

    def _say(self, trouble: str) -> None:
        """Once for each reason."""
        if trouble != self._trouble:
            log.warning("The queue has no bell, and is looked at now and then: %s", trouble)
        self._trouble = trouble
