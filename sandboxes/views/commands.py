"""Commands of a sandbox: run, watch, cancel, run again, download what it wrote."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import reswap, retarget, trigger_client_event

from sandboxes import access
from sandboxes.forms import CommandForm
from sandboxes.lifecycle import actions, commands, refusals
from sandboxes.models import Command, Sandbox

from .web import Request, back, origin, private, say

SHOWN = 64 * 1024
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


@dataclass(frozen=True)
class Stream:
    """One stream as it is shown: the text before and after what was left out, and how much that was."""

    name: str
    head: str
    tail: str
    left_out: int
    total: int
    is_let_go: bool = False
    """There was some, and nothing of it is kept any more."""

    @property
    def is_empty(self) -> bool:
        return not self.total


def readable(data: bytes) -> str:
    """Bytes as text for a page: UTF-8, what is not shown as such; no terminal codes."""
    return _CONTROL.sub("", data.decode("utf-8", "replace").replace("\r\n", "\n"))


def stream(command: Command, name: str) -> Stream:
    """Head and tail of a stream, at most SHOWN bytes of each; the rest is in the download."""
    kept, total = bytes(getattr(command, name)), getattr(command, f"{name}_bytes")
    gap = getattr(command, f"{name}_head") if total > len(kept) else len(kept)
    head, tail = kept[:gap], kept[gap:]
    if not tail and len(head) > 2 * SHOWN:
        head, tail = head[:SHOWN], head[-SHOWN:]
    head, tail = head[: 2 * SHOWN] if not tail else head[:SHOWN], tail[-SHOWN:]
    left_out = max(total - len(head) - len(tail), 0)
    let_go = bool(total) and not kept and not command.is_running
    return Stream(name, readable(head), readable(tail), left_out, total, let_go)


def get_command(request: Request, pk: str, command: str, permission: str = access.VIEW) -> Command:
    """The command of a sandbox this person may see; raises Http404."""
    sandbox = access.get_sandbox(request.user, pk, permission)
    found = sandbox.commands.filter(pk=command).first()
    if found is None:
        raise Http404("No such command.")
    found.sandbox = sandbox
    return found


ASK_FIRST = (
    "A command is typing too: it takes the yes of whoever’s terminal this is. Ask them first, or press "
    "“Begin typing” where none is needed."
)


def check_yes(request: Request, sandbox: Sandbox) -> None:
    """Raise Refused, on record by then, where this person may act but not type."""
    if not access.can(request.user, sandbox, access.TYPE):
        refusals.refuse("command.run", origin(request), actions.Refused("command", ASK_FIRST), sandbox)


@require_POST
@private
def command_run(request: Request, pk: str) -> HttpResponse:
    """Run what was typed; a refusal comes back at the field."""
    sandbox = access.get_sandbox(request.user, pk, access.ACT)
    form = CommandForm(request.POST)
    if not form.is_valid():
        field, (text, *_) = next(iter(form.errors.items()))
        refusal = actions.Refused(field, str(text))
        refusals.record("command.run", origin(request), refusal, sandbox)
        return not_run(request, sandbox, form, refusal)
    try:
        check_yes(request, sandbox)
        command = commands.run(sandbox, **form.options(), origin=origin(request), user=request.user)
    except actions.Refused as refusal:
        return not_run(request, sandbox, form, refusal)
    return opened(request, command)


def not_run(request: Request, sandbox: Sandbox, form: CommandForm, refusal: actions.Refused) -> HttpResponse:
    """The reason under the fields, and which it is about; without script, a page with form and reason."""
    context = {"sandbox": sandbox, "form": form, "refusal": str(refusal), "offer": refusal.offer,
               "field": refusal.field,
               "may_type": access.can(request.user, sandbox, access.TYPE)}  # fmt: skip
    if not request.htmx:
        return render(request, "sandboxes/command.html", context, status=422)
    response = render(request, "sandboxes/_refusal.html", context, status=422)
    return reswap(retarget(response, "#refusal"), "outerHTML")


def opened(request: Request, command: Command) -> HttpResponse:
    """The command's own view: swapped in, or its page."""
    if not request.htmx:
        return back(request, "command_detail", command.sandbox_id, command.pk)
    response = shown(request, command, emptied=True)
    return trigger_client_event(response, "sandbox-changed", after="swap")


def shown(request: Request, command: Command, emptied: bool = False) -> HttpResponse:
    """The command with its output as far as it is known; a fragment for htmx."""
    context = {
        "command": command,
        "emptied": emptied,
        "sandbox": command.sandbox,
        "streams": [stream(command, "stdout"), stream(command, "stderr")],
        "form": CommandForm(),
        "may_act": access.can(request.user, command.sandbox, access.ACT),
        "may_type": access.can(request.user, command.sandbox, access.TYPE),
    }
    part = "#result" if request.htmx else ""
    return render(request, f"sandboxes/command.html{part}", context)


@require_GET
@private
def command_detail(request: Request, pk: str, command: str) -> HttpResponse:
    """One command. Asked with ``?while=running`` it answers 204 as long as it runs."""
    found = get_command(request, pk, command)
    if "while" in request.GET and found.is_running:
        return HttpResponse(status=204)
    return shown(request, found)


@require_POST
@private
def command_cancel(request: Request, pk: str, command: str) -> HttpResponse:
    """Ask for its end; what came of it shows in its record."""
    found = get_command(request, pk, command, access.ACT)
    if not found.is_running:
        return say(request, opened(request, found), "info", "It has ended already.")
    commands.cancel(found, origin=origin(request))
    fresh = get_command(request, pk, command)
    text = "It is being ended." if fresh.is_running else "It was ended."
    return say(request, opened(request, fresh), "success", text)


@require_POST
@private
def command_rerun(request: Request, pk: str, command: str) -> HttpResponse:
    """The same again, as a new command."""
    found = get_command(request, pk, command, access.ACT)
    try:
        check_yes(request, found.sandbox)
        again = commands.rerun(found, origin=origin(request), user=request.user)
    except actions.Refused as refusal:
        return say(request, opened(request, found), "warning", str(refusal))
    return opened(request, again)


@require_GET
@private
def command_output(request: Request, pk: str, command: str, name: str) -> HttpResponse:
    """The kept bytes of a stream as a download; where some were left out, a line says so."""
    found = get_command(request, pk, command)
    kept, total = bytes(getattr(found, name)), getattr(found, f"{name}_bytes")
    if total > len(kept):
        head = getattr(found, f"{name}_head")
        gap = f"\n[... {total - len(kept)} bytes left out ...]\n".encode()
        kept = kept[:head] + gap + kept[head:]
    response = HttpResponse(kept, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{found.pk}-{name}.txt"'
    return response
