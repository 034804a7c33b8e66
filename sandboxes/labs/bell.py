"""The queue's bell: whoever leaves work for the worker rings, and it looks at once, in its own process.

A ring is a datagram to a socket in DATA_DIR. It is a hint: one that is lost, or cannot be heard
(another machine, a path too long for a socket), costs the worker's pause between two looks.
"""

from __future__ import annotations

import logging
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


def listen() -> socket.socket | None:
    """Hear rings from now on, in a thread, instead of whoever did before; ``mute`` ends it."""
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        path().unlink(missing_ok=True)
        heard.bind(str(path()))
    except OSError as error:
        heard.close()
        log.info("The queue has no bell, and is looked at now and then: %s", error)
        return None
    threading.Thread(target=_hear, args=(heard,), daemon=True).start()
    return heard


def mute(heard: socket.socket | None) -> None:
    """Hear no more. The path stays: by now it may be another process' own."""
    if heard is not None:
        with suppress(OSError):
            heard.shutdown(socket.SHUT_RDWR)


def _hear(heard: socket.socket) -> None:
    with heard, suppress(OSError):
        while heard.recv(1):
            rung.set()
            work.over.set()
