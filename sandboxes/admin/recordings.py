"""Recordings in the admin: who recorded what when; replayed on the product's own page, on record."""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html

from sandboxes.models import Recording
from sandboxes.units import format_duration, format_size

from .base import ReadOnly, trail_link


@admin.register(Recording)
class RecordingAdmin(ReadOnly):
    """For staff with the permission to view recordings, which is the right to replay them as well."""

    list_display = (
        "started_at", "replay", "sandbox_name", "terminal_name", "owner_name", "long", "size", "policy",
        "opened_by",
    )  # fmt: skip
    list_display_links = ("started_at",)
    list_filter = ("policy", "keystrokes", "started_at")
    search_fields = ("id", "sandbox_id", "sandbox_name", "owner_name", "opened_by", "terminal_name")
    search_help_text = "Sandbox, owner, who began it, terminal or id"
    date_hierarchy = "started_at"
    exclude = ("file", "process", "terminal")
    readonly_fields = ("replay", "trail")
    show_full_result_count = False

    @admin.display(description="length", ordering="duration")
    def long(self, row: Recording) -> str:
        return "runs" if row.is_running else format_duration(row.duration)

    @admin.display(description="on disk", ordering="bytes")
    def size(self, row: Recording) -> str:
        return "–" if row.is_running else format_size(row.bytes)

    @admin.display(description="")
    def replay(self, row: Recording) -> str:
        url = reverse("recording_replay", args=[row.sandbox_id, row.pk])
        return format_html('<a href="{}">Replay</a>', url)

    @admin.display(description="audit trail")
    def trail(self, row: Recording) -> str:
        return trail_link("Show the trail of its sandbox", sandbox=row.sandbox_id)
