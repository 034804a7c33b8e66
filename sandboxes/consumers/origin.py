"""Sockets are for our own pages only: same scheme, host and port, or an origin the operator trusts.

Cookies ignore ports and sockets ignore the same-origin policy, so a page that a sandbox serves on
another port of this host could open its visitor's terminals. Channels' own validator compares host
names only.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from channels.db import database_sync_to_async
from django.conf import settings
from django.http.request import split_domain_port, validate_host
from django.utils.http import is_same_domain

from sandboxes.lifecycle import origins, refusals
from sandboxes.lifecycle.refusals import Refused

_PORTS = {"http": 80, "https": 443}
Place = tuple[str, str, int]


class OwnOrigin:
    """ASGI wrapper: closes a foreign socket before it is accepted, which is answered with 403.

    It stands behind the one that knows the visitor: the refusal is on record under whose browser it was.
    """

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if is_ours(scope):
            await self.application(scope, receive, send)
        else:
            await send({"type": "websocket.close"})
            await database_sync_to_async(note_foreign)(scope)


def note_foreign(scope: dict[str, Any]) -> None:
    """Put a socket that a foreign page wanted to open on record."""
    told = _text(dict(scope["headers"]).get(b"origin"))[:120] or "none"
    refusal = Refused("origin", f"A page of another origin wanted to open it: {told}")
    who = origins.of_scope(scope, scope.get("user"))
    refusals.note("socket.open", who, refusal, path=str(scope.get("path", ""))[:200])


def is_ours(scope: dict[str, Any]) -> bool:
    """Whether a page of ours opens this socket. Without an Origin header it is no page at all."""
    headers = dict(scope["headers"])  # the last one of a name, as proxies append
    origin, host = _text(headers.get(b"origin")), _text(headers.get(b"host"))
    theirs = place(origin)
    if theirs is None:
        return False
    if is_trusted(origin):
        return True
    domain = split_domain_port(host)[0]
    return theirs == place(f"{scheme(scope)}://{host}") and validate_host(domain, settings.ALLOWED_HOSTS)


def scheme(scope: dict[str, Any]) -> str:
    """http or https, as the visitor's browser sees us; behind a proxy it says so."""
    if settings.SECURE:
        told = _text(dict(scope["headers"]).get(b"x-forwarded-proto"))
        if told:
            return "https" if told in ("https", "wss") else "http"
    return "https" if scope.get("scheme") == "wss" else "http"


def place(url: str) -> Place | None:
    """Scheme, host and port of an origin, or None when it is not one."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    extra = parts.path or parts.query or parts.fragment or parts.username or parts.password
    if extra or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port


def is_trusted(origin: str) -> bool:
    """Whether it is in CSRF_TRUSTED_ORIGINS; ``https://*.example.org`` means every subdomain."""
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    parts = urlsplit(origin)
    wild = (urlsplit(each) for each in settings.CSRF_TRUSTED_ORIGINS if "*" in each)
    return any(
        each.scheme == parts.scheme and is_same_domain(parts.netloc, each.netloc.lstrip("*")) for each in wild
    )


def _text(value: bytes | None) -> str:
    return (value or b"").decode("latin-1").strip()
