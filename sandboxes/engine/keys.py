"""The keys that end an exec's connection when they are typed, which also say whose exec it is.

The engine insists on such keys, keeps them and gives them back: so they tell our execs from other
hands' and name the marker, whichever process of ours made the exec and however long ago.
"""

from __future__ import annotations

import base64
import binascii

_FIRST = bytes((0x1E, 0x00, 0x1E, 0x1F, 0x1E, 0x00, 0x1E, 0x1D))
"""Eight, so that no pasted file holds them by chance. The engine keeps back what may be their
beginning until the next key, so they begin with one that few programs use (its default: ctrl-P)."""


def detach_keys(marker: str = "") -> str:
    """The keys for an exec with that marker, as the engine wants to be told them."""
    return ",".join([*(f"ctrl-{chr(key + 64)}" for key in _FIRST), *marker])


def is_ours(found: str | None) -> bool:
    """Whether an exec with these keys (as the engine gives them back) was made by us."""
    return _told(found).startswith(detach_keys())


def is_marked(found: str | None, marker: str) -> bool:
    """Whether it was made by us with that marker."""
    return _told(found) == detach_keys(marker)


def marker_of(found: str | None) -> str:
    """The marker it was made with; empty for one without, and for other hands'."""
    return _told(found).removeprefix(detach_keys()).replace(",", "") if is_ours(found) else ""


def _told(found: str | None) -> str:
    """The keys as they were told; the engine gives back the bytes they stand for, in base64."""
    try:
        plain = base64.b64decode(found or "", validate=True)
    except (binascii.Error, ValueError):
        return found or ""
    return (
        detach_keys(plain.removeprefix(_FIRST).decode("ascii", "replace")) if plain.startswith(_FIRST) else ""
    )
