"""What a page tells operators to type, taken out of the page: a test that runs it cannot drift from it."""

from __future__ import annotations

import re
import shlex
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.M | re.S)
REQUIRED = re.compile(r"\$\{(\w+):\?")
"""A variable that compose does not go without."""


def block(page: str, language: str, has: str) -> str:
    """The one block of a page under docs/ in this language that has these words."""
    text = (ROOT / "docs" / page).read_text()
    found = [
        textwrap.dedent(body) for _, kind, body in _FENCE.findall(text) if kind == language and has in body
    ]
    assert len(found) == 1, f"{len(found)} blocks of {page} have {has!r}"
    return found[0]


def words(page: str, has: str) -> str:
    """The one piece of `code` in a page's sentences that has these words."""
    text = _FENCE.sub("", (ROOT / "docs" / page).read_text())
    found = [one for one in re.findall(r"`([^`\n]+)`", text) if has in one]
    assert len(found) == 1, f"{len(found)} pieces of {page} have {has!r}"
    return found[0]


def changed(text: str, changes: dict[str, str]) -> str:
    """With other names, ports and paths; each of them has to be there."""
    for old, new in changes.items():
        assert old in text, f"{old!r} is not in {text!r}"
        text = text.replace(old, new)
    return text


def environment(line: str) -> dict[str, str]:
    """The variables of a line NAME=value NAME=value."""
    return dict(one.split("=", 1) for one in shlex.split(line))
