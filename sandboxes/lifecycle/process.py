"""Which process this is, and which others are alive: a lease row a process, renewed while it lives."""

from __future__ import annotations

import atexit
import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import QuerySet
from django.utils import timezone

from sandboxes.models import Lease

log = logging.getLogger(__name__)

_id: tuple[int, str] | None = None
_lock = threading.Lock()
_keeper: _Keeper | None = None
_farewells: list[Callable[[], object]] = []


def process_id() -> str:
    """This process' name: host, pid, and a random part, since pids come back. Made anew after a fork."""
    global _id
    if _id is None or _id[0] != os.getpid():
        _id = (os.getpid(), f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}")
    return _id[1]


def renew() -> None:
    """Say that this process is alive for another SANDBOX_LEASE seconds; again where saying so took longer.

    Where it comes too late, so may everybody's: the database was away, and who was alive then still is.
    """
    lease = timedelta(seconds=settings.SANDBOX_LEASE)
    until = timezone.now()
    while until <= timezone.now():
        late, until = _late(), timezone.now() + lease
        if late is not None:
            _rows().filter(until__gt=late - lease).update(until=until)
        Lease.objects.update_or_create(
            name=f"process:{process_id()}", defaults={"owner": process_id(), "until": until}
        )


def alive() -> set[str]:
    """The processes that gave a sign of life within their lease, and this one.

    Of a time in which not even this one could say so nothing is known.
    """
    if _late() is not None:
        renew()
    rows = _rows().filter(until__gt=timezone.now())
    return set(rows.values_list("owner", flat=True)) | {process_id()}


def _rows() -> QuerySet[Lease]:
    return Lease.objects.filter(name__startswith="process:")


def _late() -> datetime | None:
    """When this process' lease was over, though it lives; None while it is not, or where it has none."""
    mine = Lease.objects.filter(name=f"process:{process_id()}", until__lte=timezone.now())
    return mine.values_list("until", flat=True).first()


def hold() -> None:
    """Be known as alive from now on: the first call renews, then a thread does until ``leave``.

    Whoever claims calls it first, so that no loop takes the claim for a dead process', and calls it
    outside of a transaction: two threads could wait for each other, one for the lock here and one
    for the database's. Without worker threads (SANDBOX_WORKERS=0) there is no thread either.
    """
    global _keeper
    if _is_held():
        return
    with _lock:
        if _is_held():
            return
        renew()
        _keeper = _Keeper(process_id())
    if settings.SANDBOX_WORKERS:
        _keeper.start()


def _is_held() -> bool:
    return _keeper is not None and _keeper.process == process_id()


def at_exit(fn: Callable[[], object]) -> None:
    """Have ``fn`` called when this process ends in an orderly way, the last named first."""
    _farewells.insert(0, fn)


@atexit.register
def say_farewell() -> None:
    """Finish what is under way, then give the lease back; a killed process does neither. Twice is once."""
    if not _is_held():
        return
    for fn in (*_farewells, leave):
        try:
            fn()
        except Exception:
            log.exception("Something could not be finished at the end of this process")


def leave() -> None:
    """Give the lease back, so that what this process held is free at once."""
    let_lapse()
    Lease.objects.filter(name=f"process:{process_id()}").delete()


def let_lapse() -> None:
    """Renew no more; nothing is written."""
    global _keeper
    with _lock:
        keeper, _keeper = _keeper, None
    if keeper is not None:
        keeper.end()


class _Keeper(threading.Thread):
    """Renews this process' lease three times a lease; dies with the process, as it should."""

    def __init__(self, process: str) -> None:
        super().__init__(name="process-lease", daemon=True)
        self.process = process
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(settings.SANDBOX_LEASE / 3):
            try:
                renew()
            except DatabaseError as error:
                log.warning("The lease of %s could not be renewed: %s", self.process, error)
            finally:
                connection.close()

    def end(self) -> None:
        self._over.set()
        if self.is_alive():
            self.join(5)
