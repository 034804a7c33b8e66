"""A lab for its staff: plan it, open it, see it fill, give more time, close it."""

from __future__ import annotations

import secrets
from collections import Counter
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render, resolve_url
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from sandboxes.labs import closing, gate, members, opening, seats, trail
from sandboxes.labs.forms_labs import LabForm
from sandboxes.labs.models import Enrollment, Lab, LabStatus, Seat, SeatStatus
from sandboxes.lifecycle import audit, images
from sandboxes.lifecycle.refusals import Refused
from sandboxes.views.filters import clean
from sandboxes.views.web import Request, back, origin, private, say

PAGES = ["GET", "HEAD", "POST"]
IN_MINUTES = (0, 2, 5, 10)
"""After which a lab can be closed by hand; 0: now."""
MOST = 12 * 60
"""Minutes that can be given at once."""


@require_http_methods(PAGES)
@private
def lab_new(request: Request, pk: str) -> HttpResponse:
    """The form of a new lab; its page shows the plan before anything is opened."""
    course = gate.get_course(request.user, pk, gate.MANAGE)
    wish = {"template": request.GET.get("template", ""), "operation": secrets.token_hex(12)}
    form = LabForm(course, request.POST or None, initial=wish)
    if request.method == "POST" and form.is_valid():
        try:
            lab = opening.make(form.version(), by=origin(request), **form.options())
            return back(request, "lab_detail", lab.pk)
        except Refused as refusal:
            form.add_error("minutes", str(refusal))
    if form.errors:
        note_errors(form, origin(request), course)
    context = {"form": form, "course": course}
    return render(request, "labs/lab_new.html", context, status=422 if form.errors else 200)


def note_errors(form: LabForm, who: audit.Origin, course: Any) -> None:
    """Put what was wrong on record, field by field; never what was typed."""
    for field, errors in form.errors.items():
        facts: dict[str, Any] = {"field": field}
        trail.record("lab.create", who, course, outcome=trail.Outcome.REFUSED, reason=str(errors[0]), **facts)


@require_GET
@private
def lab_detail(request: Request, pk: str) -> HttpResponse:
    """The lab's page; a fragment of it for htmx."""
    lab = gate.get_lab(request.user, pk)
    part = "#lab" if request.htmx else ""
    return render(request, f"labs/lab.html{part}", context_of(request, lab))


def context_of(request: Request, lab: Lab) -> dict[str, Any]:
    """The lab, its seats, how far they are, and before it opens the plan."""
    rows = list(lab.seats.select_related("enrollment", "sandbox"))
    counts = Counter(seat.status for seat in rows)
    missing = Enrollment.objects.students().filter(course=lab.course_id).exclude(seats__lab=lab).count()
    return {
        "lab": lab, "course": lab.course, "seats": rows, "counts": counts,
        "saved": any(seat.saved_name for seat in rows), "progress": Progress(counts),
        "missing": 0 if lab.is_trial else missing, "may_act": gate.can(request.user, lab.course, gate.ACT),
        "may_manage": gate.can(request.user, lab.course, gate.MANAGE),
        "plan": opening.plan(lab) if lab.status == LabStatus.PLANNED else None, "discarded": DISCARDED,
    }  # fmt: skip


class Progress:
    """How far provisioning, or closing, is."""

    def __init__(self, counts: Counter[str]) -> None:
        self.all = sum(counts.values())
        self.ready = counts[SeatStatus.READY]
        self.failed = counts[SeatStatus.FAILED]
        self.waiting = counts[SeatStatus.WAITING] + counts[SeatStatus.STARTING]
        self.closed = counts[SeatStatus.CLOSED]

    @property
    def done(self) -> int:
        return self.ready + self.failed


# -- acts ---------------------------------------------------------------------------------------


@require_POST
@private
def lab_act(request: Request, pk: str, action: str) -> HttpResponse:
    """Open, discard, extend, retry, latecomers, pull, close. With ``?confirm`` a page asks before it ends."""
    act = ACTS.get(action)
    if act is None:
        raise Http404("No such action.")
    lab = gate.get_lab(request.user, pk, gate.MANAGE if action in MANAGED else gate.ACT)
    if "confirm" in request.GET and action in QUESTIONS:
        return QUESTIONS[action](request, lab)
    level, text = act(lab, origin(request), request)
    return answer(request, lab, level, text)


def ask_close(request: Request, lab: Lab) -> HttpResponse:
    """When, and who has extra time."""
    context = {"lab": lab, "course": lab.course, "later": len(closing.late(lab)),
               "is_over": lab.closes_at <= timezone.now(), "in_minutes": IN_MINUTES}  # fmt: skip
    return render(request, "labs/lab_close.html", context)


def ask_discard(request: Request, lab: Lab) -> HttpResponse:
    """For browsers without our script."""
    context = {"question": f"Discard {lab.title}?", "consequence": DISCARDED, "word": "Discard it",
               "action": resolve_url("lab_act", lab.pk, "discard"), "fields": {},
               "keep": resolve_url("lab_detail", lab.pk)}  # fmt: skip
    return render(request, "labs/confirm.html", context)


QUESTIONS = {"close": ask_close, "discard": ask_discard}
DISCARDED = "It does not take place; students see it no more. To change a lab, discard it and plan it anew."


def answer(request: Request, lab: Lab, level: str, text: str) -> HttpResponse:
    """The lab as it is now, with what came of it."""
    page: HttpResponse
    if not request.htmx:
        page = back(request, "lab_detail", lab.pk)
    else:
        page = render(request, "labs/lab.html#lab", context_of(request, gate.get_lab(request.user, lab.pk)))
    return say(request, page, level, text) if text else page


Said = tuple[str, str]


def open_now(lab: Lab, by: audit.Origin, request: Request) -> Said:
    """Open it; too little memory is said in the plan and does not forbid it."""
    if opening.open_lab(lab, by):
        return "success", f"{lab.title} is open. Seats are being started."
    return "info", f"{lab.title} is {Lab.objects.get(pk=lab.pk).status} already."


def discard(lab: Lab, by: audit.Origin, request: Request) -> Said:
    """It was planned, and does not take place."""
    if opening.discard(lab, by):
        return "success", f"{lab.title} is discarded."
    return "info", f"{lab.title} is {Lab.objects.get(pk=lab.pk).status} already."


def extend(lab: Lab, by: audit.Origin, request: Request) -> Said:
    """More minutes for everybody."""
    try:
        minutes = int(request.POST.get("minutes", "15"))
    except ValueError:
        minutes = 0
    if not 1 <= minutes <= MOST:
        text = f"Give 1 to {MOST} minutes."
        trail.record("lab.extend", by, lab, outcome=trail.Outcome.REFUSED, reason=text)
        return "warning", text
    try:
        done = opening.extend_lab(lab, by, minutes * 60)
    except Refused as refusal:
        trail.record("lab.extend", by, lab, outcome=trail.Outcome.REFUSED, reason=str(refusal))
        return "warning", str(refusal)
    if done:
        return "success", f"{minutes} minutes more for everybody."
    return "warning", "Only an open lab can be given more time."


def retry_failed(lab: Lab, by: audit.Origin, request: Request) -> Said:
    """Every failed seat into the queue again, or the one that is named."""
    failed = lab.seats.filter(status=SeatStatus.FAILED).select_related("lab__course", "enrollment", "sandbox")
    if request.POST.get("seat"):
        failed = failed.filter(pk=clean(request.POST["seat"])[:24])
    count = sum(seats.retry(seat, by) for seat in failed)
    return ("success", f"{count} tried again.") if count else ("info", "Nothing has failed.")


def add_latecomers(lab: Lab, by: audit.Origin, request: Request) -> Said:
    """A seat for every student who has none yet."""
    count = seats.add_latecomers(lab, by)
    if count is None:
        return "warning", "Seats can be added while the lab is open."
    return "success", f"{count} seats added."


def pull(lab: Lab, by: audit.Origin, request: Request) -> Said:
    """Fetch its image now."""
    image = lab.version.image
    if image is None:
        return "warning", "The template's image is gone. Choose another in the template."
    images.pull(image, by)
    return "info", f"{image.title} is being pulled."


def close(lab: Lab, by: audit.Origin, request: Request) -> Said:
    """Save everybody's workspace and remove the sandboxes, now or in the minutes that were chosen."""
    text = request.POST.get("minutes", "0")
    minutes = int(text) if text in map(str, IN_MINUTES) else 0
    said = closing.begin(lab, by, members.called(lab.course, request.user), minutes)
    if said and not minutes and "next" not in request.POST:
        return "success", ""  # the lab's page tells it as long as it holds
    return ("success", said) if said else ("info", "It is being closed, or closed, already.")


ACTS = {"open": open_now, "extend": extend, "retry": retry_failed, "latecomers": add_latecomers, "pull": pull,
        "close": close, "discard": discard}  # fmt: skip
MANAGED = {"open", "close", "pull", "discard"}


@require_POST
@private
def seat_extend(request: Request, pk: str) -> HttpResponse:
    """Extra time for one student."""
    seat: Seat = gate.get_seat(request.user, pk, gate.ACT)
    try:
        opening.extend_seat(seat, origin(request), 15 * 60)
    except Refused as refusal:
        by = origin(request)
        trail.record("seat.extend", by, seat, outcome=trail.Outcome.REFUSED, reason=str(refusal))
        return answer(request, seat.lab, "warning", str(refusal))
    return answer(request, seat.lab, "success", f"15 minutes more for {seat.enrollment.name}.")


@require_POST
@private
def seat_save(request: Request, pk: str) -> HttpResponse:
    """Once more, where the work could not be saved."""
    seat: Seat = gate.get_seat(request.user, pk, gate.ACT)
    if closing.again(seat, origin(request)):
        return answer(request, seat.lab, "info", f"{seat.enrollment.name}’s work is being saved once more.")
    return answer(request, seat.lab, "warning", "There is nothing that could be saved once more.")
