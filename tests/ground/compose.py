"""As much YAML as compose.yaml is written in, and not a word more: what it does not know it refuses.

Nested maps by indentation, lists of "- " lines, [flow, lists], { flow: maps }, quoted and plain
words, and one level of "&anchor" and "<<: *anchor".
"""

from __future__ import annotations

import json
import re
from typing import Any

Lines = list[tuple[int, str]]
_PAIR = re.compile(r'([\w<.-]+):(?:\s+(.*))?')  # fmt: skip
_FLOW = re.compile(r'"(?:\\.|[^"\\])*"|[^,\s][^,]*')


def parse(text: str) -> dict[str, Any]:
    """The document as maps, lists and strings. Raises ValueError for what is not understood."""
    rows = [row for row in text.splitlines() if row.strip() and not row.lstrip().startswith("#")]
    lines = [(len(row) - len(row.lstrip()), row.strip()) for row in rows]
    anchors: dict[str, Any] = {}
    found = block(lines, anchors)
    if lines or not isinstance(found, dict):
        raise ValueError(f"not understood: {lines[:1]}")
    return found


def block(lines: Lines, anchors: dict[str, Any]) -> Any:
    """The lines at the first one's depth and below it, taken from the front of ``lines``."""
    depth = lines[0][0]
    if lines[0][1].startswith("- "):
        return [scalar(one[2:]) for one in taken(lines, depth) if one.startswith("- ")]
    made: dict[str, Any] = {}
    while lines and lines[0][0] == depth:
        entry(lines, made, anchors)
    if lines and lines[0][0] > depth:
        raise ValueError(f"deeper than expected: {lines[0][1]}")
    return made


def taken(lines: Lines, depth: int) -> list[str]:
    """The lines in a row at this depth."""
    found = []
    while lines and lines[0][0] == depth:
        found.append(lines.pop(0)[1])
    return found


def entry(lines: Lines, made: dict[str, Any], anchors: dict[str, Any]) -> None:
    """One key and what belongs to it."""
    depth, line = lines.pop(0)
    pair = _PAIR.fullmatch(line)
    if pair is None or pair[1] in made:
        raise ValueError(f"no pair, or twice: {line}")
    key, value = pair[1], pair[2] or ""
    if key == "<<":
        made.update({name: one for name, one in anchors[value[1:]].items() if name not in made})
    elif value and not value.startswith("&"):
        made[key] = scalar(value)
    else:
        made[key] = block(lines, anchors) if lines and lines[0][0] > depth else None
        if value:
            anchors[value[1:]] = made[key]


def scalar(text: str) -> Any:
    """A word, a flow list or a flow map; a map's values are words."""
    if text.startswith("["):
        return [scalar(one.strip()) for one in _FLOW.findall(text[1 : text.rindex("]")])]
    if text.startswith("{"):
        pairs = (one.strip().split(": ", 1) for one in text[1 : text.rindex("}")].split(","))
        return {key: scalar(value) for key, value in pairs}
    return json.loads(text) if text.startswith('"') else text
