"""One signed HTTP POST to a checked address: no redirect, no proxy, and time and bytes have an end."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import socket
import ssl
import threading
import time
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from sandboxes.lifecycle import escaping
from sandboxes.models.webhook import PREFIX

from . import addresses

CONNECT = 5.0
"""Seconds to connect, TLS included for each step of it; ``WHOLE`` for everything together."""
WHOLE = 10.0
SHOWN = 200
READ = 4096
DOWN = frozenset({408, 429, 500, 502, 503, 504})
"""Answers that say something of the receiver and nothing of this one post."""


@dataclass(frozen=True)
class Target:
    """A URL's parts, as they are connected to."""

    scheme: str
    host: str
    port: int
    path: str


@dataclass(frozen=True)
class Answer:
    """What came of a post. ``status`` None: no answer; ``error`` says why it does not count, else empty.

    ``text`` is the beginning of what the receiver said, ``duration`` milliseconds, ``wait`` the seconds
    it asked us to wait.
    """

    status: int | None = None
    text: str = ""
    error: str = ""
    duration: int = 0
    wait: int = 0

    @property
    def went_well(self) -> bool:
        return not self.error

    @property
    def is_down(self) -> bool:
        """Whether the next post would fare no better just now."""
        return not self.went_well and (self.status is None or self.status in DOWN)


def target(url: str) -> Target:
    """The parts of a URL. Raises ValueError with a sentence."""
    parts = urlsplit(url.strip())
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise ValueError("The port must be a number.") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError("A webhook's URL starts with https:// or http://.")
    if not parts.hostname or "@" in parts.netloc:
        raise ValueError("A webhook's URL names a host, and no user.")
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
    return Target(parts.scheme, parts.hostname, port, f"{path}?{query}" if query else path)


def signed(secret: str, name: str, body: bytes, at: int) -> dict[str, str]:
    """The headers of one post: its name, when it was sent, and HMAC-SHA256 over both and the body."""
    said = f"{name}.{at}.".encode() + body
    digest = hmac.new(_key(secret), said, hashlib.sha256).digest()
    return {
        "webhook-id": name, "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{b64encode(digest).decode()}",
        "content-type": "application/json", "user-agent": "sandboxes-webhook/1", "connection": "close",
    }  # fmt: skip


def _key(secret: str) -> bytes:
    """What is behind the prefix as base64, as receivers' libraries read it; else the secret itself."""
    if secret.startswith(PREFIX):
        with contextlib.suppress(NotBase64):
            return b64decode(secret.removeprefix(PREFIX), validate=True)
    return secret.encode()


def post(url: str, secret: str, name: str, body: bytes) -> Answer:
    """Post it, and say what came of it; never raises. ``name`` is the same at every attempt."""
    began = time.monotonic()
    try:
        answer = _posted(target(url), body, signed(secret, name, body, int(time.time())))
    except (addresses.Refused, ValueError) as error:
        answer = Answer(error=str(error))
    except Exception as error:
        answer = Answer(error=_reason(error))
    took = round((time.monotonic() - began) * 1000)
    return Answer(answer.status, answer.text, escaping.text(answer.error, SHOWN), took, answer.wait)


def _posted(to: Target, body: bytes, headers: dict[str, str]) -> Answer:
    known = addresses.resolve(to.host, to.port)
    connection = (_Secure if to.scheme == "https" else _Plain)(to, known)
    alarm = threading.Timer(WHOLE, connection.cut)
    alarm.daemon = True
    alarm.start()
    try:
        connection.request("POST", to.path, body, headers)
        return _answer(connection.getresponse())
    except Exception as error:
        if connection.is_cut:
            raise TimeoutError from error
        raise
    finally:
        alarm.cancel()
        connection.close()


def _answer(response: http.client.HTTPResponse) -> Answer:
    text = escaping.text(response.read(READ).decode("utf-8", "replace"), SHOWN)
    wait = response.headers.get("retry-after", "")
    seconds = min(int(wait), 3600) if wait.isascii() and wait.isdigit() and len(wait) < 9 else 0
    return Answer(response.status, text, _complaint(response.status), wait=seconds)


def _complaint(status: int) -> str:
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return "It answered with a redirect, and redirects are not followed."
    return f"It answered {status}."


def _reason(error: Exception) -> str:
    """Why there was no answer, in words of ours: errors name addresses and files."""
    if isinstance(error, TimeoutError):
        return "It did not answer in time."
    if isinstance(error, socket.gaierror):
        return "Its host name leads nowhere."
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"Its certificate is not good: {error.verify_message}."
    if isinstance(error, ssl.SSLError):
        return "It does not speak TLS as we do."
    if isinstance(error, ConnectionError | OSError):
        return "It cannot be reached."
    return "It answered with something else than HTTP."


class _Plain(http.client.HTTPConnection):
    """Connects to an address that was checked, whatever the name leads to by now."""

    def __init__(self, to: Target, known: list[str]) -> None:
        super().__init__(to.host, to.port, timeout=CONNECT)
        self.known = known
        self.is_cut = False

    def connect(self) -> None:
        self.sock = self._open()

    def _open(self) -> socket.socket:
        error: OSError = OSError("no address")
        for one in self.known:
            if self.is_cut:
                raise TimeoutError
            try:
                return socket.create_connection((one, self.port), timeout=CONNECT)
            except OSError as found:
                error = found
        raise error

    def cut(self) -> None:
        """Time is up: whatever is being waited for ends now."""
        self.is_cut = True
        held: Any = self.sock
        if held is not None:
            with contextlib.suppress(OSError):  # it has ended by itself
                held.shutdown(socket.SHUT_RDWR)


class _Secure(_Plain):
    """The same with TLS; the certificate has to be the name's."""

    default_port = 443

    def connect(self) -> None:
        self.sock = self._open()
        self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)
