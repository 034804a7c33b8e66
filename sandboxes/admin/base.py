"""What the admin's pages share: records nobody changes, who acts, and what came of it as messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from sandboxes.lifecycle import origins


class ReadOnly(admin.ModelAdmin):
    """Browsable by staff with the view permission; added, changed and deleted by nobody."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


LEVELS = {name: level for level, name in messages.constants.DEFAULT_TAGS.items()}

origin = origins.of_request
"""Who acts through the admin, and from where."""


def report(request: HttpRequest, results: Iterable[Any]) -> None:
    """One message a sentence, with a count where several came out alike."""
    counts: dict[tuple[str, str], int] = {}
    for result in results:
        key = (result.level, result.message)
        counts[key] = counts.get(key, 0) + 1
    for (level, text), count in counts.items():
        messages.add_message(request, LEVELS[level], f"{text} ({count})" if count > 1 else text)


def trail_url(**asked: str) -> str:
    """The list of the events that were asked for, by the words of lifecycle.event_filters."""
    return f"{reverse('admin:sandboxes_event_changelist')}?{urlencode(asked)}"


def trail_link(text: str = "Show the trail", **asked: str) -> str:
    """A link to it, for a column or a field of the admin."""
    return format_html('<a href="{}">{}</a>', trail_url(**asked), text)
