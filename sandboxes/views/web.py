"""How views let people in and answer them: with a page or, to htmx, with a fragment and a toast."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.http import HttpResponseClientRedirect, trigger_client_event
from django_htmx.middleware import HtmxDetails

from sandboxes import unsaid
from sandboxes.access import Hidden
from sandboxes.engine import get_engine
from sandboxes.lifecycle import audit, origins, refusals
from sandboxes.lifecycle.transitions import TABLE
from sandboxes.models import User

address = origins.address
View = Callable[..., HttpResponse]


class Request(HttpRequest):
    """A request as the views behind ``private`` get it: of somebody who is signed in."""

    user: User
    htmx: HtmxDetails


LEVELS = {name: level for level, name in messages.constants.DEFAULT_TAGS.items()}


def unkept(response: HttpResponse) -> HttpResponse:
    """Mark an answer so that no cache and no "back" after sign-out shows it again."""
    add_never_cache_headers(response)  # no-store among them
    patch_vary_headers(response, ("HX-Request", "HX-Target"))
    return response


def private(view: View) -> View:
    """For people who are signed in; the answer is kept nowhere. Others are sent to sign in.

    Who asks for a sandbox that is not theirs is told that there is none, and is on record.
    """

    @functools.wraps(view)
    def inner(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        known: bool = request.user.is_authenticated
        if not known:
            return unkept(sign_in_first(request))
        try:
            return unkept(view(request, *args, **kwargs))
        except Hidden as hidden:
            note_hidden(request, hidden)
            raise

    return inner


ACTS = {
    "command_run": "command.run", "command_rerun": "command.run", "command_cancel": "command.cancel",
    "recording_list": "recording.watch", "recording_replay": "recording.watch",
    "recording_cast": "recording.watch", "recording_download": "recording.download",
}  # fmt: skip


def note_hidden(request: Request, hidden: Hidden, action: str = "") -> None:
    """Put on record that somebody wanted a sandbox that is not theirs, or that does not exist."""
    match = request.resolver_match
    assert match is not None
    verb = action or match.kwargs.get("action", "")
    act = f"sandbox.{verb}" if verb in TABLE else ACTS.get(match.url_name or "", f"{hidden.what}.view")
    refusals.note(act, origin(request), refusals.hidden(hidden), hidden.sandbox, path=unsaid.path_of(request))


def sign_in_first(request: Request) -> HttpResponse:
    """To the sign-in page and back; a fragment's request moves the whole page there."""
    if not request.htmx:
        return redirect_to_login(request.get_full_path() if request.method == "GET" else "/")
    response = HttpResponseClientRedirect(resolve_url("sign_in"))
    response.status_code = 401
    return response


def staff_only(request: Request) -> None:
    """Raise PermissionDenied for anybody but staff."""
    if not request.user.is_staff:
        raise PermissionDenied


def origin(request: Request) -> audit.Origin:
    """Who acts, and from where, for the record."""
    return origins.of_request(request)


def say(request: Request, response: HttpResponse, level: str, text: str) -> HttpResponse:
    """Tell what came of it: to htmx as a toast with this answer, else on the next page."""
    if request.htmx:
        return trigger_client_event(response, "toast", {"level": level, "message": text})
    messages.add_message(request, LEVELS[level], text)
    return response


def back(request: HttpRequest, fallback: str, *args: Any) -> HttpResponseRedirect:
    """303 to where the form came from (its ``next``, if that is ours), else to the fallback."""
    return see_other(onward(request) or resolve_url(fallback, *args))


def see_other(to: str) -> HttpResponseRedirect:
    """A redirect after a POST."""
    response = HttpResponseRedirect(to)
    response.status_code = 303
    return response


def onward(request: HttpRequest) -> str:
    """The path on this site that a form or an address names as ``next``, or nothing."""
    to = request.POST.get("next") or request.GET.get("next", "")
    ours = to.startswith("/") and url_has_allowed_host_and_scheme(
        to, {request.get_host()}, request.is_secure()
    )
    return to if ours else ""


def capable(capability: str) -> bool:
    """Whether the engine offers this; buttons are shown by it. Asks nothing over the wire."""
    try:
        return not capability or bool(getattr(get_engine().capabilities, capability, True))
    except Exception:
        return True  # not to be known now; the action itself will say
