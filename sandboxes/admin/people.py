"""People, groups and the catalogue in the admin; what is changed here is on record."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from sandboxes.lifecycle import audit, images, runtimes
from sandboxes.models import Image, User
from sandboxes.units import format_size

from .base import origin
from .recorded import Recorded

HELP = (
    "Of those that the engine offers beside its usual one. What is promised was measured with the usual one."
)
NOT_OFFERED = "The engine does not offer the runtime %(value)s. Choose one of these."


@admin.action(description="Pull the selected images now", permissions=["change"])
def pull_now(modeladmin: Any, request: HttpRequest, rows: QuerySet[Image]) -> None:
    """Start a pull of each; progress is on the Images page."""
    for image in rows:
        images.pull(image, origin(request))
    messages.info(request, "Pulling; progress is on the Images page.")


class RuntimeForm(forms.ModelForm):
    """An image; which runtimes there are is asked of the engine."""

    runtime = forms.ChoiceField(required=False, label="Runtime (experimental)")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "runtime" in self.fields:
            field: Any = self.fields["runtime"]
            field.choices = [("", "the engine's usual one"), *self._choices()]
            field.help_text = HELP
            field.error_messages["invalid_choice"] = NOT_OFFERED

    def _choices(self) -> list[tuple[str, str]]:
        """The present one too while the engine does not answer: then nobody can tell."""
        known = runtimes.offered()
        names = {self.instance.runtime} - {""} if known is None else set(known)
        return [(one, f"{one} ({runtimes.EXPERIMENTAL})") for one in sorted(names)]


@admin.register(Image)
class ImageAdmin(Recorded):
    """The catalogue: what may be launched, with its shell and default limits."""

    noun = "image"
    list_display = ("title", "reference", "enabled", "here", "shell", "lifetime", "position")
    list_filter = ("enabled", "runs_as_root")
    search_fields = ("title", "reference", "description")
    actions = (pull_now,)

    @admin.display(description="here")
    def here(self, image: Image) -> str:
        return format_size(image.size) if image.is_here else "not here"

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        """Choices of runtimes are those that the engine offers just now, and the present one."""
        return super().get_form(request, obj, change, form=RuntimeForm, **options)

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
