"""Sizes and times as people write them, to bytes and seconds and back; knows nothing else."""

from __future__ import annotations

import re

_SIZE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([bkmgt]?)(i?b)?\s*$", re.IGNORECASE)
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(days?|d|hours?|hrs?|h|minutes?|mins?|min|m|seconds?|secs?|s)?")
_POWER = {"": 0, "b": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def parse_size(text: str) -> int:
    """Bytes from ``512m``, ``1.5g``, ``1GiB``; a bare number is bytes. 1k is 1024, as Docker has it.

    Raises ValueError with a sentence for people.
    """
    match = _SIZE.match(text)
    if not match:
        raise ValueError("write a size like 512m, 1.5g or 1GiB")
    number, unit, _ = match.groups()
    return int(float(number) * 1024 ** _POWER[unit.lower()])


def parse_duration(text: str) -> int:
    """Seconds from ``90``, ``15 min``, ``1h 30m``, ``2 hours``; a bare number is minutes.

    Raises ValueError with a sentence for people.
    """
    cleaned = text.strip().lower()
    parts = _TIME.findall(cleaned)
    if not parts or _TIME.sub("", cleaned).strip(" ,"):
        raise ValueError("write a time like 45 min, 2 hours or 1h 30m")
    return int(sum(float(number) * _SECONDS[(unit or "m")[0]] for number, unit in parts))


def write_size(count: int) -> str:
    """A text that ``parse_size`` reads as exactly these bytes: ``512 MB``, ``1536 MB``, ``1000 B``."""
    found = [(name, 1024**power) for name, power in (("GB", 3), ("MB", 2), ("kB", 1))]
    name, unit = next((one for one in found if count and count % one[1] == 0), ("B", 1))
    return f"{count // unit} {name}"


def write_duration(seconds: int) -> str:
    """A text that ``parse_duration`` reads as exactly these seconds: ``1 h``, ``90 min``, ``75 s``, ``0``."""
    if not seconds:
        return "0"
    name, unit = next(one for one in (("h", 3600), ("min", 60), ("s", 1)) if seconds % one[1] == 0)
    return f"{seconds // unit} {name}"


def format_size(count: float | None) -> str:
    """``512 MB`` from bytes, in steps of 1024; whole numbers, one decimal from GB up; "–" for None."""
    if count is None:
        return "–"
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1024 or unit == "TB":
            break
        value /= 1024
    text = f"{value:.1f}" if unit in {"GB", "TB"} else f"{value:.0f}"
    return f"{text.removesuffix('.0')} {unit}"


def format_duration(seconds: float) -> str:
    """``18 min``, ``1 h 5 min``, ``40 s``: the two largest units that matter."""
    whole = max(int(seconds), 0)
    if whole < 90:
        return f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    if hours == 0:
        return f"{minutes} min"
    if hours >= 48:
        return f"{hours // 24} days"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
