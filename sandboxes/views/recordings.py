"""Recordings of a sandbox's terminals: the list, the replay, and the cast itself; each look is on record."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils.csp import CSP
from django.views.decorators.csp import csp_override
from django.views.decorators.http import require_GET

from sandboxes import access
from sandboxes.lifecycle import recordings
from sandboxes.live import recording_format
from sandboxes.models import Recording, Sandbox

from .web import Request, origin, private

MANY = 500
FEW = 5
SPEEDS = [(word, f"{word}×") for word in ("0.5", "1", "1.5", "2", "4", "8")]
SITE: dict[str, Any] = settings.SECURE_CSP
POLICY = SITE | {"script-src": [*SITE["script-src"], CSP.WASM_UNSAFE_EVAL]}
"""The player's screen is WebAssembly; nothing else of the policy is loosened, and on no other page."""


def of(sandbox: Sandbox) -> Any:
    """Its recordings, the newest first."""
    return Recording.objects.filter(sandbox_id=sandbox.pk).order_by("-started_at")


def newest(user: Any, sandbox: Sandbox) -> dict[str, Any]:
    """What the sandbox's page shows of them; nothing for those who may not replay them."""
    if not access.can_watch(user, sandbox.pk, sandbox.owner_id, sandbox):
        return {"recordings": [], "recordings_count": 0}
    return {"recordings": list(of(sandbox)[:FEW]), "recordings_count": of(sandbox).count()}


@require_GET
@private
def recording_list(request: Request, pk: str) -> HttpResponse:
    """All recordings of a sandbox."""
    sandbox = Sandbox.objects.select_related("owner").filter(pk=pk).first()
    if sandbox is None or not access.can_watch(request.user, pk, sandbox.owner_id, sandbox):
        raise access.Hidden(sandbox, "recording")
    context = {
        "sandbox": sandbox, "recordings": list(of(sandbox)[:MANY]), "days": settings.SANDBOX_RECORDING_DAYS,
        "may_see": access.can(request.user, sandbox, access.VIEW),
    }  # fmt: skip
    return render(request, "sandboxes/recordings.html", context)


@require_GET
@private
@csp_override(POLICY)
def recording_replay(request: Request, pk: str, recording: str) -> HttpResponse:
    """The player and the search; what they show is fetched from ``recording_cast``."""
    row = access.get_recording(request.user, pk, recording)
    sandbox = recordings.sandbox_of(row)
    context = {
        "recording": row, "sandbox": sandbox, "speeds": SPEEDS, "is_there": recordings.path_of(row).is_file(),
        "may_see": sandbox is not None and access.can(request.user, sandbox, access.VIEW),
    }  # fmt: skip
    return render(request, "sandboxes/replay.html", context)


@require_GET
@private
def recording_cast(request: Request, pk: str, recording: str) -> HttpResponse:
    """The cast, unpacked, as far as it is written; whoever gets it has watched it."""
    row = access.get_recording(request.user, pk, recording)
    response: HttpResponse = cast(request, row)
    recordings.watched(row, recordings.sandbox_of(row), origin(request))
    return response


@require_GET
@private
def recording_download(request: Request, pk: str, recording: str) -> HttpResponse:
    """The same as a file."""
    row = access.get_recording(request.user, pk, recording)
    response: HttpResponse = cast(request, row)
    response["Content-Disposition"] = f'attachment; filename="{row.pk}.cast"'
    recordings.downloaded(row, recordings.sandbox_of(row), origin(request))
    return response


def cast(request: Request, row: Recording) -> Any:
    """Pieces of whole lines. Raises Http404 when the file is gone."""
    path = recordings.path_of(row)
    if not path.is_file():
        raise Http404("The file of this recording is gone.")
    pieces: Any = (
        unblocked(recording_format.read(path))
        if isinstance(request, ASGIRequest)
        else recording_format.read(path)
    )
    return StreamingHttpResponse(pieces, content_type="application/x-asciicast; charset=utf-8")


async def unblocked(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Made in threads: a plain iterator would be gathered in memory, and run on the event loop."""
    following = sync_to_async(lambda: next(pieces, None), thread_sensitive=False)
    while (piece := await following()) is not None:
        yield piece
