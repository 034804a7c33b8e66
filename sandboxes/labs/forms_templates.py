"""What an author types about a lab template; what may be is lifecycle.limits' and labs' to say."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile

from sandboxes.engine.files import BadArchive
from sandboxes.forms import Text
from sandboxes.lifecycle import limits, strictness
from sandboxes.models import Image, Isolation, Network, RecordingPolicy
from sandboxes.units import format_size

from . import archives, sheets
from .models import TemplateVersion


def clean_sheet(text: str) -> str:
    """A sheet with one kind of line break, short enough."""
    return sheets.check(text.replace("\r\n", "\n").replace("\r", "\n"))


class RecipeForm(forms.Form):
    """A template's title and its next version. ``base`` is the number of the version it was made from."""

    title = forms.CharField(
        max_length=120,
        error_messages={"required": "Give it a title.", "max_length": "At most 120 characters."},
    )
    sheet = Text(clean_sheet, strip=False)
    image = forms.ModelChoiceField(
        Image.objects.none(),
        required=False,
        error_messages={"invalid_choice": "This image is not in the catalogue, or is switched off."},
    )
    memory = Text(limits.clean_memory)
    cpus = Text(limits.clean_cpus)
    pids = Text(limits.clean_pids)
    lasts = forms.IntegerField(
        min_value=1, max_value=24 * 60, required=False,
        error_messages={"invalid": "A whole number of minutes.", "min_value": "At least one minute.",
                        "max_value": "At most a day."},
    )  # fmt: skip
    idle = forms.IntegerField(
        min_value=2, max_value=24 * 60, required=False,
        error_messages={"invalid": "A whole number of minutes.", "max_value": "At most a day.",
                        "min_value": "At least two minutes, or nothing."},
    )  # fmt: skip
    network = forms.ChoiceField(choices=Network.choices, required=False)
    isolation = forms.ChoiceField(choices=Isolation.choices, required=False)
    recording = forms.ChoiceField(choices=RecordingPolicy.choices, required=False)
    recording_keystrokes = forms.BooleanField(required=False)
    upload = forms.FileField(required=False, max_length=255, error_messages={"empty": "This file is empty."})
    remove_files = forms.BooleanField(required=False)
    base = forms.IntegerField(min_value=0, max_value=10**6, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["image"]
        field.queryset = Image.objects.filter(enabled=True)

    @property
    def images(self) -> list[Image]:
        """The catalogue, in its order."""
        field: Any = self.fields["image"]
        return list(field.queryset)

    def clean_upload(self) -> archives.Files | None:
        """The archive made harmless, None where nothing was uploaded."""
        upload: UploadedFile | None = self.cleaned_data["upload"]
        if upload is None:
            return None
        if (upload.size or 0) > archives.MOST:
            raise ValidationError(archives.TOO_BIG)
        try:
            return archives.prepare(upload.read())
        except BadArchive as error:
            raise ValidationError(str(error)) from None

    def clean(self) -> dict[str, Any]:
        """Where image or template is strict there is no network."""
        given: dict[str, Any] = super().clean() or self.cleaned_data
        image = given.get("image")
        strict = Isolation.STRICT in (given.get("isolation"), image.isolation if image else "")
        if strict and given.get("network") == Network.INTERNET:
            self.add_error("network", strictness.NO_NETWORK)
        return given

    def columns(self) -> dict[str, Any]:
        """What a version takes; an empty limit keeps the last one, or the default."""
        given = self.cleaned_data
        wanted: dict[str, Any] = {name: given[name] for name in ("memory", "cpus", "pids") if given[name]}
        wanted |= {
            "sheet": given["sheet"],
            "image": given["image"],
            "network": given["network"] or Network.NONE,
            "isolation": given["isolation"] or Isolation.STANDARD,
            "idle": (given["idle"] or 0) * 60,
            "recording": given["recording"] or RecordingPolicy.OFF,
            "recording_keystrokes": given["recording_keystrokes"],
        }
        if given["lasts"]:
            wanted["lifetime"] = given["lasts"] * 60
        if given["upload"]:
            wanted |= {"files": given["upload"].data, "files_names": given["upload"].names}
        elif given["remove_files"]:
            wanted |= {"files": None, "files_names": []}
        return wanted


def initial(version: TemplateVersion | None, base: int) -> dict[str, Any]:
    """A version as the form shows it."""
    if version is None:
        return {"base": base, "memory": "256 MB", "cpus": "1", "pids": "256", "network": Network.NONE,
                "lasts": 90}  # fmt: skip
    return {
        "title": version.template.title, "sheet": version.sheet, "image": version.image_id, "base": base,
        "memory": format_size(version.memory), "cpus": f"{version.cpus.normalize():f}", "pids": version.pids,
        "network": version.network, "isolation": version.isolation, "lasts": version.lifetime // 60,
        "idle": version.idle // 60 or "",
        "recording": version.recording,
        "recording_keystrokes": version.recording_keystrokes,
    }  # fmt: skip
