"""The room for its staff: the wall, raised hands, and one student's terminal."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from sandboxes.access import Hidden
from sandboxes.labs import broadcast, gate, hands, looking, members, pictures, tiles, wall
from sandboxes.labs.models import Hand, Lab
from sandboxes.views.web import Request, back, origin, private, say

SORTS = {"stuck": "Stuck longest first", "name": "Name", "hands": "Hands first"}


@require_GET
@private
def room_wall(request: Request, pk: str) -> HttpResponse:
    """The wall, with the screens as they are now."""
    lab = gate.get_lab(request.user, pk)
    context = wall_of(request, lab) | {"recent": broadcast.recent(lab)}
    screens = wall.screens(lab)
    context["shown"] = [(tile, "\n".join(screens.get(tile.sandbox, []))) for tile in context["tiles"]]
    return render(request, "labs/room.html", context)


def wall_of(request: Request, lab: Lab) -> dict[str, Any]:
    """Tiles sorted and filtered as asked for, the hands, and what this person may do."""
    found = tiles.of(lab)
    sort = request.GET.get("sort", "stuck")
    sort = sort if sort in SORTS else "stuck"
    section = request.GET.get("section", "")
    sections = sorted({one.section for one in found if one.section})
    shown = [one for one in found if section not in sections or one.section == section]
    return {
        "lab": lab, "state": wall.state_of(lab), "course": lab.course,
        "tiles": sorted(shown, key=order(sort)), "sort": sort, "sorts": SORTS,
        "section": section if section in sections else "", "sections": sections,
        "big": "big" in request.GET, "here": sum(one.here for one in found), "all": len(found),
        "came": sum(one.came for one in found), "is_over": lab.status in tiles.OVER,
        "hands": raised(lab), **rights(request, lab), "meant": sum(one.word != "closed" for one in shown),
        "is_free": lab.course.types_freely, "now": timezone.now(),
    }  # fmt: skip


def rights(request: Request, lab: Lab) -> dict[str, bool]:
    """Whether they may act on seats, and whether there is something to do for many: while it is open."""
    may_act = gate.can(request.user, lab.course, gate.ACT)
    return {"may_act": may_act, "may_tell": may_act and lab.is_open}


def order(sort: str) -> Any:
    """A key to sort tiles by. Who is through, or never came, is not stuck."""
    if sort == "name":
        return lambda one: one.name.casefold()
    if sort == "hands":
        return lambda one: (one.hand_at is None, one.hand_at or 0, one.name.casefold())
    return lambda one: (not one.came, one.is_through, one.since, one.name.casefold())


@require_GET
@private
def room_help(request: Request, pk: str) -> HttpResponse:
    """The help queue, or what is done for many (``?part=runs``), as a fragment; else the wall."""
    lab = gate.get_lab(request.user, pk)
    if request.htmx and request.GET.get("part") == "runs":
        return render(request, "labs/_runs.html", {"lab": lab, "recent": broadcast.recent(lab)})
    return queue(request, lab) if request.htmx else back(request, "wall", lab.pk)


def raised(lab: Lab) -> list[Hand]:
    """The hands that are up, each with the name of whoever is on it."""
    found = hands.waiting(lab)
    called = members.names(lab.course, {one.claimed_by for one in found if one.claimed_by})
    for one in found:
        one.helper = called.get(one.claimed_by_id or 0, "")
    return found


def queue(request: Request, lab: Lab) -> HttpResponse:
    may_act = gate.can(request.user, lab.course, gate.ACT)
    context = {"lab": lab, "hands": raised(lab), "may_act": may_act, "now": timezone.now()}
    return render(request, "labs/_help.html", context)


@require_POST
@private
def hand_act(request: Request, pk: int, action: str) -> HttpResponse:
    """Claim, release or resolve a raised hand."""
    hand = get_hand(request, pk)
    by = origin(request)
    acts = {"claim": lambda: hands.claim(hand, request.user, by), "resolve": lambda: hands.resolve(hand, by),
            "release": lambda: hands.release(hand, request.user, by)}  # fmt: skip
    if action not in acts:
        raise Http404("No such action.")
    done = acts[action]()
    answer = queue(request, hand.seat.lab) if request.htmx else back(request, "wall", hand.seat.lab_id)
    return answer if done else say(request, answer, "info", "A colleague was faster, or the hand is down.")


def get_hand(request: Request, pk: int) -> Hand:
    """A hand in a course on which this person may act. Raises Hidden."""
    rows = Hand.objects.select_related("seat__lab__course", "seat__enrollment", "seat__sandbox__owner")
    hand = rows.filter(pk=pk).first()
    if hand is None or not gate.can(request.user, hand.seat.lab.course, gate.ACT):
        raise Hidden(hand.seat.sandbox if hand else None)
    return hand


# -- one student's terminal -----------------------------------------------------------------------


@require_GET
@private
def look(request: Request, pk: str) -> HttpResponse:
    """A student's terminal, to look at; a fragment tells who may type now."""
    seat = gate.get_seat(request.user, pk)
    if request.htmx:
        return render(request, "labs/look.html#bar", look_at(request, seat))
    looking.look(seat, origin(request))
    return render(request, "labs/look.html", look_at(request, seat))


def called(seat: Any, user: Any) -> str:
    """Somebody's name, where there is somebody."""
    return members.called(seat.lab.course, user) if user else ""


def look_at(request: Request, seat: Any) -> dict[str, Any]:
    """What the page shows beside the terminal."""
    return {
        "seat": seat, "lab": seat.lab, "course": seat.lab.course, "sandbox": seat.sandbox,
        "hand": hands.open_of(seat), "may_act": gate.can(request.user, seat.lab.course, gate.ACT),
        "is_free": seat.lab.course.types_freely, "now": timezone.now(),
        "is_asked": seat.typing_asked_by_id == request.user.pk, "types": seat.typist_id == request.user.pk,
        "typist": called(seat, seat.typist), "asker": called(seat, seat.typing_asked_by),
        "steps": len(pictures.sheet_of(seat.lab.version).steps),
    }  # fmt: skip


@require_POST
@private
def look_act(request: Request, pk: str, action: str) -> HttpResponse:
    """Ask to type, take that back, begin where no question is needed, stop typing."""
    seat = gate.get_seat(request.user, pk, gate.ACT)
    by = origin(request)
    acts = {"ask": lambda: looking.ask(seat, request.user, by), "stop": lambda: looking.stop(seat, by),
            "withdraw": lambda: looking.withdraw(seat, request.user, by),
            "begin": lambda: looking.begin(seat, request.user, by)}  # fmt: skip
    if action not in acts:
        raise Http404("No such action.")
    done = acts[action]()
    fresh = gate.get_seat(request.user, pk)
    if not request.htmx:
        answer: HttpResponse = back(request, "look", pk)
    else:
        answer = render(request, "labs/look.html#bar", look_at(request, fresh))
    return answer if done else say(request, answer, "info", "Nothing changed: look who types or asks now.")
