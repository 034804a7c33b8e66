"""The launch form: what people type becomes one sandbox, once, or a message at its field."""

from __future__ import annotations

import secrets
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from sandboxes.forms import LaunchForm, bounds
from sandboxes.lifecycle import actions, quotas, refusals

from .filters import clean
from .web import Request, back, origin, private


@require_http_methods(["GET", "HEAD", "POST"])
@private
def sandbox_new(request: Request) -> HttpResponse:
    """Show the form, or launch and lead to the sandbox's page."""
    if request.method != "POST":
        return page(request, LaunchForm(initial={"launch_key": secrets.token_hex(12), **chosen(request)}))
    form = LaunchForm(request.POST)
    if not form.is_valid():
        refused(request, form)
        return page(request, form)
    try:
        sandbox = actions.launch(request.user, form.choice, origin=origin(request), **form.options())
    except actions.Refused as refusal:
        form.refuse(refusal.field, str(refusal))
        return page(request, form)
    return back(request, "sandbox_detail", sandbox.pk)  # whose page tells how far it is


def page(request: Request, form: LaunchForm) -> HttpResponse:
    """The form, with what the person has and may have beside it; 422 when something was wrong."""
    usage, picked = quotas.usage(request.user), form.picked
    taken = usage.memory + (picked.memory if picked else 0)
    context = {"form": form, "usage": usage, "taken": taken, "bounds": bounds()}
    return render(request, "sandboxes/new.html", context, status=422 if form.is_bound else 200)


def chosen(request: Request) -> dict[str, Any]:
    """What the address asks to begin with (``?image=3&name=web``), for "choose another image"."""
    return {name: clean(request.GET.get(name, "")) for name in ("image", "name")}


def refused(request: Request, form: LaunchForm) -> None:
    """Put on record what was wrong, field by field; never what was typed."""
    for field, errors in form.errors.items():
        refusals.record("sandbox.launch", origin(request), actions.Refused(field, str(errors[0])))
