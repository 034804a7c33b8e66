"""Writes docs/reference/events.md from the registry of action words: `python -m scripts.events_page`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs/reference/events.md"
HEAD = """# Events

Every action word that the audit trail knows, made from the code by `python -m scripts.events_page`.
How the trail is kept is in [the audit trail](audit.md).

The sentence is that of an act that went well; asked for, refused and failed ones are told as
"asked to", "asked to ... and was refused", "could not"; a command that failed as what became of it.
The detail may hold further keys: `field`
(the input at fault), `path` (what was asked for), `left_out` (how many like it were not written).
"""
SECTIONS = {
    "sandbox": "Sandboxes", "command": "Commands", "terminal": "Terminals", "recording": "Recordings",
    "image": "Images", "user": "People", "group": "Groups", "audit": "The trail itself",
    "settings": "The server", "engine": "By another hand", "course": "Courses", "roster": "Rosters",
    "template": "Lab templates", "lab": "Labs", "seat": "Seats", "hand": "Raised hands",
}  # fmt: skip


def page() -> str:
    """The whole page."""
    from sandboxes.lifecycle.event_words import words

    groups: dict[str, list[str]] = {}
    for word in words().values():
        noun = word.action.partition(".")[0]
        detail = "; ".join(f"`{key}`: {told}" if told else f"`{key}`" for key, told in word.detail.items())
        row = f"| `{word.action}` | {sentence(word.alone or word.done)} | {word.meaning} | {detail} |"
        groups.setdefault(SECTIONS.get(noun, "Others"), []).append(row)
    return HEAD + "".join(_sections(groups))


def _sections(groups: dict[str, list[str]]) -> Iterator[str]:
    for title in [*SECTIONS.values(), "Others"]:
        if title in groups:
            rows = "\n".join(sorted(groups[title]))
            yield f"\n## {title}\n| action | sentence | recorded | detail |\n|---|---|---|---|\n{rows}\n"


def sentence(text: str) -> str:
    """The template with its slots in italics."""
    return text.replace("{", "*").replace("}", "*")


def main() -> None:
    """Write it."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sandboxes.settings")
    import django

    django.setup()
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
