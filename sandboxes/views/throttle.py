"""A brake on guessing passwords: ten wrong ones a name and address in ten minutes, then a wait."""

from __future__ import annotations

import hashlib

from django.core.cache import cache
from django.http import HttpRequest

from .web import address

TRIES = 10
WITHIN = 600


def key(request: HttpRequest) -> str:
    """Name and address together, so that nobody can lock somebody else out from elsewhere."""
    name = request.POST.get("username", "")[:150].casefold()
    digest = hashlib.sha256(f"{name}\n{address(request)}".encode("utf-8", "replace")).hexdigest()
    return f"sign-in:{digest}"


def wait(request: HttpRequest) -> int:
    """Seconds this person has to wait before the next try counts; 0: none."""
    return WITHIN if cache.get(key(request), 0) >= TRIES else 0


def count(request: HttpRequest) -> None:
    """One wrong try."""
    cache.add(key(request), 0, WITHIN)
    cache.incr(key(request))


def forget(request: HttpRequest) -> None:
    """They are in."""
    cache.delete(key(request))
