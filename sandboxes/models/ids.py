"""Random names for records and markers; nothing of it can be guessed."""

from __future__ import annotations

import secrets

ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # no 0 o 1 l i: ids are read aloud in class


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def sandbox_id() -> str:
    """A new sandbox id: ``sb_`` and 10 random characters (about 49 bits)."""
    return f"sb_{_random(10)}"


def command_id() -> str:
    """A new command id."""
    return f"cmd_{_random(12)}"


def recording_id() -> str:
    """A new recording id, which its file is named by."""
    return f"rec_{_random(12)}"


def marker() -> str:
    """A new marker: what the processes of one command or terminal carry in their environment."""
    return f"m_{_random(20)}"
