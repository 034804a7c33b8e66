"""When a request cannot be answered: a page that says so and leads on, with the right status."""

from __future__ import annotations

import sys
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template import loader
from django.views.defaults import server_error

from sandboxes import unsaid
from sandboxes.away import is_away
from sandboxes.lifecycle import origins, refusals

from .web import unkept

TOKEN = refusals.Refused("", "A form without its token: an old page, or a page of somebody else's.")


def bad_request(request: HttpRequest, exception: Any = None) -> HttpResponse:
    """400: too many fields, too large, not to be parsed. Reads nothing of the request again."""
    return unkept(render(request, "400.html", status=400))


def no_token(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form without its token: an old page, or a page of somebody else's; on record in bounds."""
    refusals.note("page.open", origins.of_request(request), TOKEN, path=unsaid.path_of(request))
    return unkept(render(request, "403_csrf.html", status=403))


def failed(request: HttpRequest) -> HttpResponse:
    """500, or 503 while the database cannot be used; neither page reads anything."""
    if not is_away(sys.exception()):
        return unkept(server_error(request))
    return unkept(HttpResponse(loader.get_template("503.html").render(), status=503))
