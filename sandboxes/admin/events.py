"""The audit trail in the admin: read, filtered, searched, exported; changed by nobody."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import reverse
from django.utils.html import format_html

from sandboxes import cells
from sandboxes.lifecycle import audit
from sandboxes.models import Event

from .base import ReadOnly, origin


class Echo:
    """A file that hands back what is written, so that CSV rows can be streamed."""

    def write(self, value: str) -> str:
        return value


def inert(value: Any) -> str:
    """A cell no spreadsheet runs, in one line: what cannot be seen is written as its number."""
    text = json.dumps(value, sort_keys=True) if isinstance(value, dict) else cells.text(value)
    return cells.safe("".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text))


CSV_COLUMNS = (
    "id", "at", "actor_kind", "actor_name", "address", "action", "outcome",
    "sandbox_id", "sandbox_name", "owner_name", "reason", "operation", "detail",
)  # fmt: skip


def csv_lines(rows: QuerySet[Event]) -> Iterator[str]:
    """The rows as CSV lines with a heading; times in ISO 8601 UTC."""
    writer = csv.writer(Echo())
    yield writer.writerow(CSV_COLUMNS)
    for row in rows.iterator(chunk_size=1000):
        values = [row.at.isoformat() if name == "at" else getattr(row, name) for name in CSV_COLUMNS]
        yield writer.writerow([inert(value) for value in values])


@admin.action(description="Export the selected events as CSV")
def export_csv(modeladmin: Any, request: HttpRequest, rows: QuerySet[Event]) -> StreamingHttpResponse:
    """Stream the selection; the export is itself on record."""
    audit.record("events.exported", origin(request), detail={"count": rows.count()})
    response = StreamingHttpResponse(csv_lines(rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="events.csv"'
    return response


@admin.register(Event)
class EventAdmin(ReadOnly):
    """The audit trail: read, filtered, searched, exported; changed by nobody, superusers too."""

    list_display = ("at", "actor", "action", "sandbox_link", "outcome", "reason", "address")
    list_filter = ("outcome", "actor_kind", "action", "at")
    search_fields = (
        "actor_name",
        "sandbox_name",
        "sandbox_id",
        "owner_name",
        "reason",
        "action",
        "address",
        "operation",
    )
    search_help_text = "Person, sandbox, owner, reason, action, address or operation"
    date_hierarchy = "at"
    actions = (export_csv,)
    list_per_page = 50
    show_full_result_count = False

    @admin.display(description="actor", ordering="actor_name")
    def actor(self, event: Event) -> str:
        return event.actor_name or event.actor_kind

    @admin.display(description="sandbox", ordering="sandbox_name")
    def sandbox_link(self, event: Event) -> str:
        if not event.sandbox_id:
            return "–"
        url = reverse("admin:sandboxes_sandbox_change", args=[event.sandbox_id])
        return format_html('<a href="{}">{}</a> {}', url, event.sandbox_name, event.sandbox_id)
