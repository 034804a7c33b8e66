"""Text as it may stand on record: what cannot be seen is written as its number, lengths are bounded.

A terminal, a log viewer or a web page that shows such text does nothing but show it.
"""

from __future__ import annotations

import math
from typing import Any

BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters without a shape, which Python calls printable."""
DEPTH = 4
ITEMS = 200


def text(value: Any, most: int) -> str:
    """One line of visible characters, ``most`` at most.

    Controls, bidi overrides, zero-width marks, odd spaces and lone surrogates become ``\\u202e``;
    a backslash stays what it is.
    """
    told = str(value)
    if not told.isascii() or not told.isprintable():
        told = "".join(map(_shown, told[:most]))
    return told if len(told) <= most else f"{told[: most - 1]}…"


def _shown(one: str) -> str:
    if one.isprintable() and one not in BLANK:
        return one
    code = ord(one)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def data(value: Any, most: int = 300, depth: int = DEPTH) -> Any:
    """JSON data with every text in it escaped, keys too, so many levels deep and items wide.

    Whole numbers, yes and no stay; other numbers are rounded so that every database gives them back
    as they were. Anything else becomes text.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) and abs(value) < 1e12 else text(value, most)
    if isinstance(value, dict) and depth:
        return {text(key, 80): data(one, most, depth - 1) for key, one in list(value.items())[:ITEMS]}
    if isinstance(value, list | tuple | set | frozenset) and depth:
        return [data(one, most, depth - 1) for one in list(value)[:ITEMS]]
    return text(value, most)
