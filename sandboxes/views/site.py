"""What every page shows around its own matter: where one is, and whether the engine answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from sandboxes.engine import get_engine

_SHEETS = ("tokens", "base", "layout", "controls", "status", "lists", "terminal", "room")
SHEETS = tuple(f"css/{name}.css" for name in (*_SHEETS, *settings.SANDBOX_SHEETS))


def engine_since() -> datetime | None:
    """Since when the engine has not answered, as calls so far noticed; None while all is well.

    Never asks the engine, and never fails: a page comes up whatever the engine does.
    """
    try:
        health = getattr(get_engine(), "health", None)
    except Exception:
        return None
    return getattr(health, "unreachable_since", None)


def site(request: HttpRequest) -> dict[str, Any]:
    """The context processor that settings name."""
    match = request.resolver_match
    section = (match.url_name or "").partition("_")[0] if match else ""
    sections = {"sandbox": "sandboxes", "command": "sandboxes", "recording": "sandboxes", "image": "images"}
    sections |= {word: name for name, words in settings.SANDBOX_SECTIONS.items() for word in words}
    return {
        "site": {
            "section": sections.get(section, section),
            "engine_since": engine_since(),
            "sheets": SHEETS,
            "links": settings.SANDBOX_LINKS,
            "not_theirs": getattr(request, "not_theirs", ()),
            "known_as": getattr(request, "known_as", ""),
            "parting": getattr(request, "parting", ""),
            "modules": [f"js/{name}.js" for name in settings.SANDBOX_MODULES],
            "time_limit": settings.SANDBOX_COMMAND_TIME_LIMIT,
        }
    }
