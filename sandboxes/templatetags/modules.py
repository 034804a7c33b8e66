"""The import map: where the browser finds each module."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from django.conf import settings
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

MODULES = {
    "@xterm/xterm": "vendor/xterm/xterm.mjs",
    "@xterm/addon-fit": "vendor/addon-fit/addon-fit.mjs",
    "@xterm/addon-search": "vendor/addon-search/addon-search.mjs",
    "@xterm/addon-web-links": "vendor/addon-web-links/addon-web-links.mjs",
    "@xterm/addon-unicode11": "vendor/addon-unicode11/addon-unicode11.mjs",
    "@xterm/addon-webgl": "vendor/addon-webgl/addon-webgl.mjs",
}


def import_map(context: dict[str, Any]) -> SafeString:
    """The import map: the browser libraries and our own modules, each by its (hashed) address."""
    made = text.__wrapped__() if settings.DEBUG else text()
    return format_html(
        '<script type="importmap" nonce="{}">{}</script>', context.get("csp_nonce", ""), mark_safe(made)
    )


@cache
def text() -> str:
    """What is in it; the same for every page, and a hundred addresses to look up.

    Our modules are listed under their plain address too, so that ``./name.js`` finds the hashed file.
    """
    imports = {name: static(path) for name, path in MODULES.items()}
    for path in sorted((settings.BASE_DIR / "static/js").glob("*.js")):
        address = static(f"js/{path.name}")
        imports |= {f"sandboxes/{path.name}": address, f"{static('js/')}{path.name}": address}
    # "<" can end the element early, whatever a file is called
    return json.dumps({"imports": imports}).replace("<", "\\u003c")
