"""A lab from planned to closed: its plan, opening, more time, closing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from sandboxes.lifecycle import actions, audit, budget, host
from sandboxes.lifecycle.refusals import Refused
from sandboxes.models import Image
from sandboxes.units import format_size

from . import bell, recorded, seats, trail
from .models import Enrollment, Lab, LabStatus, Seat, SeatStatus, TemplateVersion

ROOM = 70
"""Percent of the host's memory that a plan counts on where the install has no budget."""
WARNING = timedelta(minutes=5)
"""How long before the end everybody is warned."""


@dataclass(frozen=True)
class Plan:
    """What opening would take and what there is; memory in bytes, None where the engine does not say."""

    people: int
    each: int
    host: int | None
    promised: int
    image: Image | None
    is_here: bool
    recorded: str = ""
    """What students are told about recording, where there is any."""

    @property
    def needed(self) -> int:
        return self.people * self.each

    @property
    def fits(self) -> int | None:
        """How many seats there is memory for, by the promises made."""
        if self.host is None:
            return None
        return max(self._most(self.host) - self.promised, 0) // max(self.each, 1)

    def _most(self, host: int) -> int:
        """What may be promised to all sandboxes together."""
        return budget.limit() or host * ROOM // 100

    @property
    def is_enough(self) -> bool:
        return self.fits is None or self.fits >= self.people

    @property
    def sentence(self) -> str:
        """The memory of it in a sentence."""
        text = f"{self.people} × {format_size(self.each)} needs up to {format_size(self.needed)}"
        if self.host is None:
            return f"{text}; the engine does not answer, so what there is is not known."
        most, already = format_size(self._most(self.host)), format_size(self.promised)
        share = "" if settings.SANDBOX_MEMORY_BUDGET else f" ({settings.SANDBOX_MEMORY_SHARE or ROOM} %)"
        return (f"{text}; of this host’s {format_size(self.host)}, {most}{share} is for sandboxes, "
                f"and {already} of that is promised already: room for {self.fits}.")  # fmt: skip


def plan(lab: Lab) -> Plan:
    """The plan of a lab that is to be opened."""
    people = Enrollment.objects.students().filter(course=lab.course_id).count()
    promised = budget.promised()
    image = lab.version.image
    return Plan(people, lab.version.memory, _host_memory(), promised, image, bool(image and image.is_here),
                recorded.told(lab.version))  # fmt: skip


def _host_memory() -> int | None:
    found = host.info()
    return found.memory if found else None


def make(version: TemplateVersion, title: str, *, closes_at: datetime, by: audit.Origin,
         operation: str = "", **options: Any) -> Lab:  # fmt: skip
    """Put a lab on record. ``options``: ready_by, late, is_trial. Raises Refused for times that cannot be.

    The same ``operation`` in the same course gives the first lab.
    """
    course = version.template.course
    known = course.labs.filter(operation=operation).first() if operation else None
    if known is not None:
        return known
    _check(options.get("ready_by"), closes_at)
    try:
        with transaction.atomic():
            lab = Lab.objects.create(course=course, version=version, title=title, closes_at=closes_at,
                                     created_by=by.name, operation=operation or None, **options)  # fmt: skip
            trail.record("lab.create", by, lab, version=version.number)
    except IntegrityError:  # the other press was faster
        return course.labs.get(operation=operation)
    return lab


def _check(ready_by: datetime | None, closes_at: datetime) -> None:
    begins = max(ready_by or timezone.now(), timezone.now())
    if closes_at <= begins:
        raise Refused("closes_at", "A lab has to end after it begins.")
    most = timedelta(seconds=settings.SANDBOX_MAX_LIFETIME) - seats.GRACE
    if closes_at - begins > most:
        hours = most.total_seconds() / 3600
        raise Refused("closes_at", f"A lab may last {hours:g} hours at most here.")


def open_lab(lab: Lab, by: audit.Origin) -> bool:
    """Open it and queue a seat for every student; False when it is open already or over.

    It lasts as long as was planned: one without ``ready_by``, or opened after its end, ends that much later.
    """
    now = timezone.now()
    with transaction.atomic():
        columns: dict[str, Any] = {"status": LabStatus.OPEN, "opened_at": now}
        if lab.ready_by is None or lab.closes_at <= now:
            columns["closes_at"] = now + (lab.closes_at - (lab.ready_by or lab.created_at))
        if not Lab.objects.filter(pk=lab.pk, status=LabStatus.PLANNED).update(**columns):
            return False
        lab.refresh_from_db()
        count = 0 if lab.is_trial else seats.queue_all(lab)
        trail.record("lab.open", by, lab, seats=count)
        trail.nudge(lab)
    return True


def close_lab(lab: Lab, by: audit.Origin, reason: str = "", latest: int | None = None) -> bool:
    """Begin to close: the loop saves every workspace and removes the sandboxes. False when it is not open.

    ``latest``: only while its end is as ``lab`` says, and nobody has more extra seconds: time given wins.
    """
    with transaction.atomic():
        row = Lab.objects.select_for_update().get(pk=lab.pk)
        if row.status not in (LabStatus.OPEN, LabStatus.PLANNED):
            return False
        later = row.closes_at > lab.closes_at or row.seats.filter(extra__gt=latest or 0).exists()
        if latest is not None and later:
            return False
        Lab.objects.filter(pk=lab.pk).update(status=LabStatus.CLOSING)
        lab.refresh_from_db()
        trail.record("lab.close", by, lab, reason=reason)
        bell.ring()
        trail.nudge(lab)
    return True


def discard(lab: Lab, by: audit.Origin) -> bool:
    """Take a planned lab off the plan: students see it no more. False when it is not planned any more."""
    with transaction.atomic():
        gone = {"status": LabStatus.CLOSED, "closed_at": timezone.now()}
        if not Lab.objects.filter(pk=lab.pk, status=LabStatus.PLANNED).update(**gone):
            return False
        lab.refresh_from_db()
        trail.record("lab.discard", by, lab)
        trail.nudge(lab)
    return True


def extend_lab(lab: Lab, by: audit.Origin, seconds: int) -> bool:
    """Give everybody more time; sandboxes too. False when it is not open.

    Raises Refused once seats were closed: their students' work is saved and their sandboxes are gone.
    """
    with transaction.atomic():
        row = Lab.objects.select_for_update().get(pk=lab.pk)  # two who press at once both count
        closes = row.closes_at + timedelta(seconds=seconds)
        if row.status != LabStatus.OPEN:
            return False
        if lab.seats.filter(status__in=OVER).exists():
            raise Refused("", TOO_LATE)
        Lab.objects.filter(pk=lab.pk).update(closes_at=closes, warned_at=None)
        lab.seats.update(warned_at=None)
        lab.refresh_from_db()
        trail.record("lab.extend", by, lab, seconds=seconds, closes_at=closes.isoformat(timespec="seconds"))
        trail.nudge(lab)
    for seat in lab.seats.filter(status=SeatStatus.READY).select_related("sandbox__owner", "sandbox__image"):
        _extend_sandbox(seat, by, seconds)
    return True


OVER = (SeatStatus.SAVING, SeatStatus.CLOSED)
TOO_LATE = (
    "Its time is over and seats are closed already. Give those who still work extra time, each by name."
)


def extend_seat(seat: Seat, by: audit.Origin, seconds: int) -> None:
    """Extra time for one student. Raises Refused once the seat, or the lab, is closed."""
    with transaction.atomic():
        Lab.objects.select_for_update().get(pk=seat.lab_id)  # it does not close meanwhile
        rows = Seat.objects.filter(pk=seat.pk, lab__status=LabStatus.OPEN).exclude(status__in=OVER)
        if not rows.update(extra=F("extra") + seconds, warned_at=None, changed_at=timezone.now()):
            raise Refused("", f"{seat.enrollment.name}’s seat is closed, or is being saved.")
        trail.record("seat.extend", by, seat, seconds=seconds)
        trail.nudge(seat)
    seat.refresh_from_db()
    _extend_sandbox(seat, by, seconds)


def _extend_sandbox(seat: Seat, by: audit.Origin, seconds: int) -> None:
    if seat.sandbox is not None:
        actions.extend(seat.sandbox, by=by, seconds=seconds)
