"""The catalogue and the engine's images: what is offered, what is here, and fetching what is not.

One pull per image in a process, shared by all who wait for it. It decides nothing about sandboxes:
whoever waits is told when the pull is over.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from concurrent.futures import Future
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from sandboxes.engine import get_engine
from sandboxes.engine.base import EngineError, PullProgress
from sandboxes.models import Event, Image, Outcome

from . import announce, audit, process, snapshots, transitions, work
from .transitions import Claim

log = logging.getLogger(__name__)

PROGRESS_EVERY = 0.5
"""Seconds between two notes of a pull's progress."""
INTERRUPTED = "The pull was interrupted. Pull it again."


def catalogue() -> list[dict[str, Any]]:
    """What a new install offers; admins change it afterwards."""
    return [
        {"reference": settings.SANDBOX_STARTER, "title": "Starter", "shell": "sh", "position": 1,
         "description": "A small Linux with a shell and the usual tools. Here at once."},
        {"reference": "node:20-alpine", "title": "Node.js 20", "shell": "sh", "position": 10,
         "description": "Node.js 20 with npm, on Alpine Linux."},
        {"reference": "python:3.13-slim", "title": "Python 3.13", "shell": "bash", "position": 20,
         "description": "Python 3.13 with pip, on Debian."},
    ]  # fmt: skip


def seed_catalogue(origin: audit.Origin = audit.SYSTEM) -> None:
    """Put the first images into the catalogue; what is there already stays as the admins have it."""
    limits = {
        "memory": settings.SANDBOX_DEFAULT_MEMORY,
        "cpus": settings.SANDBOX_DEFAULT_CPUS,
        "pids": settings.SANDBOX_DEFAULT_PIDS,
        "disk": settings.SANDBOX_DEFAULT_DISK,
        "lifetime": settings.SANDBOX_DEFAULT_LIFETIME,
    }
    for row in catalogue():
        add(row["reference"], row | limits, origin)


def add(reference: str, columns: dict[str, Any], origin: audit.Origin) -> Image:
    """Put an image into the catalogue unless it is there."""
    with transaction.atomic():
        image, is_new = Image.objects.get_or_create(reference=reference, defaults=columns)
        if is_new:
            target = audit.Target("image", str(image.pk), reference)
            audit.record(
                "image.add", origin, target=target, changes=snapshots.changes({}, snapshots.of(image))
            )
    return image


def ensure_starter() -> None:
    """Build the starter image unless it is here, without any registry. Raises EngineError."""
    get_engine().build_starter(settings.SANDBOX_STARTER)
    refresh_presence()


def canonical(reference: str) -> str:
    """The way the engine lists a reference: ``docker.io/library/busybox`` is ``busybox:latest``."""
    short = reference.removeprefix("docker.io/").removeprefix("library/")
    return short if "@" in short or ":" in short.rpartition("/")[2] else f"{short}:latest"


def refresh_presence() -> None:
    """Write down which images of the catalogue are here and how large. Raises EngineError."""
    sizes = {name: image.size for image in get_engine().images() for name in image.references}
    for image in Image.objects.all():
        size = sizes.get(canonical(image.reference))
        if size != image.size:
            _write(image.reference, size=size, checked_at=timezone.now())
    Image.objects.update(checked_at=timezone.now())


def release_pulls(alive: set[str]) -> int:
    """Note that the pulls of processes that have died are over; returns how many."""
    stale = Image.objects.filter(pull_since__isnull=False).exclude(pull_by__in=alive)
    references = list(stale.values_list("reference", flat=True))
    for reference in references:
        with transaction.atomic():
            _write(reference, **_OVER, pull_error=INTERRUPTED)
            _answer(reference)
    return len(references)


def _answer(reference: str) -> None:
    """Put on record that nothing came of the last pull, unless something did."""
    asked = Event.objects.filter(action="image.pull", outcome=Outcome.REQUESTED, target_name=reference)
    last = asked.order_by("-id").first()
    if last is not None and not audit.is_answered(last):
        audit.answer(last, Outcome.FAILED, INTERRUPTED)


def pull(image: Image, origin: audit.Origin) -> Future[None]:
    """Pull it now, or join the pull under way; progress goes into its row. Ends in None or EngineError."""
    process.hold()
    return fetch(image.reference, origin)


def fetch(reference: str, origin: audit.Origin, waiter: Claim | None = None) -> Future[None]:
    """The pull of a reference, shared by all who ask while it lasts; a waiter's claim is kept fresh."""
    with _lock:
        found = _pulls.get(reference)
        if found is None:
            mine = _pulls[reference] = _Pull(reference, origin)
        if waiter is not None:
            (found or mine).waiters.append(waiter)
    if found is not None:
        if waiter is None:
            found.joined(origin)
        return found.future
    work.submit(mine.run, pool="pulls")
    return mine.future


_OVER: dict[str, Any] = {"pull_since": None, "pull_by": "", "pull_progress": {}}
_pulls: dict[str, _Pull] = {}
_lock = threading.Lock()


def _write(reference: str, **columns: Any) -> None:
    """Change an image's row and nudge; a reference that left the catalogue changes nothing."""
    with transaction.atomic():
        Image.objects.filter(reference=reference).update(changed_at=timezone.now(), **columns)
        image = Image.objects.filter(reference=reference).only("pk").first()
        if image is not None:
            announce.image(image)


class _Pull:
    """One pull: its future, and the launches that wait for it."""

    def __init__(self, reference: str, origin: audit.Origin) -> None:
        self.reference = reference
        self.origin = origin
        self.waiters: list[Claim] = []
        self.future: Future[None] = Future()
        self.operation, self.began = secrets.token_hex(8), timezone.now()
        self._noted = 0.0

    def run(self) -> None:
        """Pull, note what came of it, and let those who wait go on."""
        try:
            self._pull()
        except BaseException as error:
            self._leave()
            self.future.set_exception(error)
            self._failed(error)
        else:
            self._leave()
            self.future.set_result(None)

    def joined(self, origin: audit.Origin) -> None:
        """Somebody asked for the same: one pull, and their wish is on record."""
        audit.record("image.pull", origin, reason="It was under way already.", target=self._target())

    def _target(self) -> audit.Target:
        known = Image.objects.filter(reference=self.reference).values_list("pk", flat=True).first()
        return audit.Target("image", str(known or ""), self.reference)

    def _leave(self) -> None:
        with _lock:
            del _pulls[self.reference]

    def _pull(self) -> None:
        begun: dict[str, Any] = {
            "pull_since": timezone.now(),
            "pull_by": process.process_id(),
            "pull_progress": {},
        }
        self._write(Outcome.REQUESTED, pull_error="", **begun)
        self._fetch()
        here = get_engine().has_image(self.reference)
        size = here.size if here else None
        self._write(Outcome.OK, **_OVER, size=size, checked_at=timezone.now())

    def _fetch(self) -> None:
        """From the registry; the starter image is no registry's, it is built here."""
        if self.reference == settings.SANDBOX_STARTER:
            get_engine().build_starter(self.reference)
        else:
            get_engine().pull(self.reference, self._progress)

    def _failed(self, error: BaseException) -> None:
        if not isinstance(error, EngineError):
            log.error("The pull of %s broke", self.reference, exc_info=error)
        sentence = str(error) if isinstance(error, EngineError) else INTERRUPTED
        self._write(Outcome.FAILED, sentence, **_OVER, pull_error=sentence[:300])

    def _write(self, outcome: Outcome, reason: str = "", **columns: Any) -> None:
        """The image's row and the event, in one transaction."""
        with transaction.atomic():
            _write(self.reference, **columns)
            self._record(outcome, reason)

    def _record(self, outcome: Outcome, reason: str = "") -> None:
        took = None if outcome == Outcome.REQUESTED else audit.since(self.began)
        audit.record("image.pull", self.origin, outcome=outcome, reason=reason, duration=took,
                     operation=self.operation, target=self._target())  # fmt: skip

    def _progress(self, seen: PullProgress) -> None:
        """Note the progress and keep the waiters' claims fresh, not too often."""
        if time.monotonic() - self._noted < PROGRESS_EVERY:
            return
        self._noted = time.monotonic()
        layers = {layer: list(at) for layer, at in seen.layers.items()}
        _write(self.reference, pull_progress={"done": seen.done, "wanted": seen.wanted, "layers": layers})
        transitions.keep(self.waiters)
