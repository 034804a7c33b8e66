"""System checks: settings that contradict each other or cannot work, each with an id and a hint."""

from __future__ import annotations

import itertools
import os
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.checks import CheckMessage, Error, Tags, Warning, register

_ORDERED = (
    ("SANDBOX_MIN_MEMORY", "SANDBOX_DEFAULT_MEMORY", "SANDBOX_MAX_MEMORY"),
    ("SANDBOX_DEFAULT_LIFETIME", "SANDBOX_MAX_LIFETIME"),
    ("SANDBOX_DEFAULT_PIDS", "SANDBOX_MAX_PIDS"),
)


@register("sandboxes")
def check_limits(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Minimum, default and maximum of each limit stand in order (sandboxes.E001)."""
    pairs = [pair for names in _ORDERED for pair in itertools.pairwise(names)]
    return [
        Error(f"{low} is larger than {high}.", hint=f"Lower {low} or raise {high}.", id="sandboxes.E001")
        for low, high in pairs
        if getattr(settings, low) > getattr(settings, high)
    ]


@register("sandboxes")
def check_commands(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """No person and no sandbox can take every thread that runs commands (sandboxes.W002)."""
    threads = settings.SANDBOX_COMMAND_WORKERS
    return [
        Warning(
            f"{name} is not less than SANDBOX_COMMAND_WORKERS, so one can keep all others waiting.",
            hint=f"Lower {name} or raise SANDBOX_COMMAND_WORKERS.",
            id="sandboxes.W002",
        )
        for name in ("SANDBOX_COMMANDS", "SANDBOX_USER_COMMANDS")
        if threads and getattr(settings, name) >= threads
    ]


@register("sandboxes")
def check_data_folder(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The data folder can be written (sandboxes.E002)."""
    if os.access(settings.DATA_DIR, os.W_OK):
        return []
    hint = "Set SANDBOX_DATA to a folder this user may write."
    return [Error("The data folder cannot be written.", hint=hint, id="sandboxes.E002")]


@register("sandboxes")
def check_admin(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Nothing can be changed in the admin without a line on record (sandboxes.E003)."""
    from sandboxes.admin import ReadOnly, Recorded

    hint = "Derive it from sandboxes.admin.ReadOnly or sandboxes.admin.Recorded."
    return [
        Error(f"What {type(one).__name__} changes leaves no event.", hint=hint, id="sandboxes.E003")
        for one in admin.site._registry.values()
        if not isinstance(one, ReadOnly | Recorded)
    ]


@register("sandboxes", Tags.security, deploy=True)
def check_secret(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The secret key was given a value of its own, or made here, and is long (sandboxes.W001)."""
    if len(settings.SECRET_KEY) >= 50:
        return []
    hint = "Leave SANDBOX_SECRET_KEY unset to have one made, or use `openssl rand -hex 32`."
    return [Warning("The secret key is short.", hint=hint, id="sandboxes.W001")]
