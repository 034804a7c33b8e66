"""What happens to one seat, each thing once: queue it, start it, find it ready or failed, start it over.

A seat's status changes by a conditional UPDATE here, and only the winner goes on.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import formats, timezone

from sandboxes.lifecycle import actions, audit, limits
from sandboxes.lifecycle.refusals import Refused
from sandboxes.models import Sandbox, Status

from . import bell, files, recorded, trail
from .models import Enrollment, Lab, LabStatus, Role, Seat, SeatStatus

GRACE = timedelta(minutes=15)
"""A sandbox outlives its seat's end by this much, so that saving comes before expiry."""
LEAST = 300
"""Seconds; no sandbox of a seat is made for less."""


def change(seat: Seat, was: SeatStatus, to: SeatStatus, where: Q | None = None, **columns: Any) -> bool:
    """Change a seat's status if it is what it was, of the same generation; False when somebody was faster.

    ``where`` are further conditions of that UPDATE.
    """
    values: dict[str, Any] = {"status": to, "changed_at": timezone.now(), **columns}
    rows = Seat.objects.filter(where or Q(), pk=seat.pk, status=was, generation=seat.generation)
    if not rows.update(**values):
        return False
    for name, value in values.items():
        setattr(seat, name, value)
    trail.nudge(seat)
    return True


def waiting() -> int:
    """How many seats of open labs wait to be started: the length of the queue, for /metrics."""
    return Seat.objects.waiting().filter(lab__status=LabStatus.OPEN).count()


def unsaved(ids: Any) -> QuerySet[Any, str | None]:
    """Of these ids (or a query of ids), sandboxes of seats whose work is still to be saved.

    An engine that was away at a lab's end answers the clock and us at the same moment (SANDBOX_SPARE_RULE).
    """
    rows = Seat.objects.exclude(status=SeatStatus.CLOSED).filter(sandbox__in=ids, saved_at=None)
    return rows.order_by().values_list("sandbox", flat=True)


# -- into the queue -----------------------------------------------------------------------------


def take(lab: Lab, enrollment: Enrollment, by: audit.Origin) -> Seat:
    """This person's seat in an open lab, made now if they come late. Raises Refused where they may not."""
    found = Seat.objects.filter(lab=lab, enrollment=enrollment).select_related("lab__course").first()
    if found:
        return found
    with transaction.atomic():
        row = _held(lab)
        if row.status != LabStatus.OPEN:
            raise Refused("", "This lab is not open.")
        if why := too_late(row):
            raise Refused("", why)
        seat, is_new = Seat.objects.get_or_create(lab=lab, enrollment=enrollment)
        if is_new:
            trail.record("seat.take", by, seat)
            bell.ring()
        trail.nudge(seat)
    return seat


def _held(lab: Lab) -> Lab:
    """The lab as it is, which it stays until the transaction ends: none closes around a seat being made."""
    return Lab.objects.select_for_update().get(pk=lab.pk)


def too_late(lab: Lab) -> str:
    """Why somebody without a seat gets none by coming now; empty where they do."""
    if lab.takes_latecomers or lab.is_trial:
        return ""
    if not lab.late or lab.late_until is None:
        return "This lab began without you, and takes nobody late. Ask your instructor."
    at = formats.time_format(timezone.localtime(lab.late_until), "H:i")
    return f"This lab took latecomers until {at}. Ask your instructor to add you."


def queue_all(lab: Lab) -> int:
    """A waiting seat for every student that has none; how many are new. Twice is once."""
    people = Enrollment.objects.students().filter(course=lab.course_id).exclude(seats__lab=lab)
    now = timezone.now()
    rows = [Seat(lab=lab, enrollment=person, queued_at=now, step_since=now) for person in people]
    Seat.objects.bulk_create(rows, ignore_conflicts=True)
    bell.ring()
    return len(rows)


def add_latecomers(lab: Lab, by: audit.Origin) -> int | None:
    """A seat for every student who has none yet; how many are new. None when the lab is not open."""
    with transaction.atomic():
        if _held(lab).status != LabStatus.OPEN:
            return None
        count = queue_all(lab)
        trail.record("lab.latecomers", by, lab, seats=count)
        trail.nudge(lab)
    return count


def retry(seat: Seat, origin: audit.Origin) -> bool:
    """Put a failed seat of an open lab into the queue again, with a new sandbox."""
    if seat.lab.status != LabStatus.OPEN:
        return False
    with transaction.atomic():
        columns: dict[str, Any] = {
            "generation": seat.generation + 1,
            "reason": "",
            "queued_at": timezone.now(),
            "sandbox": None,
        }
        before = seat.sandbox
        done = change(seat, SeatStatus.FAILED, SeatStatus.WAITING, **columns)
        if done:
            trail.record("seat.retry", origin, seat)
            bell.ring()
    if done and before is not None and before.status != Status.REMOVED:
        actions.remove(before, by=origin, wait=0, reason="tried again")
    return done


def start_over(seat: Seat, origin: audit.Origin) -> bool:
    """A new sandbox from the starting files; the present one is removed. False when it is not ready."""
    if seat.lab.status != LabStatus.OPEN:
        return False
    before = seat.sandbox
    with transaction.atomic():
        columns: dict[str, Any] = {
            "generation": seat.generation + 1,
            "reason": "",
            "queued_at": timezone.now(),
            "sandbox": None,
        }
        if not change(seat, SeatStatus.READY, SeatStatus.WAITING, **columns):
            return False
        trail.record("seat.start_over", origin, seat, before=before.pk if before else "")
        bell.ring()
    if before is not None:
        actions.remove(before, by=origin, wait=0, reason="started over")
    return True


# -- out of the queue ---------------------------------------------------------------------------


def start(seat: Seat, origin: audit.Origin | None = None, after: actions.After | None = None) -> None:
    """Launch the sandbox of a seat that is being started. Done again after a crash it is still one."""
    version = seat.lab.version
    try:
        sandbox = actions.launch(
            seat.enrollment.user, version.image, origin=origin or trail.worker_for(seat), name=_name(seat),
            memory=version.memory, cpus=version.cpus, pids=version.pids, network=version.network,
            lifetime=_lifetime(seat), launch_key=f"{seat.pk}-{seat.generation}",
            recording=recorded.asked(version), lent=True, isolation=version.isolation, idle=version.idle,
            after=after,
        )  # fmt: skip
    except Refused as refusal:
        fail(seat, str(refusal))
        return
    give(seat, sandbox)


def give(seat: Seat, sandbox: Sandbox) -> None:
    """This is its sandbox, unless it has been started over since."""
    Seat.objects.filter(pk=seat.pk, generation=seat.generation).update(sandbox=sandbox)
    seat.sandbox = sandbox


def settle(seat: Seat) -> None:
    """See what became of a seat that is being started."""
    sandbox = seat.sandbox
    if sandbox is None:
        start(seat)
    elif sandbox.status == Status.RUNNING and not sandbox.pending:
        _make_ready(seat, sandbox)
    elif sandbox.status in (Status.FAILED, Status.REMOVED, Status.STOPPED) and not sandbox.pending:
        fail(seat, sandbox.status_reason or "Its sandbox has ended.")


def _make_ready(seat: Seat, sandbox: Sandbox) -> None:
    problem = files.put_starting(seat, sandbox)
    if problem:
        fail(seat, problem)
        return
    with transaction.atomic():
        columns: dict[str, Any] = {"ready_at": timezone.now(), "reason": "", "sandbox": sandbox}
        if change(seat, SeatStatus.STARTING, SeatStatus.READY, **columns):
            trail.record("seat.ready", audit.PROVISION, seat)


def fail(seat: Seat, reason: str) -> None:
    """It could not be started; the reason is a sentence for people."""
    columns: dict[str, Any] = {"reason": reason[:300]}
    if seat.sandbox is not None:  # one that we do not know of may be there all the same
        columns["sandbox"] = seat.sandbox
    with transaction.atomic():
        if change(seat, SeatStatus.STARTING, SeatStatus.FAILED, **columns):
            trail.record("seat.ready", audit.PROVISION, seat, outcome=trail.Outcome.FAILED, reason=reason)


def _name(seat: Seat) -> str:
    """What the sandbox is called in its owner's list: a title may hold what a name may not."""
    return limits.visible(seat.lab.title)[:60].strip()


def _lifetime(seat: Seat) -> int:
    """Seconds until a while after the seat's end; at most a sandbox’s longest, though it began early."""
    left = seat.closes_at + GRACE - timezone.now()
    return min(max(int(left.total_seconds()), LEAST), settings.SANDBOX_MAX_LIFETIME)


def is_student(enrollment: Enrollment) -> bool:
    return enrollment.role == Role.STUDENT
