"""Teaching's lines of the audit trail, and its nudges: which course, lab and seat stand in the detail."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.db import transaction

from sandboxes.lifecycle import audit
from sandboxes.live import nudges
from sandboxes.models import Event, Outcome, Sandbox, User

from .models import Course, Enrollment, Lab, LabRun, Message, Seat

MOMENT = timedelta(seconds=5)
LATELY = 50
"""So near to a run its own event is, and so many others are looked through for it."""


def record(action: str, origin: audit.Origin, what: Course | Lab | Seat, *, outcome: Outcome = Outcome.OK,
           reason: str = "", changes: dict[str, Any] | None = None, duration: int | None = None,
           **facts: Any) -> None:  # fmt: skip
    """Put an act on record; inside the transaction of what it changes. ``changes``: each [before, after].

    ``duration``: how long it took, in milliseconds.
    """
    sandbox = what.sandbox if isinstance(what, Seat) else None
    where = place(course_of(what), origin)
    audit.record(action, origin, sandbox, outcome=outcome, reason=reason, place=where,
                 target=target(what), changes=changes, duration=duration,
                 detail=places(what) | facts)  # fmt: skip


def worker_for(seat: Seat) -> audit.Origin:
    """The loop, as it works for a seat's student in its course."""
    where = place(seat.lab.course, audit.PROVISION)
    return replace(audit.PROVISION, on_behalf=seat.enrollment.user.get_username(), place=where)


def presser_of(run: LabRun) -> audit.Origin:
    """Who pressed the button of a run, from where: as its own event has it."""
    events = Event.objects.filter(action="lab.run", target_id=run.lab_id, actor_name=run.by_name)
    for event in events.filter(outcome=Outcome.OK, at__gte=run.created_at - MOMENT).order_by("-id")[:LATELY]:
        if isinstance(event.detail, dict) and event.detail.get("run") == run.pk:
            return audit.origin_of(event)
    user = User.objects.filter(username=run.by_name).first()
    return audit.Origin.of(user) if user else audit.Origin("user", name=run.by_name)


def course_of(what: Course | Lab | Seat) -> Course:
    """The course that this is, or is in."""
    return what if isinstance(what, Course) else what.course if isinstance(what, Lab) else what.lab.course


def target(what: Course | Lab | Seat) -> audit.Target:
    """What the line is about; a seat goes by its student's name."""
    if isinstance(what, Seat):
        return audit.Target("seat", what.pk, what.enrollment.name)
    return audit.Target("course" if isinstance(what, Course) else "lab", what.pk, what.title)


def place(course: Course, origin: audit.Origin) -> audit.Place:
    """The course as the place of an event, and as what the actor is in it now."""
    return audit.Place(course.pk, course.title, _role(course.pk, origin))


def place_of(sandbox: Sandbox, origin: audit.Origin) -> audit.Place | None:
    """The same for a sandbox that is a seat's (SANDBOX_PLACE)."""
    rows = Seat.objects.filter(sandbox_id=sandbox.pk)
    found = rows.values_list("lab__course_id", "lab__course__title").first()
    return audit.Place(*found, _role(found[0], origin)) if found else None


def _role(course_id: str, origin: audit.Origin) -> str:
    if origin.user_id is None:
        return ""
    rows = Enrollment.objects.active().filter(course_id=course_id, user_id=origin.user_id)
    return rows.values_list("role", flat=True).first() or ""


def places(what: Course | Lab | Seat) -> dict[str, str]:
    """Ids and names of the course, the lab and the seat that this is, or is in."""
    if isinstance(what, Course):
        return {"course": what.pk, "course_title": what.title}
    if isinstance(what, Lab):
        return {**places(what.course), "lab": what.pk, "lab_title": what.title}
    return {**places(what.lab), "seat": what.pk, "student": what.enrollment.name}


def tell(what: Lab | Seat, text: str, by: str = "", about: str = "") -> Message:
    """A message to everyone of a lab, or to one seat: kept, and shown once the transaction is through."""
    lab, seat = (what.lab, what) if isinstance(what, Seat) else (what, None)
    made = Message.objects.create(lab=lab, seat=seat, by_name=by, text=text, about=about)
    nudge(what, "message", id=f"message-{made.pk}", text=text, by=by, about=about)
    return made


def tell_of_sandbox(sandbox: Sandbox, text: str) -> None:
    """A message to the seat that holds this sandbox, where there is one (SANDBOX_TELLER)."""
    for seat in Seat.objects.filter(sandbox=sandbox).select_related("lab").defer("lab__version"):
        tell(seat, text)


def nudge(what: Lab | Seat, kind: str = "changed", **facts: Any) -> None:
    """Tell the pages of this lab, or of this seat and its lab, once the transaction is through."""
    lab = what.lab_id if isinstance(what, Seat) else what.pk
    topics = [f"lab-{lab}"] + ([f"seat-{what.pk}"] if isinstance(what, Seat) else [f"seats-{lab}"])
    message = {"type": kind, "id": what.pk, **facts}
    transaction.on_commit(lambda: nudges.send_topics(message, *topics))
