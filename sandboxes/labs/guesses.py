"""The brake on guessing class codes: by device, so that one of a class does not keep the others out.

A device is an account, or a browser that has the cookie of the page with the code's field. Ten wrong
codes a minute, and it has to wait; a right one from another device is taken all the same. Where far
more come from one address, or from everywhere, new browsers get no cookie for a while: those, and
whatever keeps none, count as one device of their address.
"""

from __future__ import annotations

import secrets

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from sandboxes.lifecycle import brakes
from sandboxes.lifecycle.refusals import Refused
from sandboxes.views.web import address

MOST, MOST_OF_ADDRESS, MOST_OF_ALL, WITHIN = 10, 300, 3000, 60
"""Wrong codes of one device, of one address, and of all, in so many seconds."""
COOKIE, SALT, LASTS = "visitor", "sandboxes.labs.guesses", 24 * 3600
SLOW = Refused("code", "Too many wrong codes. Wait a minute, then try again.")


def device(request: HttpRequest) -> str:
    """Who types codes."""
    if request.user.is_authenticated:
        return f"user-{request.user.pk}"
    known = request.get_signed_cookie(COOKIE, default="", salt=SALT, max_age=LASTS)
    return f"visitor-{known}" if known else f"address-{address(request)}"


def is_braked(request: HttpRequest) -> bool:
    """Whether this device has to wait, whatever it types."""
    return brakes.known(f"join:{device(request)}") >= MOST


def is_crowded(request: HttpRequest) -> bool:
    """Whether so many wrong codes come from this address, or from everywhere, that no class types them."""
    here, all_of_them = brakes.known(f"join:at-{address(request)}"), brakes.known("join:all")
    return here >= MOST_OF_ADDRESS or all_of_them >= MOST_OF_ALL


def count(request: HttpRequest) -> None:
    """One wrong code."""
    for key in (f"join:{device(request)}", f"join:at-{address(request)}", "join:all"):
        brakes.add(key, WITHIN)


def remember(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Let a new browser be known again."""
    if device(request).startswith("address-") and not is_crowded(request):
        response.set_signed_cookie(COOKIE, secrets.token_hex(12), salt=SALT, max_age=LASTS, httponly=True,
                                   samesite="Lax", secure=settings.SECURE)  # fmt: skip
    return response
