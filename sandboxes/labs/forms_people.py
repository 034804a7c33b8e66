"""What people type about courses and the people in them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, QueryDict

from sandboxes.lifecycle import audit, refusals
from sandboxes.lifecycle.refusals import Refused

from . import roster_lines, roster_text, trail
from .models import Course, Role


class CourseForm(forms.Form):
    """A course's title and rules."""

    title = forms.CharField(
        max_length=120,
        error_messages={"required": "Give it a title.", "max_length": "At most 120 characters."},
    )
    typing = forms.ChoiceField(
        choices=Course.Typing.choices,
        initial=Course.Typing.ASK,
        error_messages={"required": "Choose one.", "invalid_choice": "Choose one of the two."},
    )
    assistants_act = forms.BooleanField(required=False, initial=True)
    guests_allowed = forms.BooleanField(required=False)


def posted(request: HttpRequest) -> QueryDict | None:
    """What was sent, also when it is empty; None for a page that is only looked at."""
    return request.POST if request.method == "POST" else None


def note(action: str, origin: audit.Origin, form: forms.Form, course: Course | None = None) -> None:
    """Put what was wrong in a form on record, field by field; never what was typed."""
    for field, errors in form.errors.items():
        text = str(errors[0])
        if course is None:
            refusals.record(action, origin, Refused(field, text))
        else:
            facts: dict[str, Any] = {"field": field}
            trail.record(action, origin, course, outcome=trail.Outcome.REFUSED, reason=text, **facts)


class RosterForm(forms.Form):
    """A roster, pasted or as a file."""

    text = forms.CharField(required=False, strip=False)
    file = forms.FileField(required=False, allow_empty_file=True)

    def reading(self) -> roster_lines.Reading:
        """What was given, read; the file goes before the text. Raises Refused."""
        upload = self.cleaned_data["file"]
        if upload is None:
            return roster_lines.read(self.cleaned_data["text"])
        if upload.size > roster_text.MOST_BYTES:
            roster_text.too_large()
        return roster_lines.read(*roster_text.decode(upload.read()))


class Cell(forms.CharField):
    """A fact about a person, cleaned as a roster's cell is."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(strip=False, **kwargs)
        self.name = name
        self.validators = []

    def clean(self, value: Any) -> str:
        text: str = super().clean(value)
        try:
            return roster_lines.clean(self.name, text)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None


class PersonForm(forms.Form):
    """What the roster says of one person."""

    name = Cell("name", error_messages={"required": "Give them a name."})
    email = Cell("email", required=False)
    student_id = Cell("student_id", required=False)
    section = Cell("section", required=False)
    role = forms.ChoiceField(
        choices=Role.choices,
        error_messages={"invalid_choice": "Choose one of the three.", "required": "Choose one."},
    )

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not name:
            raise forms.ValidationError("Give them a name.")
        return name
