"""Text that opens doors, kept so that whoever reads the database alone cannot use it.

It is encrypted (Fernet: AES-128-CBC with HMAC-SHA256) under a key made of SANDBOX_SECRET_KEY, which is
not in the database. After that key was changed it reads as empty: then it has to be given anew.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Any

from django.conf import settings
from django.db import models
from django.utils.crypto import salted_hmac

MARK = "sealed1:"
"""What such text begins with in the database; anything else is older and as it was written."""
SALT = "sandboxes.models.sealed"


def _keys() -> Any:
    from cryptography.fernet import Fernet, MultiFernet

    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return MultiFernet(
        [
            Fernet(urlsafe_b64encode(salted_hmac(SALT, "", secret=key, algorithm="sha256").digest()))
            for key in keys
        ]
    )


def seal(text: str) -> str:
    """The text as the database gets it; nothing stays nothing."""
    return f"{MARK}{_keys().encrypt(text.encode()).decode()}" if text else ""


def unseal(text: str) -> str:
    """What was sealed; empty where it cannot be read any more."""
    from cryptography.fernet import InvalidToken

    if not text.startswith(MARK):
        return text
    try:
        return str(_keys().decrypt(text.removeprefix(MARK).encode()).decode())
    except InvalidToken:
        return ""


class SealedField(models.TextField):
    """Text that is sealed on its way into the database; it cannot be searched for."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        return value if value is None else unseal(value)

    def get_prep_value(self, value: Any) -> Any:
        found = super().get_prep_value(value)
        return found if found is None else seal(found)
