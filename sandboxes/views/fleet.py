"""The list: search, filter, sort, pages of 25, live rows, and acting on a selection."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.core.paginator import Page, Paginator
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.functional import cached_property
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import replace_url

from sandboxes import access
from sandboxes.lifecycle import actions
from sandboxes.lifecycle.transitions import TABLE
from sandboxes.models import ENDED, Lease, Sandbox, User

from .filters import CHIPS, Filters, counts, within
from .web import Request, back, note_hidden, origin, private, say
from .words import together

PER_PAGE = 25
MOST = 100
BULK = ("start", "resume", "pause", "extend", "restart", "stop", "remove")


class Counted(Paginator):
    """A paginator that was told how many rows there are."""

    def __init__(self, rows: Any, count: int) -> None:
        super().__init__(rows, PER_PAGE)
        self._count = count

    @cached_property
    def count(self) -> int:
        return self._count


@require_GET
@private
def sandbox_list(request: Request) -> HttpResponse:
    """The whole page, or the list alone for a request that aims at it."""
    filters = Filters.of(request.GET, request.user.is_staff)
    response = fleet(request, filters, part=request.htmx.target == "fleet")
    if request.htmx.trigger == "filters":
        replace_url(response, f"{request.path}{filters.address()}".rstrip("?"))
    return response


def fleet(request: Request, filters: Filters, part: bool) -> HttpResponse:
    """Render the list; at most six queries with the session's own, however many rows there are."""
    rows = access.visible(request.user)
    numbers = counts(rows, filters)
    context = {
        "filters": filters,
        "numbers": numbers,
        "chips": chips(filters, numbers),
        "page": page_of(rows, filters, numbers[f"chip_{filters.status}"]),
        "bulk": [TABLE[name] for name in BULK],
        "owners": [] if part else owners(request),
        "engine": engine_facts() if request.user.is_staff else {},
        "part": part,
    }
    return render(request, f"sandboxes/list.html{'#fleet' if part else ''}", context)


def page_of(rows: Any, filters: Filters, count: int) -> Page[Sandbox]:
    """The page asked for, or the nearest there is."""
    wanted = rows.filter(filters.words() & within(filters.status)).order_by(*filters.order())
    return Counted(wanted.select_related("owner", "image"), count).get_page(filters.page)


def chips(filters: Filters, numbers: dict[str, int]) -> list[dict[str, Any]]:
    """The chips worth showing: all, running, the chosen one, and those with something behind them."""
    always = {"all", "running", filters.status}
    shown = [name for name in CHIPS if name in always or (numbers[f"chip_{name}"] and name != "ending")]
    return [
        {
            "name": name,
            "label": CHIPS[name],
            "count": numbers[f"chip_{name}"],
            "address": filters.address(status=name),
        }
        for name in shown
    ]


def owners(request: Request) -> list[str]:
    """Who has sandboxes, for staff to filter by."""
    if not request.user.is_staff:
        return []
    names = User.objects.filter(sandboxes__isnull=False).distinct().order_by("username")
    return list(names.values_list("username", flat=True)[:500])


def engine_facts() -> dict[str, Any]:
    """Version and free disk (bytes) as the cleanup loop last saw them, for staff; never asks the engine."""
    report = Lease.objects.filter(name="cleanup").values_list("report", flat=True).first() or {}
    found = report.get("engine")
    return found if isinstance(found, dict) else {}


@require_GET
@private
def sandbox_rows(request: Request) -> HttpResponse:
    """Rows by id as they are now; one that is gone or not theirs is answered by nothing."""
    ids = request.GET.getlist("id")[:MOST]
    rows = access.visible(request.user).filter(pk__in=[one for one in ids if plain(one)])
    if not request.GET.get("removed"):
        rows = rows.exclude(status__in=ENDED)
    found = rows.select_related("owner", "image")
    return render(
        request, "sandboxes/list.html#rows", {"page": sorted(found, key=lambda row: ids.index(row.pk))}
    )


def plain(pk: str) -> bool:
    """Whether this could be an id at all."""
    return len(pk) <= 24 and pk.isascii() and pk.replace("_", "").isalnum()


@require_POST
@private
def sandbox_act_many(request: Request) -> HttpResponse:
    """One action on a selection. With ``?confirm`` (no script) a page asks before what hurts."""
    action = request.POST.get("action", "")
    if action not in BULK:
        raise Http404("No such action.")
    chosen = selected(request)
    if "confirm" in request.GET and chosen:
        return render(
            request, "sandboxes/confirm.html", {"row": TABLE[action], "chosen": chosen, "many": True}
        )
    results = [actions.act(one, action, origin(request), wait=0) for one in chosen]
    level, text = together(action, results)
    if not request.htmx:
        return say(request, back(request, "sandbox_list"), level, text)
    return say(request, fleet(request, current(request), part=True), level, text)


def selected(request: Request) -> list[Sandbox]:
    """The chosen sandboxes this person may act on; the others are as if missing, and on record."""
    ids = [one for one in request.POST.getlist("ids")[:MOST] if plain(one)]
    rows = list(Sandbox.objects.filter(pk__in=ids).select_related("owner", "image"))
    access.learn(rows)
    theirs = [row for row in rows if access.can(request.user, row, access.ACT)]
    for row in rows:
        if row not in theirs:
            note_hidden(request, access.Hidden(row), request.POST.get("action", ""))
    return theirs


def current(request: Request) -> Filters:
    """The view of the list that the browser shows, so that an act on it comes back to it."""
    try:
        query = urlsplit(request.htmx.current_url or "").query
    except ValueError:
        query = ""
    return Filters.of(QueryDict(query[:2000]), request.user.is_staff)


@private
def home(request: Request) -> HttpResponse:
    """The front door leads to the list."""
    return redirect("sandbox_list")


__all__ = ["home", "sandbox_act_many", "sandbox_list", "sandbox_rows"]
