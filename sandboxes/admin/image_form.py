"""An image in the admin: limits as people write them, held to what a launch is held to."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings

from sandboxes.forms import Clean, Text, bounds
from sandboxes.lifecycle import limits, runtimes
from sandboxes.models import Image
from sandboxes.units import write_duration, write_size

HELP = (
    "Of those that the engine offers beside its usual one. What is promised was measured with the usual one."
)
NOT_OFFERED = "The engine does not offer the runtime %(value)s. Choose one of these."
WIDGET = {"class": "vTextField limit"}


class Limit(Text):
    """A number that is read and written as people do: "512 MB", "1 h"; None where it may be empty and is.

    ``setting`` names what a new image begins with.
    """

    def __init__(self, clean: Clean, write: Callable[[Any], str], setting: str = "", **more: Any) -> None:
        initial = (lambda: getattr(settings, setting)) if setting else None
        super().__init__(clean, widget=forms.TextInput(WIDGET), initial=initial, **more)
        self.required, self.write = bool(setting), write

    def prepare_value(self, value: Any) -> Any:
        return value if value is None or isinstance(value, str) else self.write(value)

    def clean(self, value: Any) -> Any:
        found = super().clean(value)
        return None if found == "" else found

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(super().has_changed(self.prepare_value(initial), data))


def _number(value: Any) -> str:
    return f"{Decimal(str(value)).normalize():f}"


class ImageForm(forms.ModelForm):
    """An image; which runtimes there are is asked of the engine."""

    memory = Limit(limits.clean_memory, write_size, "SANDBOX_DEFAULT_MEMORY")
    cpus = Limit(limits.clean_cpus, _number, "SANDBOX_DEFAULT_CPUS", label="CPUs")
    pids = Limit(limits.clean_pids, str, "SANDBOX_DEFAULT_PIDS", label="Processes")
    lifetime = Limit(limits.clean_lifetime, write_duration, "SANDBOX_DEFAULT_LIFETIME")
    idle = Limit(
        limits.clean_idle, write_duration, label="Idle limit",
        help_text="A sandbox that nobody uses so long is stopped: 30 min. 0: never; empty: the install's.",
    )  # fmt: skip
    disk = Limit(
        limits.clean_disk, write_size, "SANDBOX_DEFAULT_DISK",
        help_text="What a standard sandbox may write to the disk, like 2 GB; it is stopped beyond.",
    )  # fmt: skip
    workdir = Text(limits.clean_workdir, label="Working directory", initial="/workspace",
                   widget=forms.TextInput({"class": "vTextField"}))  # fmt: skip
    runtime = forms.ChoiceField(required=False, label="Runtime (experimental)")

    class Meta:
        model = Image
        fields = "__all__"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, hint in hints().items():
            if name in self.fields:
                self.fields[name].help_text = hint
        if "workdir" in self.fields:
            self.fields["workdir"].required = True
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


def hints() -> dict[str, str]:
    """What may be written, with this install's bounds."""
    told = bounds()
    return {
        "memory": f"Like 512m or 1.5g; {told['memory']}.",
        "cpus": f"Like 0.5 or 2; {told['cpus']}.",
        "pids": f"How many at most; {told['pids']}.",
        "lifetime": f"Like 45 min or 2 hours, {told['lifetime']}; a number alone is minutes.",
    }
