"""The system page, for staff: what the host has left, who fills it, and which images nobody uses."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import F
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from sandboxes.lifecycle import budget, guard, host, stored
from sandboxes.models import Isolation, Lease, Sandbox

from .web import Request, private, staff_only

FULLEST = 8


@require_GET
@private
def system(request: Request) -> HttpResponse:
    """All of it at once; what the engine does not say now is left out, with a word."""
    staff_only(request)
    context = {
        "disk": disk(), "memory": budget.room(), "guard": guard.seen(), "fullest": fullest(),
        "held": held(), "accepted": settings.SANDBOX_ACCEPT_UNGUARDED_NETWORK, "images": stored.images(),
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
