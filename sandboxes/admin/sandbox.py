"""Sandboxes in the admin, removed ones too; what may be done with them is done by lifecycle."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from sandboxes.lifecycle import actions
from sandboxes.lifecycle.transitions import TABLE, Transition
from sandboxes.models import Sandbox

from .base import ReadOnly, origin, report, trail_link


def _admin_action(row: Transition) -> Any:
    """An admin action out of a row of the transition table: the same lifecycle call as everywhere."""

    def run(modeladmin: Any, request: HttpRequest, rows: QuerySet[Sandbox]) -> None:
        results = [actions.act(sandbox, row.action, origin(request)) for sandbox in rows]
        report(request, results)

    run.__name__ = row.action
    return admin.action(description=f"{row.label} the selected sandboxes", permissions=["act"])(run)


@admin.register(Sandbox)
class SandboxAdmin(ReadOnly):
    """Sandboxes, removed ones too; what may be done is done by lifecycle."""

    list_display = (
        "name",
        "owner",
        "image_reference",
        "status",
        "pending",
        "status_reason",
        "created_at",
        "expires_at",
    )
    list_filter = ("status", "pending", "image_reference", "network", "created_at")
    search_fields = ("name", "id", "owner__username", "image_reference", "status_reason", "native_id")
    date_hierarchy = "created_at"
    list_select_related = ("owner",)
    actions = tuple(_admin_action(row) for row in TABLE.values() if row.offered)
    exclude = ("environment", "claim", "launch_key")
    readonly_fields = ("environment_names", "recording", "recording_keystrokes", "recordings", "trail")

    def has_act_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_staff and request.user.is_active)

    @admin.display(description="environment (names only)")
    def environment_names(self, sandbox: Sandbox) -> str:
        return ", ".join(sorted(sandbox.environment)) or "–"

    @admin.display(description="recordings")
    def recordings(self, sandbox: Sandbox) -> str:
        url = reverse("admin:sandboxes_recording_changelist")
        return format_html('<a href="{}?q={}">Show its recordings</a>', url, sandbox.pk)

    @admin.display(description="audit trail")
    def trail(self, sandbox: Sandbox) -> str:
        return trail_link(sandbox=sandbox.pk)
