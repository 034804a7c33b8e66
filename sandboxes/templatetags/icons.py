"""The shapes of the pages: 16x16 line icons and the 8x8 marks that go with a status."""

from __future__ import annotations

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

ICONS = {
    "add": "M8 3v10M3 8h10",
    "alert": "M8 2.2 14.6 13.6H1.4zM8 6.4v3.4M8 11.6v.2",
    "arrow": "M3.5 10 8 5.5l4.5 4.5",
    "audit": "M4 2.5h8v11H4zM6.3 5.6h3.4M6.3 8h3.4M6.3 10.4h2",
    "back": "M9.5 3.5 5 8l4.5 4.5",
    "check": "M3 8.4 6.4 12 13 4.6",
    "clock": "M8 2.2a5.8 5.8 0 1 1 0 11.6A5.8 5.8 0 0 1 8 2.2zM8 4.8V8l2.3 1.5",
    "close": "m4 4 8 8M12 4l-8 8",
    "copy": "M5.5 5.5h7.3v7.3H5.5zM3.2 10.5V3.2h7.3",
    "dots": "M3.2 8h.1M8 8h.1M12.8 8h.1",
    "down": "M8 2.8v7.4M4.8 7.4 8 10.6l3.2-3.2M3 13.2h10",
    "extend": "M8 2.2a5.8 5.8 0 1 1 0 11.6A5.8 5.8 0 0 1 8 2.2zM8 5.4v5.2M5.4 8h5.2",
    "forward": "M6.5 3.5 11 8l-4.5 4.5",
    "full": "M9.6 2.8h3.6v3.6M6.4 13.2H2.8V9.6M13 3 9.3 6.7M3 13l3.7-3.7",
    "image": "m8 1.9 5.6 3v6.2L8 14.1l-5.6-3V4.9zM2.6 5 8 7.9 13.4 5M8 7.9v6",
    "info": "M8 2.2a5.8 5.8 0 1 1 0 11.6A5.8 5.8 0 0 1 8 2.2zM8 7.4v3.4M8 5.1v.2",
    "key": "M10.3 2.6a3.1 3.1 0 1 1 0 6.2 3.1 3.1 0 0 1 0-6.2zM8 8l-5.2 5.2M4.6 11.4l1.6 1.6",
    "launch": "M8 13.4V5.2M4.4 8.4 8 4.8l3.6 3.6M3.4 2.4h9.2",
    "leave": "M6.2 2.8H3.4v10.4h2.8M7 8h6.4M10.8 5.2 13.6 8l-2.8 2.8",
    "moon": "M13 9.6A5.6 5.6 0 0 1 6.4 3a5.6 5.6 0 1 0 6.6 6.6z",
    "pause": "M5.4 3.4v9.2M10.6 3.4v9.2",
    "person": "M8 2.6a2.6 2.6 0 1 1 0 5.2 2.6 2.6 0 0 1 0-5.2zM2.9 13.4c.5-2.5 2.5-3.9 5.1-3.9"
    "s4.6 1.4 5.1 3.9",
    "pull": "M8 2.8v7.4M4.8 7.4 8 10.6l3.2-3.2M3 13.2h10",
    "record": "M8 2.2a5.8 5.8 0 1 1 0 11.6A5.8 5.8 0 0 1 8 2.2zM8 5.6a2.4 2.4 0 1 1 0 4.8"
    " 2.4 2.4 0 0 1 0-4.8",
    "remove": "M2.8 4.4h10.4M6.2 4.2V2.6h3.6v1.6M4.2 4.6l.6 8.8h6.4l.6-8.8M6.8 7v4M9.2 7v4",
    "restart": "M13 8a5 5 0 1 1-1.6-3.7M13.2 2.4v2.8h-2.8",
    "resume": "M4.8 3 12.4 8l-7.6 5z",
    "search": "M7 2.6a4.4 4.4 0 1 1 0 8.8 4.4 4.4 0 0 1 0-8.8zM10.3 10.3l3.3 3.3",
    "smaller": "M3.5 8h9",
    "start": "M4.8 3 12.4 8l-7.6 5z",
    "stop": "M4 4h8v8H4z",
    "sun": "M8 5.2a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6zM8 1.6v1M8 13.4v1M1.6 8h1M13.4 8h1"
    "M3.5 3.5l.7.7M11.8 11.8l.7.7M3.5 12.5l.7-.7M11.8 4.2l.7-.7",
    "system": "M2.4 3h11.2v7.6H2.4zM6 13.2h4M8 10.8v2.2",
    "terminal": "m3 4.4 3.6 3.4L3 11.2M8 11.8h5",
}  # fmt: skip

MARKS = {
    "running": '<circle cx="4" cy="4" r="4" fill="currentColor"/>',
    "paused": '<path d="M1 0h2v8H1zM5 0h2v8H5z" fill="currentColor"/>',
    "stopped": '<path d="M0 0h8v8H0z" fill="currentColor"/>',
    "failed": '<path d="M4 0l4 8H0z" fill="currentColor"/>',
    "removed": '<path d="M.7.7h6.6v6.6H.7z" fill="none" stroke="currentColor" stroke-width="1.4"/>',
    "queued": '<circle cx="4" cy="4" r="3" fill="none" stroke="currentColor" stroke-width="2"'
    ' stroke-dasharray="3 1.71"/>',
    "done": '<path d="M.8 4.4 3 6.6 7.4 1.4" fill="none" stroke="currentColor" stroke-width="1.7"/>',
    "cross": '<path d="m1 1 6 6M7 1 1 7" fill="none" stroke="currentColor" stroke-width="1.7"/>',
    "clock": '<circle cx="4" cy="4" r="3.3" fill="none" stroke="currentColor" stroke-width="1.3"/>'
    '<path d="M4 2v2.2l1.4.9" fill="none" stroke="currentColor" stroke-width="1.2"/>',
}


def icon(name: str) -> SafeString:
    """An icon that says nothing to a screen reader: the word beside it does."""
    return format_html(
        '<svg viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.5"'
        ' stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="{}"/></svg>',
        ICONS[name],
    )


def mark(name: str, spin: bool = False) -> SafeString:
    """The small shape before a status word; ``spin`` while something is under way."""
    shape = mark_safe(MARKS[name])  # ours, above
    return format_html(
        '<svg viewBox="0 0 8 8" aria-hidden="true"{}>{}</svg>',
        mark_safe(' class="spin"') if spin else "",
        shape,
    )
