"""How a lab goes, for its staff: the table, one seat's story, the spreadsheet."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from sandboxes import cells
from sandboxes.labs import files, gate, overview, recorded, trail
from sandboxes.labs.models import Enrollment, Seat
from sandboxes.lifecycle import event_words
from sandboxes.models import Command, Event, Outcome
from sandboxes.views.recordings import unblocked
from sandboxes.views.web import Request, origin, private
from sandboxes.views.words import Line, timeline, who


@require_GET
@private
def lab_overview(request: Request, pk: str) -> HttpResponse:
    """Who came, who is stuck, time per step."""
    lab = gate.get_lab(request.user, pk)
    found = overview.people(lab)
    came = [one for one in found if one.seat.joined_at]
    middle = overview.medians(found)
    context = {
        "slowest": slowest(middle), "medians": middle,
        "lab": lab, "course": lab.course, "people": found, "came": len(came),
        "stuck": sum(one.is_stuck for one in found), "through": sum(one.is_through for one in found),
        "steps": range(1, (found[0].steps if found else 0) + 1),
    }  # fmt: skip
    part = "#overview" if request.htmx else ""
    return render(request, f"labs/overview.html{part}", context)


def slowest(middle: list[timedelta | None]) -> tuple[int, timedelta] | None:
    """The step that takes longest, and for how long."""
    known = [(took, step) for step, took in enumerate(middle, 1) if took is not None]
    return (max(known)[1], max(known)[0]) if known else None


def minutes(value: timedelta | None) -> float | None:
    return None if value is None else round(value.total_seconds() / 60, 1)


@require_GET
@private
def overview_csv(request: Request, pk: str) -> HttpResponse:
    """The same for a spreadsheet; times in minutes."""
    lab = gate.get_lab(request.user, pk)
    found = overview.people(lab)
    trail.record("lab.export", origin(request), lab, table="overview")
    steps = [f"step {number} (min)" for number in range(1, (found[0].steps if found else 0) + 1)]
    heads = ["name", "e-mail", "id", "section", "seat", "came", "steps done", "on step", "since (min)",
             "hands", "longest wait (min)", *steps]  # fmt: skip
    return cells.answer(f"{lab.pk}-overview", heads, (row(one) for one in found))


def shown(who: Enrollment) -> str:
    """A guest may have called themselves anything."""
    return f"{who.name} (guest)" if who.is_guest else who.name


def row(one: overview.Person) -> list[object]:
    """One person's cells."""
    seat, who = one.seat, one.seat.enrollment
    came = seat.joined_at.isoformat(timespec="seconds") if seat.joined_at else ""
    return [shown(who), who.email, who.student_id, who.section, seat.status, came, len(seat.steps), seat.step,
            minutes(one.on_step), one.hands, minutes(one.waited), *map(minutes, one.row_times())]  # fmt: skip


@require_GET
@private
def lab_work(request: Request, pk: str) -> Any:
    """Everybody's saved work in one archive, which is made while it is sent."""
    lab = gate.get_lab(request.user, pk)
    found = files.saved(lab)
    if not found:
        raise Http404("Nothing was saved.")
    trail.record("lab.download", origin(request), lab, seats=len(found))
    pieces: Any = files.together(found)
    answer = StreamingHttpResponse(unblocked(pieces) if isinstance(request, ASGIRequest) else pieces,
                                   content_type="application/x-tar")  # fmt: skip
    answer["Content-Disposition"] = f'attachment; filename="{lab.pk}-work.tar"'
    return answer


@require_GET
@private
def seat_story(request: Request, pk: str) -> HttpResponse:
    """What happened at one seat."""
    seat = gate.get_seat(request.user, pk)
    tapes = recorded.of_seat(seat)[:MANY] if gate.may_replay(request.user, seat) else []
    context = {
        "seat": seat,
        "lab": seat.lab,
        "course": seat.lab.course,
        "lines": lines(seat),
        "recordings": tapes,
    }
    return render(request, "labs/overview_seat.html", context)


CORE = ("sandbox.", "terminal.", "command.", "recording.", "engine.")
MANY = 200
WORDS = {
    "seat.join": "came to the lab", "seat.ready": "the seat is ready", "seat.retry": "tried the seat again",
    "seat.start_over": "started over from the starting files", "seat.extend": "gave more time",
    "seat.look": "looked at the terminal", "hand.claim": "took the raised hand on",
    "hand.release": "gave the raised hand back", "hand.resolve": "resolved the raised hand",
    "seat.save_again": "had the work saved again", "seat.hold": "kept the terminal paused",
    "seat.download": "downloaded the saved work", "seat.view": "asked for the seat",
}  # fmt: skip
TYPING = {"yes": "let {} type", "no": "did not let {} type", "end": "ended {}’s typing",
          "free": "began to type, as the course allows"}  # fmt: skip


def lines(seat: Seat) -> list[Line]:
    """The story as sentences, the latest first; what core recorded in core's words."""
    events = overview.story(seat)
    core = [one for one in events if one.action.startswith(CORE)]
    ids = [one.operation for one in core if one.action.startswith("command.")]
    texts = dict(Command.objects.filter(pk__in=ids).values_list("pk", "text"))
    own = [of(event) for event in events if event not in core]
    told = sorted([*timeline(core, texts), *own], key=lambda line: line.at, reverse=True)
    names = dict(seat.lab.course.enrollments.values_list("user__username", "name"))
    return [replace(line, who=names.get(line.who) or line.who) for line in told]


def of(event: Event) -> Line:
    """One of teaching's events as a sentence."""
    refused = event.outcome in (Outcome.REFUSED, Outcome.FAILED)
    name = "" if event.action == "seat.ready" else who(event)
    return Line(event.at, name, said(event), why=event.reason, bad=refused)


def said(event: Event) -> str:
    """What was done, in words."""
    detail = event.detail
    if event.action == "seat.typing":
        return TYPING.get(detail.get("answer", ""), "typing").format(detail.get("staff", ""))
    if event.action == "seat.step":
        return f"{'ticked' if detail.get('done') else 'unticked'} step {detail.get('step')}"
    if event.action == "seat.hand":
        return "raised a hand" if detail.get("up") else "took the hand down"
    if event.action == "seat.ask":
        return "took the question back" if detail.get("withdrawn") else "asked to type"
    return WORDS.get(event.action) or event_words.predicate(event, sandbox="it")
