"""The audit trail in the admin: read, filtered, searched, charted, exported; changed by nobody."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from sandboxes.lifecycle import event_pages, event_summary, event_words
from sandboxes.lifecycle.event_filters import Asked
from sandboxes.models import Event, Outcome

from . import charts, dates, event_page, exports
from .base import ReadOnly

PARAMETERS = frozenset({"after", "before", "e", *Asked.__dataclass_fields__})


@admin.register(Event)
class EventAdmin(ReadOnly):
    """The trail for staff with the permission to view events; pages of our own in the admin's frame."""

    def get_urls(self) -> list[Any]:
        export = path(
            "export/<slug:name>/", self.admin_site.admin_view(self.export), name="sandboxes_event_export"
        )
        return [export, *super().get_urls()]

    def export(self, request: HttpRequest, name: str) -> HttpResponseBase:
        """The filtered set as a download; posted to, since it is itself on record."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return exports.answer(request, Asked.of(request.GET), name)

    @method_decorator((never_cache, require_safe))
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The list with its filters and charts. At most eight queries, however long the trail is."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        asked = Asked.of(request.GET)
        for one in [*asked.wrong(), *_unknown(request)]:
            messages.error(request, one)
        context = self.admin_site.each_context(request) | listing(asked, request) | (extra_context or {})
        context |= {"opts": self.opts, "title": "Audit trail"}
        return TemplateResponse(request, "admin/sandboxes/event/change_list.html", context)

    @method_decorator(never_cache)
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """One event, in plain words; posting to it is refused, to superusers too."""
        event = self.get_object(request, object_id)
        if request.method not in ("GET", "HEAD") or not self.has_view_permission(request, event):
            raise PermissionDenied
        if event is None:
            messages.warning(request, f"There is no event {object_id}; perhaps it was pruned.")
            return redirect("admin:sandboxes_event_changelist")
        context = self.admin_site.each_context(request) | event_page.context(event, request.user)
        context |= {"opts": self.opts, **(extra_context or {})}
        return TemplateResponse(request, "admin/sandboxes/event/change_form.html", context)


def _unknown(request: HttpRequest) -> list[str]:
    """What narrows nothing, though somebody thinks it does."""
    return [f"“{name}” is no filter of this list." for name in request.GET if name not in PARAMETERS]


def listing(asked: Asked, request: HttpRequest) -> dict[str, Any]:
    """What the list's page shows."""
    whole, told = event_summary.extent(), event_summary.of(asked)
    return {
        "asked": asked, "page": event_pages.of(asked, request.GET), "whole": whole, "told": told,
        "crumbs": dates.crumbs(asked), "steps": dates.steps(asked, whole),
        "timeline": charts.timeline(asked, told), "refusals": charts.refusals(asked, told),
        "counts": counts(asked, told), "words": groups(), "outcomes": Outcome.values,
        "formats": exports.OFFERED,
    }  # fmt: skip


def counts(asked: Asked, told: event_summary.Summary) -> list[tuple[str, int, str]]:
    """Actions with how many there are of each and where they are alone, the most frequent first."""
    return [(name, count, asked.but(action=name).query()) for name, count in told.actions.most_common()]


def groups() -> list[tuple[str, list[str]]]:
    """All actions, by what they are done to."""
    found: dict[str, list[str]] = {}
    for action in sorted(event_words.words()):
        found.setdefault(action.partition(".")[0], []).append(action)
    return list(found.items())
