"""A brake on guessing passwords: by name and address, by address, and by name, each with a wait.

Who guesses from many addresses must not lock anybody out: a browser in which somebody has signed in
before is counted by itself, for that name. Counts are of ten minutes, and of all web processes.
"""

from __future__ import annotations

import unicodedata

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare, salted_hmac

from sandboxes.lifecycle import brakes

from .web import address

TRIES, OF_NAME, OF_ADDRESS, WITHIN = 10, 50, 300, 600
"""Wrong ones of a name at an address or in a known browser, of a name, of an address; in so many seconds."""
COOKIE, SALT, LASTS = "known", "sandboxes.views.throttle", 90 * 24 * 3600


def take(request: HttpRequest) -> int:
    """Count this try before it is looked at; gives the seconds to wait, 0 where it may be.

    Counted first, so that many at once are no more than one after the other.
    """
    counted = [(brakes.add(key, WITHIN), most) for key, most in _keys(request).items()]
    return WITHIN if any(count > most for count, most in counted) else 0


def give_back(request: HttpRequest) -> None:
    """It was the right one: their own count begins anew, and it counts in no other."""
    own, *others = _keys(request)
    brakes.forget(own)
    for key in others:
        brakes.add(key, WITHIN, -1)


def remember(request: HttpRequest, response: HttpResponse, name: str) -> HttpResponse:
    """Know this browser again as one in which this person signed in."""
    response.set_signed_cookie(COOKIE, _digest(name.casefold()), salt=SALT, max_age=LASTS, httponly=True,
                               samesite="Lax", secure=settings.SESSION_COOKIE_SECURE)  # fmt: skip
    return response


def _keys(request: HttpRequest) -> dict[str, int]:
    """The counts that a try goes into, with the most of each; their own is the first."""
    name = _name(request.POST.get("username", ""))
    kept, known = _digest(name), request.get_signed_cookie(COOKIE, default="", salt=SALT, max_age=LASTS)
    if constant_time_compare(kept, known or ""):
        return {f"sign-in:{kept}:known": TRIES}
    place = address(request)
    return {f"sign-in:{kept}:{place}": TRIES, f"sign-in:{kept}": OF_NAME, f"sign-in:at:{place}": OF_ADDRESS}


def _name(typed: str) -> str:
    """Whose name it is, as the form reads it: however it is spelt, it is one account's."""
    return unicodedata.normalize("NFKC", typed.strip())[:150].casefold()


def _digest(name: str) -> str:
    """What stands for a name: people type passwords there."""
    return salted_hmac(SALT, name.encode("utf-8", "replace"), algorithm="sha256").hexdigest()
