"""Ids and codes of teaching's records: short enough to be read aloud, too long to be guessed."""

from __future__ import annotations

import secrets

from sandboxes.models.ids import ALPHABET


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def course_id() -> str:
    """A new course's id."""
    return f"crs_{_random(10)}"


def template_id() -> str:
    """A new lab template's id."""
    return f"tpl_{_random(10)}"


def lab_id() -> str:
    """A new lab's id."""
    return f"lab_{_random(10)}"


def seat_id() -> str:
    """A new seat's id."""
    return f"seat_{_random(10)}"


def invite() -> str:
    """The secret of an invite link (about 157 bits)."""
    return _random(32)


def join_code() -> str:
    """A class code for the projector: 8 characters (about 39 bits), shown as two groups of four."""
    return _random(8)
