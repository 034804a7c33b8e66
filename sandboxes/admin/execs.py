"""Commands and terminals in the admin."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from sandboxes.models import Command, Terminal
from sandboxes.units import format_size

from .base import ReadOnly


@admin.register(Command)
class CommandAdmin(ReadOnly):
    """Commands and what came of them; the output is on the sandbox's page."""

    list_display = (
        "__str__",
        "sandbox",
        "by_name",
        "status",
        "exit_code",
        "created_at",
        "duration",
        "output",
    )
    list_filter = ("status", "created_at")
    search_fields = ("id", "text", "by_name", "sandbox__name", "sandbox__id")
    date_hierarchy = "created_at"
    list_select_related = ("sandbox",)
    exclude = ("stdout", "stderr", "marker")

    @admin.display(description="output")
    def output(self, command: Command) -> str:
        return f"{format_size(command.stdout_bytes)} out, {format_size(command.stderr_bytes)} err"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Command]:
        return super().get_queryset(request).defer("stdout", "stderr")


@admin.register(Terminal)
class TerminalAdmin(ReadOnly):
    """Terminals: who opened which when, and how it ended."""

    list_display = ("name", "sandbox", "opened_by", "opened_at", "ended_at", "reason")
    list_filter = ("opened_at",)
    search_fields = ("name", "opened_by", "sandbox__name", "sandbox__id")
    list_select_related = ("sandbox",)
    exclude = ("marker", "process")
