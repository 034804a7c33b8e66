"""Exports as downloads that are written while they are sent, and never faster than they are taken."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpRequest, HttpResponseNotAllowed, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone

from sandboxes.lifecycle import exporting
from sandboxes.lifecycle.event_filters import Asked

from .base import origin

OFFERED = (
    ("csv", "CSV", "For spreadsheets; nothing in it is run"),
    ("jsonl", "JSON Lines", "Every column, one event a line; reads back to the same bytes"),
    ("bundle", "Signed bundle", "Rows, signature and how to check them, as one zip"),
)
"""Name, what the button says, what it is."""


def answer(request: HttpRequest, asked: Asked, name: str) -> HttpResponseBase:
    """The download of what was asked for; back to the list with a sentence where that is not clear."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if name not in exporting.FORMATS:
        raise Http404
    if asked.wrong():
        for one in asked.wrong():
            messages.error(request, one)
        return redirect("admin:sandboxes_event_changelist")
    form = exporting.FORMATS[name]
    pieces: Any = exporting.begin(asked, name, origin(request))
    response = StreamingHttpResponse(
        taken(pieces) if isinstance(request, ASGIRequest) else pieces, content_type=form.type
    )
    named = f"audit-{timezone.localtime():%Y%m%d-%H%M%S}.{form.ending}"
    response["Content-Disposition"] = f'attachment; filename="{named}"'
    return response


async def taken(pieces: Generator[bytes, None, None]) -> AsyncIterator[bytes]:
    """The pieces, each made in the request's thread when the one before is on its way."""
    step = sync_to_async(lambda: next(pieces, None))
    try:
        while (piece := await step()) is not None:
            yield piece
    finally:
        await sync_to_async(pieces.close)()
