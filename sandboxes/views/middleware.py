"""Around every request: its id, every answer's headers, and that a refusal of the whole page is on record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from sandboxes import request_ids, unsaid
from sandboxes.lifecycle import origins, refusals

NOT_ALLOWED = refusals.Refused("", "They may not.")


class KnownRefusal(PermissionDenied):
    """A refusal that is on record already, in better words."""


class Requests:
    """Gives each request an id, which the answer names; a PermissionDenied goes on record."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        known = begin(request)
        response = self.get_response(request)
        request_ids.current.reset(known)
        return told(request, response)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Answered as ever; whose request it was, and for what, is on record in bounds."""
        if isinstance(exception, PermissionDenied) and not isinstance(exception, KnownRefusal):
            note(request)


def begin(request: HttpRequest) -> Any:
    request.request_id = request_ids.accept(request.headers.get(request_ids.HEADER, ""))  # type: ignore[attr-defined]
    return request_ids.current.set(request.request_id)  # type: ignore[attr-defined]


def told(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """The answer with what every one carries; what does not say how long it keeps is kept nowhere."""
    response.headers[request_ids.HEADER] = request.request_id  # type: ignore[attr-defined]
    response.headers.setdefault("Permissions-Policy", settings.PERMISSIONS_POLICY)
    response.headers.setdefault("Cache-Control", "no-store, private")
    return response


def note(request: HttpRequest) -> None:
    """Put on record that somebody wanted a page, or an act, that is not for them."""
    facts = {"path": unsaid.path_of(request), "method": request.method or ""}
    refusals.note("page.open", origins.of_request(request), NOT_ALLOWED, None, **facts)
