"""The system page, for staff: what the host has left, who fills it, and which images nobody uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from django.conf import settings
from django.db.models import Count, F
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from sandboxes.engine.base import LocalImage
from sandboxes.lifecycle import budget, guard, host
from sandboxes.lifecycle.asking import Question
from sandboxes.lifecycle.images import canonical
from sandboxes.models import Image, Isolation, Lease, Sandbox

from .web import Request, private, staff_only

FULLEST = 8
KEPT = 0.0
"""Seconds for which the engine's list of images is believed: it is asked for each page."""

_stored = Question(lambda engine: cast(Sequence[LocalImage], engine.images()))


@require_GET
@private
def system(request: Request) -> HttpResponse:
    """All of it at once; what the engine does not say now is left out, with a word."""
    staff_only(request)
    context = {
        "disk": disk(), "memory": budget.room(), "guard": guard.seen(), "fullest": fullest(),
        "held": held(), "accepted": settings.SANDBOX_ACCEPT_UNGUARDED_NETWORK, "images": images(),
    }  # fmt: skip
    return render(request, "system/page.html", context)


def disk() -> dict[str, Any]:
    """Free bytes of the engine's disk, the floor, and whether launches are refused because of it."""
    found, floor = host.info(), settings.SANDBOX_DISK_FLOOR
    free = found.free_disk if found else None
    return {"engine": found, "free": free, "floor": floor, "full": bool(host.shortage())}


def held() -> str:
    """What the cleanup loop does not believe yet: that so many are over at once."""
    report = Lease.objects.filter(name="cleanup").values_list("report", flat=True).first() or {}
    return str(report.get("held") or "")


def fullest() -> list[Sandbox]:
    """Those that have written the most of what they may."""
    rows = Sandbox.objects.present().filter(isolation=Isolation.STANDARD, disk_used__gt=0)
    return list(rows.select_related("owner").order_by(-F("disk_used") * 100 / F("disk"))[:FULLEST])


@dataclass(frozen=True)
class Stored:
    """An image on the engine's disk: its name, its size, its title in the catalogue, how many use it."""

    name: str
    size: int
    title: str
    used_by: int


def images() -> list[Stored] | None:
    """Largest first; None while the engine does not answer. One with two names is counted twice."""
    found = _stored.answer(KEPT)
    if found is None:
        return None
    titles = {canonical(image.reference): image.title for image in Image.objects.all()}
    rows = Sandbox.objects.present().values_list("image_reference").annotate(count=Count("pk"))
    used: dict[str, int] = {}
    for reference, count in rows:
        used[canonical(reference)] = used.get(canonical(reference), 0) + count
    names = [(name, one.size) for one in found for name in one.references or (one.native_id[:19],)]
    stored = [Stored(name, size, titles.get(name, ""), used.get(name, 0)) for name, size in names]
    return sorted(stored, key=lambda one: -one.size)
