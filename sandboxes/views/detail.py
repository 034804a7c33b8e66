"""One sandbox: its page, the page's parts, and acting on it."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import trigger_client_event

from sandboxes import access
from sandboxes.lifecycle import actions
from sandboxes.lifecycle.transitions import TABLE
from sandboxes.models import Command, Event, Sandbox

from . import recordings
from .web import Request, back, origin, private, say
from .words import Line, timeline

EVENTS = 40
COMMANDS = 12
PARTS = ("header", "stage", "facts", "timeline", "commands", "recordings", "run")


@require_GET
@private
def sandbox_detail(request: Request, pk: str) -> HttpResponse:
    """The page, with all its parts as they are now."""
    sandbox = access.get_sandbox(request.user, pk)
    return render(request, "sandboxes/detail.html", room(request, sandbox))


@require_GET
@private
def sandbox_part(request: Request, pk: str, name: str) -> HttpResponse:
    """One part of the page as a fragment, asked for when something changed."""
    if name not in PARTS:
        raise Http404("No such part.")
    sandbox = access.get_sandbox(request.user, pk)
    return render(request, f"sandboxes/detail.html#{name}", room(request, sandbox, {name}))


def room(request: Request, sandbox: Sandbox, parts: set[str] | None = None) -> dict[str, Any]:
    """What the parts need; queries only for those that are asked for."""
    wanted = parts or set(PARTS)
    may_act = access.can(request.user, sandbox, access.ACT)
    may_type = may_act and "run" in wanted and access.can(request.user, sandbox, access.TYPE)
    return {
        "sandbox": sandbox,
        "may_act": may_act,
        "may_type": may_type,
        "asked": access.name_of(sandbox.owner, sandbox)
        if "run" in wanted and may_act and not may_type
        else "",
        "lines": lines(sandbox) if "timeline" in wanted else [],
        "commands": recent(sandbox) if "commands" in wanted else [],
        **(recordings.newest(request.user, sandbox) if "recordings" in wanted else {}),
    }


def lines(sandbox: Sandbox) -> list[Line]:
    """The newest lines of its story; commands as they were typed, which events do not keep.

    That its owner comes to and goes from a terminal is no news; that somebody else comes is.
    """
    known = Q(action="terminal.leave") | Q(action="terminal.join", actor_id=sandbox.owner_id)
    events = list(Event.objects.filter(sandbox_id=sandbox.pk).exclude(known)[:EVENTS])
    asked = {event.operation for event in events if event.action.startswith("command.")}
    typed = sandbox.commands.filter(pk__in=asked).values_list("pk", "text") if asked else []
    return timeline(events, dict(typed))


def recent(sandbox: Sandbox) -> list[Command]:
    """The newest commands, without their output."""
    return list(sandbox.commands.defer("stdout", "stderr")[:COMMANDS])


@require_POST
@private
def sandbox_act(request: Request, pk: str, action: str) -> HttpResponse:
    """Do one action. With ``?confirm`` (no script) a page asks before what hurts."""
    sandbox = access.get_sandbox(request.user, pk, access.ACT)
    row = TABLE.get(action)
    if row is None or not row.offered:
        raise Http404("No such action.")
    if "confirm" in request.GET and row.hurts:
        return render(request, "sandboxes/confirm.html", {"row": row, "chosen": [sandbox]})
    result = actions.act(sandbox, action, origin(request))
    if not request.htmx:
        return say(request, back(request, "sandbox_detail", pk), result.level, result.message)
    return say(request, fragment(request, pk), result.level, result.message)


def fragment(request: Request, pk: str) -> HttpResponse:
    """What the act was pressed on, as it is now: its row of the list, or the page's header."""
    sandbox = access.get_sandbox(request.user, pk)
    if request.htmx.target == f"row-{pk}":
        return render(request, "sandboxes/list.html#rows", {"page": [sandbox]})
    response = render(request, "sandboxes/detail.html#header", room(request, sandbox, {"header"}))
    return trigger_client_event(response, "sandbox-changed", after="swap")
