"""People and the catalogue in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.db.models import QuerySet
from django.http import HttpRequest

from sandboxes.lifecycle import audit, images
from sandboxes.models import Image, User
from sandboxes.units import format_size

from .base import origin


@admin.action(description="Pull the selected images now", permissions=["change"])
def pull_now(modeladmin: Any, request: HttpRequest, rows: QuerySet[Image]) -> None:
    """Start a pull of each; progress is on the Images page."""
    for image in rows:
        images.pull(image, origin(request))
    messages.info(request, "Pulling; progress is on the Images page.")


@admin.register(Image)
class ImageAdmin(admin.ModelAdmin):
    """The catalogue: what may be launched, with its shell and default limits."""

    list_display = ("title", "reference", "enabled", "here", "shell", "lifetime", "position")
    list_filter = ("enabled", "runs_as_root")
    search_fields = ("title", "reference", "description")
    actions = (pull_now,)

    @admin.display(description="here")
    def here(self, image: Image) -> str:
        return format_size(image.size) if image.is_here else "not here"

    def log_change(self, request: HttpRequest, obj: Image, message: Any) -> Any:
        audit.record("image.changed", origin(request), detail={"image": obj.reference})
        return super().log_change(request, obj, message)

    def log_addition(self, request: HttpRequest, obj: Image, message: Any) -> Any:
        audit.record("image.added", origin(request), detail={"image": obj.reference})
        return super().log_addition(request, obj, message)


@admin.register(User)
class PersonAdmin(UserAdmin):
    """People, with their quotas."""

    list_display = ("username", "email", "first_name", "last_name", "is_staff", "is_active", "last_login")
    fieldsets = (*(UserAdmin.fieldsets or ()), ("Quotas", {"fields": ("quota_sandboxes", "quota_memory")}))
