"""What an instructor types about one run of a lab."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django import forms
from django.utils import timezone

from . import lab_templates
from .models import Course, LabTemplate, TemplateVersion


class Moment(forms.DateTimeField):
    """A time of a zone, as UTC: only there two hours later is two hours later in every night.

    ``zone``: the zone's name, as the browser that it was typed in calls it; empty: the site's.
    """

    zone = ""

    def to_python(self, value: Any) -> datetime | None:
        try:
            with timezone.override(self._zone() if value and self.zone else timezone.get_current_timezone()):
                at: datetime | None = super().to_python(value)
        except forms.ValidationError as error:
            if error.code != "ambiguous_timezone":
                raise
            text = "The clocks change then, so this time is there twice or not at all. Choose another."
            raise forms.ValidationError(text) from None
        if at and not 2000 <= at.year < 9000:  # beyond, nothing can be reckoned
            raise forms.ValidationError(self.error_messages["invalid"])
        return at and at.astimezone(UTC)

    def _zone(self) -> ZoneInfo:
        try:
            return ZoneInfo(self.zone)
        except (ValueError, OSError, ZoneInfoNotFoundError):
            text = "Your browser’s time zone is not known here. Leave this empty, and open the lab by hand."
            raise forms.ValidationError(text) from None


OPEN, FIRST, NOBODY = "open", "first", "nobody"
LATE = ((OPEN, "while it is open"), (FIRST, "only at the beginning"), (NOBODY, "not at all"))


class LabForm(forms.Form):
    """A lab to be: from which template, when it has to work, how long it lasts."""

    template = forms.ModelChoiceField(
        LabTemplate.objects.none(),
        error_messages={"required": "Choose a template.", "invalid_choice": "Choose a published template."},
    )
    title = forms.CharField(max_length=120, required=False)
    ready_by = Moment(
        required=False, error_messages={"invalid": "Give a day and a time, like 2026-11-24 09:45."}
    )
    minutes = forms.IntegerField(
        min_value=1, max_value=24 * 60, required=False,
        error_messages={"invalid": "A whole number of minutes.",
                        "min_value": "At least one minute.", "max_value": "At most a day."},
    )  # fmt: skip
    late = forms.ChoiceField(choices=LATE, required=False, initial=OPEN)
    late_minutes = forms.IntegerField(
        min_value=1, max_value=24 * 60, required=False,
        error_messages={"invalid": "A whole number of minutes.", "min_value": "At least one minute.",
                        "max_value": "At most a day."},
    )  # fmt: skip
    operation = forms.CharField(max_length=64, required=False)
    zone = forms.CharField(max_length=64, required=False)

    def __init__(self, course: Course, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["template"]
        field.queryset = lab_templates.published(course).select_related("published__image")
        moment: Any = self.fields["ready_by"]
        moment.zone = str(self["zone"].value() or "")[:64]

    @property
    def templates(self) -> list[LabTemplate]:
        """What there is to choose from."""
        field: Any = self.fields["template"]
        return list(field.queryset)

    def clean_ready_by(self) -> datetime | None:
        at: datetime | None = self.cleaned_data["ready_by"]
        if at is not None and at <= timezone.now():
            raise forms.ValidationError("This time is over. Leave it empty to open the lab by hand.")
        return at

    def clean(self) -> dict[str, Any]:
        """Without minutes it lasts as its template says; latecomers need theirs."""
        given = super().clean() or {}
        if given.get("late") == FIRST and not given.get("late_minutes") and "late_minutes" not in self.errors:
            self.add_error("late_minutes", "Say for how many minutes.")
        if not given.get("minutes") and given.get("template"):
            given["minutes"] = given["template"].published.lifetime // 60
        return given

    def version(self) -> TemplateVersion:
        """The published version of the chosen template."""
        version: TemplateVersion = self.cleaned_data["template"].published
        return version

    def options(self) -> dict[str, Any]:
        """What opening.make takes."""
        ready_by = self.cleaned_data["ready_by"]
        begins = ready_by or timezone.now()
        return {
            "title": self.cleaned_data["title"] or self.cleaned_data["template"].title,
            "ready_by": ready_by,
            "closes_at": begins + timedelta(minutes=self.cleaned_data["minutes"]),
            "late": self.cleaned_data["late"] != NOBODY,
            "late_minutes": self.cleaned_data["late_minutes"] if self.cleaned_data["late"] == FIRST else None,
            "operation": self.cleaned_data["operation"],
        }
