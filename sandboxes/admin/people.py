"""People, groups and the catalogue in the admin; what is changed here is on record."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from sandboxes.lifecycle import audit, images
from sandboxes.models import Image, User
from sandboxes.units import format_duration, format_size

from .base import origin
from .image_form import ImageForm
from .recorded import Recorded


@admin.action(description="Pull the selected images now", permissions=["change"])
def pull_now(modeladmin: Any, request: HttpRequest, rows: QuerySet[Image]) -> None:
    """Start a pull of each; progress is on the Images page."""
    for image in rows:
        images.pull(image, origin(request))
    messages.info(request, "Pulling; progress is on the Images page.")


@admin.register(Image)
class ImageAdmin(Recorded):
    """The catalogue: what may be launched, with its shell and default limits."""

    noun = "image"
    form = ImageForm
    list_display = ("title", "reference", "enabled", "here", "shell", "lives", "position")
    list_filter = ("enabled", "runs_as_root")
    search_fields = ("title", "reference", "description")
    actions = (pull_now,)

    @admin.display(description="here")
    def here(self, image: Image) -> str:
        return format_size(image.size) if image.is_here else "not here"

    @admin.display(description="lifetime", ordering="lifetime")
    def lives(self, image: Image) -> str:
        return format_duration(image.lifetime)

    def target_of(self, row: Image) -> audit.Target:
        return audit.Target("image", str(row.pk), row.reference)


@admin.register(User)
class PersonAdmin(Recorded, UserAdmin):
    """People, with their quotas."""

    noun = "user"
    list_display = ("username", "email", "first_name", "last_name", "is_staff", "is_active", "last_login")
    fieldsets = (
        *(UserAdmin.fieldsets or ()),
        ("Quotas", {"fields": [f"quota_{name}" for name in settings.QUOTAS]}),
    )

    def user_change_password(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        """A page of its own, which Django saves without a transaction."""
        with transaction.atomic():
            return super().user_change_password(request, *args, **options)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Django's own line about it; of a password that page has no other word."""
        if request.resolver_match and request.resolver_match.url_name == "auth_user_password_change":
            audit.record("user.password", origin(request), target=self.target_of(obj))
        return super().log_change(request, obj, message)


admin.site.unregister(Group)


@admin.register(Group)
class SetAdmin(Recorded, GroupAdmin):
    """Groups: sets of permissions."""

    noun = "group"
