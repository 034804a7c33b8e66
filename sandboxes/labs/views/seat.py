"""A student's seat: come to it, work there, and what is asked and answered beside the terminal."""

from __future__ import annotations

from typing import Any

from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect, trigger_client_event

from sandboxes.access import Hidden
from sandboxes.labs import files, gate, members, progress, recorded, seats, trail
from sandboxes.labs.models import Enrollment, Lab, Role, Seat, SeatStatus
from sandboxes.lifecycle.refusals import Refused
from sandboxes.models import Status
from sandboxes.views.web import Request, back, origin, private, say

PARTS = {
    name: f"labs/seat.html#{name}"
    for name in ("seat", "header", "watch", "hand", "messages", "stage", "told")
}
PARTS |= {"wait": "labs/_seat_wait.html"}
PASSING = (SeatStatus.WAITING, SeatStatus.STARTING, SeatStatus.SAVING)


@require_http_methods(["GET", "HEAD", "POST"])
@private
def seat_join(request: Request, pk: str) -> HttpResponse:
    """To this student's seat in a lab; a POST makes one for who comes late."""
    lab, person = enrolled(request, pk)
    found = Seat.objects.filter(lab=lab, enrollment=person).first()
    if found is None and request.method == "POST":
        try:
            found = seats.take(lab, person, origin(request))
        except Refused as refusal:
            text = str(refusal)
            trail.record("seat.join", origin(request), lab, outcome=trail.Outcome.REFUSED, reason=text)
            return render(request, "labs/seat_join.html", {"lab": lab, "refusal": text}, status=409)
    if found is None:
        late = seats.too_late(lab) if lab.is_open else ""
        context = {"lab": lab, "recorded": recorded.told(lab.version), "refusal": late}
        return render(request, "labs/seat_join.html", context)
    if request.htmx:
        return HttpResponseClientRedirect(f"/seats/{found.pk}/")
    return back(request, "seat_detail", found.pk)


def enrolled(request: Request, pk: str) -> tuple[Lab, Enrollment]:
    """The lab and this student's place in its course, or their place to try it. Raises Hidden."""
    lab = Lab.objects.select_related("course", "version__image").defer("version__files").filter(pk=pk).first()
    person = gate.enrollment(request.user, lab.course) if lab else None
    if lab is None or person is None:
        raise Hidden(None, "lab")
    is_for = progress.is_trial_of(lab, request.user) if lab.is_trial else person.role == Role.STUDENT
    if not is_for:
        raise Hidden(None, "lab")
    return lab, person


@require_GET
@private
def seat_detail(request: Request, pk: str) -> HttpResponse:
    """The seat's page."""
    seat = gate.get_own_seat(request.user, pk)
    progress.arrive(seat, origin(request))
    return render(request, "labs/seat.html", room(seat))


@require_GET
@private
def seat_part(request: Request, pk: str, name: str) -> HttpResponse:
    """One part of the page, asked for when something changed, and every few seconds."""
    if name not in PARTS:
        raise Http404("No such part.")
    seat = gate.get_own_seat(request.user, pk)
    progress.arrive(seat, origin(request))
    return part(request, seat, name)


def part(request: Request, seat: Seat, name: str) -> HttpResponse:
    return render(request, PARTS[name], room(seat))


def room(seat: Seat) -> dict[str, Any]:
    """What the parts need."""
    sheet = progress.sheet(seat)
    hand = progress.hand(seat)
    messages = list(progress.messages(seat))
    return {
        "seat": seat, "lab": seat.lab, "sandbox": seat.sandbox, "sheet": sheet, "hand": hand,
        "current": progress.current(seat, sheet.steps), "notes": messages, "key": key(seat),
        "talk": talk(seat, hand),
        "place": max(seat.place, 1) if seat.status == SeatStatus.WAITING else 0,  # it may have begun just now
        "is_passing": seat.status in PASSING, "is_active": seat.status in progress.ACTIVE,
        "is_free": seat.lab.course.types_freely, "recorded": recorded.told_in(seat),
        "paused_by": progress.paused_by(seat) if is_paused(seat) else "",
        "asker": name_of(seat, seat.typing_asked_by), "typist": name_of(seat, seat.typist),
    }  # fmt: skip


def is_paused(seat: Seat) -> bool:
    return seat.sandbox is not None and seat.sandbox.status == Status.PAUSED


def key(seat: Seat) -> str:
    """Changes when the page as a whole looks otherwise: another status, or another sandbox."""
    return f"{seat.status}-{seat.generation}-{seat.sandbox_id if seat.status == SeatStatus.READY else ''}"


def talk(seat: Seat, hand: Any) -> str:
    """Changes with what is asked and answered: the parts that tell it are fetched then."""
    up = f"{hand.pk}.{hand.claimed_by_id or ''}.{len(hand.text)}" if hand else ""
    free = "free" if seat.lab.course.types_freely else ""
    return f"{seat.typing_asked_by_id or ''}-{seat.typist_id or ''}-{up}-{free}"


def name_of(seat: Seat, user: Any) -> str:
    """What a member of staff who asks or types is called in this course; where there is a terminal."""
    if user is None or seat.status != SeatStatus.READY:
        return ""
    return members.called(seat.lab.course, user)


# -- acts ---------------------------------------------------------------------------------------


@require_POST
@private
def seat_step(request: Request, pk: str) -> HttpResponse:
    """Tick a step, take the tick back, or turn to another one."""
    seat = gate.get_own_seat(request.user, pk)
    number = step_number(request, seat)
    if request.POST.get("do") == "go":
        progress.go(seat, number)
    else:
        progress.mark(seat, number, request.POST.get("do") == "done", origin(request))
    if not request.htmx:
        return back(request, "seat_detail", pk)
    return trigger_client_event(sheet_part(request, seat), "seat-changed", after="settle")


def step_number(request: Request, seat: Seat) -> int:
    """A step that the sheet has. Raises Http404."""
    text = request.POST.get("step", "")[:4]
    number = int(text) if text.isascii() and text.isdecimal() else 0
    if not 1 <= number <= len(progress.sheet(seat).steps):
        raise Http404("No such step.")
    return number


def sheet_part(request: Request, seat: Seat) -> HttpResponse:
    return render(request, "labs/_sheet.html", room(seat))


@require_POST
@private
def seat_hand(request: Request, pk: str) -> HttpResponse:
    """Raise the hand with a line of text, or take it down."""
    seat = gate.get_own_seat(request.user, pk)
    try:
        if request.POST.get("do") == "down":
            progress.take_down(seat, origin(request))
        else:
            progress.raise_hand(seat, request.POST.get("text", ""), origin(request))
    except Refused as refusal:
        trail.record("seat.hand", origin(request), seat, outcome=trail.Outcome.REFUSED, reason=str(refusal))
        return told(request, seat, "hand", "warning", str(refusal))
    return told(request, seat, "hand")


def told(request: Request, seat: Seat, name: str, level: str = "", text: str = "") -> HttpResponse:
    """The part that was acted on, as it is now; without a script the whole page."""
    if not request.htmx:
        answer: HttpResponse = back(request, "seat_detail", seat.pk)
    else:
        answer = part(request, gate.get_own_seat(request.user, seat.pk), name)
    return say(request, answer, level, text) if text else answer


@require_POST
@private
def seat_typing(request: Request, pk: str) -> HttpResponse:
    """Yes or no to the one whose question was seen (``who``), or the end of it."""
    seat = gate.get_own_seat(request.user, pk)
    acts = {"yes": progress.allow_typing, "no": progress.refuse_typing, "end": progress.end_typing}
    act = acts.get(request.POST.get("do", ""))
    if act is None:
        raise Http404("No such answer.")
    is_meant = request.POST.get("do") == "end" or request.POST.get("who") == str(seat.typing_asked_by_id)
    done = is_meant and act(seat, origin(request))
    return told(request, seat, "watch", *(() if done else ("info", "Nobody asks any more.")))


@require_POST
@private
def seat_start_over(request: Request, pk: str) -> HttpResponse:
    """A fresh sandbox with the starting files. With ``?confirm`` (no script) a page asks first."""
    seat = gate.get_own_seat(request.user, pk)
    if "confirm" in request.GET:
        return render(request, "labs/seat_start_over.html", {"seat": seat, "lab": seat.lab})
    held = progress.held(seat.sandbox) if seat.sandbox else ""
    if held:
        trail.record("seat.start_over", origin(request), seat, outcome=trail.Outcome.REFUSED, reason=held)
        return say(request, back(request, "seat_detail", pk), "warning", held)
    if seats.start_over(seat, origin(request)):
        return say(
            request, back(request, "seat_detail", pk), "info", "Starting over from the starting files."
        )
    return say(request, back(request, "seat_detail", pk), "warning", "It cannot start over just now.")


@require_POST
@private
def seat_retry(request: Request, pk: str) -> HttpResponse:
    """Into the queue again after it failed."""
    seat = gate.get_own_seat(request.user, pk)
    if seats.retry(seat, origin(request)):
        return back(request, "seat_detail", pk)
    return say(request, back(request, "seat_detail", pk), "info", "There is nothing to try again just now.")


@require_GET
@private
def seat_work(request: Request, pk: str) -> HttpResponse:
    """The saved workspace, for its student and the course's staff."""
    seat = mine_or_taught(request, pk)
    path = files.path_of(seat)
    if not seat.saved_name or not path.is_file():
        raise Http404("Nothing was saved.")
    trail.record("seat.download", origin(request), seat)
    name = f"{seat.lab.title} - {seat.enrollment.name}.tar.gz".replace("/", "-")
    answer: Any = FileResponse(
        path.open("rb"), as_attachment=True, filename=name, content_type="application/gzip"
    )
    return answer


def mine_or_taught(request: Request, pk: str) -> Seat:
    """Their own seat, or one that they may look at. Raises Hidden."""
    try:
        return gate.get_own_seat(request.user, pk)
    except Hidden:
        return gate.get_seat(request.user, pk)
