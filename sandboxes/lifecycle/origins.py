"""Who acts, and from where, as a request or a socket tells it: one reading for every door."""

from __future__ import annotations

import ipaddress
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from .audit import Origin


def of_request(request: HttpRequest, user: Any = None) -> Origin:
    """Of the signed-in person, or of ``user``; nobody's name where nobody is signed in."""
    agent = request.META.get("HTTP_USER_AGENT", "")
    return _of(user or request.user, address(request), agent, getattr(request, "request_id", ""))


def of_scope(scope: Any, user: Any) -> Origin:
    """Of the person behind a socket."""
    client, headers = scope.get("client") or (None,), dict(scope.get("headers", ()))
    agent, told = (headers.get(name, b"").decode("latin-1") for name in (b"user-agent", b"x-forwarded-for"))
    return _of(user, _address(client[0], told), agent, scope.get("request_id", ""))


def _of(user: Any, at: str | None, agent: str, request_id: str) -> Origin:
    if user is None or not user.is_authenticated:
        return Origin("user", address=at, user_agent=agent, request_id=request_id)
    return Origin.of(user, at, user_agent=agent, request_id=request_id)


def address(request: HttpRequest) -> str | None:
    """The address of the other end, or None where there is none (a unix socket)."""
    return _address(request.META.get("REMOTE_ADDR", ""), request.META.get("HTTP_X_FORWARDED_FOR", ""))


def _address(peer: Any, told: str) -> str | None:
    """The peer's; behind SANDBOX_PROXIES proxies of ours, what the first of them wrote down."""
    hops, ours = told.split(",") if told else [], int(settings.SANDBOX_PROXIES)
    text = hops[-ours].strip() if 0 < ours <= len(hops) else peer
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
