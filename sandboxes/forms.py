"""What people type, as forms: shape and messages at the field; what may be is lifecycle.limits' to say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, SetPasswordForm
from django.core.exceptions import ValidationError
from django.core.validators import ProhibitNullCharactersValidator
from django.utils.functional import cached_property

from .lifecycle import limits
from .models import Image, Isolation, Network, User
from .units import format_duration, format_size

Clean = Callable[[Any], Any]
NO_NUL = ProhibitNullCharactersValidator("Take out the NUL character.")


class Text(forms.CharField):
    """Text that a function of lifecycle.limits cleans; empty stays None, "whatever the default is"."""

    def __init__(self, clean: Clean | None = None, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)
        self.limit = clean
        self.validators = [NO_NUL]

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if self.limit is None or not text.strip():
            return text
        try:
            return self.limit(text)
        except ValueError as error:
            raise ValidationError(str(error)) from None


class LaunchForm(forms.Form):
    """A sandbox to be; an empty limit means the image's own."""

    name = Text(limits.clean_name)
    image = forms.ModelChoiceField(
        Image.objects.none(),
        error_messages={
            "required": "Choose an image.",
            "invalid_choice": "This image is not in the catalogue, or is switched off. Choose another.",
        },
    )
    memory = Text(limits.clean_memory)
    cpus = Text(limits.clean_cpus)
    lifetime = Text(limits.clean_lifetime)
    network = forms.ChoiceField(
        choices=Network.choices, required=False, error_messages={"invalid_choice": "Choose none or internet."}
    )
    isolation = forms.ChoiceField(
        choices=Isolation.choices,
        required=False,
        error_messages={"invalid_choice": "Choose standard or strict."},
    )
    pids = Text(limits.clean_pids)
    workdir = Text(limits.clean_workdir)
    environment = Text(limits.clean_environment, strip=False)
    auto_remove = forms.BooleanField(required=False)
    launch_key = Text(widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["image"].queryset = Image.objects.filter(enabled=True)  # type: ignore[attr-defined]

    def clean_launch_key(self) -> str | None:
        """The key if it looks like one of ours, else None: then nothing is held together by it."""
        key: str = self.cleaned_data["launch_key"]
        return key if key.isalnum() and len(key) <= 64 else None

    @cached_property
    def images(self) -> list[Image]:
        """The catalogue, in its order."""
        return list(self.fields["image"].queryset)  # type: ignore[attr-defined]

    @cached_property
    def picked(self) -> Image | None:
        """The image whose card is chosen: what was sent or asked for, else the first."""
        wanted = str(self["image"].value() or "")
        found = [image for image in self.images if str(image.pk) == wanted]
        return found[0] if found else None if self.is_bound else next(iter(self.images), None)

    @property
    def has_more(self) -> bool:
        """Whether one of the fields that are folded away was filled in."""
        return any(self[name].value() for name in ("environment", "workdir", "pids", "auto_remove"))

    @property
    def choice(self) -> Image:
        """The image of a valid form."""
        chosen: Image = self.cleaned_data["image"]
        return chosen

    def options(self) -> dict[str, Any]:
        """What lifecycle.actions.launch takes beside owner, image and origin."""
        given = {name: value for name, value in self.cleaned_data.items() if name != "image"}
        return given | {"network": given["network"] or Network.NONE}

    def refuse(self, field: str, message: str) -> None:
        """Put a refusal of lifecycle's at its field, or above the form when it has none."""
        self.add_error(field if field in self.fields else None, message)


class CommandForm(forms.Form):
    """One command line to run."""

    command = Text(strip=False)
    shell = forms.BooleanField(required=False, initial=True)
    time_limit = Text(limits.clean_time_limit)

    def options(self) -> dict[str, Any]:
        """What lifecycle.commands.run takes beside the sandbox and who asks."""
        return {
            "argv_or_text": self.cleaned_data["command"],
            "shell": self.cleaned_data["shell"],
            "time_limit": self.cleaned_data["time_limit"] or None,
        }


class SignInForm(AuthenticationForm):
    """Name and password."""

    error_messages = {
        "invalid_login": "That name and password do not go together. Check both; capitals count.",
        "inactive": "This account is switched off. Ask an admin.",
    }


class ProfileForm(forms.ModelForm):
    """What people may say about themselves."""

    class Meta:
        model = User
        fields = ("first_name", "last_name", "email")


def password_form(user: Any, data: Any = None) -> forms.Form:
    """For a new password; asks for the old one only where there is one (a sign-in link needs none)."""
    form: type[forms.Form] = PasswordChangeForm if user.has_usable_password() else SetPasswordForm
    return form(user, data)


def bounds() -> dict[str, str]:
    """The limits of this install, in words for hints."""
    most = limits.max_cpus()
    return {
        "memory": f"{format_size(settings.SANDBOX_MIN_MEMORY)} to {format_size(settings.SANDBOX_MAX_MEMORY)}",
        "cpus": f"{settings.SANDBOX_MIN_CPUS:g} " + (f"to {most:g}" if most < limits.UNKNOWN else "or more"),
        "lifetime": f"up to {format_duration(settings.SANDBOX_MAX_LIFETIME)}",
        "pids": f"{limits.MIN_PIDS} to {settings.SANDBOX_MAX_PIDS}",
        "name": str(limits.NAME_LENGTH),
    }
