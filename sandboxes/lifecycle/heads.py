"""The signed head of the trail: how long it was at a moment and what its last digest was.

Kept where whoever could change the database cannot reach, it shows a tail that was cut off and a
chain that was made anew. Ed25519: the public key may be handed to anybody, the private one stays in
the data folder (or in SANDBOX_AUDIT_KEY) and is nobody's but the server's.
"""

from __future__ import annotations

import json
import logging
import os
import urllib.request
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from sandboxes.models import Seal

from . import chain

log = logging.getLogger(__name__)

TIMEOUT = 10
Head = dict[str, Any]
SIGNED = ("install", "number", "event_id", "digest", "sealed_at", "made_at")


class Wrong(ValueError):
    """A head that cannot be trusted; ``str`` is a sentence."""


def head() -> Head | None:
    """The head as it is now, signed; None while nothing is sealed."""
    last = Seal.objects.order_by("-number").first()
    if last is None:
        return None
    told: Head = {
        "install": settings.SANDBOX_INSTALL, "number": last.number, "event_id": last.event_id,
        "digest": last.digest, "sealed_at": chain.moment(last.sealed_at),
        "made_at": chain.moment(timezone.now()),
    }  # fmt: skip
    return told | {"key": public_key(), "signature": sign(chain.encode(told).encode())}


def check(told: Head, key: str = "") -> None:
    """Raise Wrong unless this install's key, or the one given (hex), signed it."""
    if not isinstance(told, dict) or not {*SIGNED, "signature"} <= told.keys():
        raise Wrong("This is no head of a trail.")
    text = chain.encode({name: told[name] for name in SIGNED})
    if not is_signed(text.encode(), str(told["signature"]), key or public_key()):
        raise Wrong("The head's signature is not this key's, or the head was changed.")


def compare(told: Head, verdict: Any) -> list[str]:
    """What is wrong with a trail beside an earlier head of it; nothing where it only grew."""
    number, digest = told["number"], told["digest"]
    if number <= verdict.start.number:
        if number == verdict.start.number and digest != verdict.start.digest:
            return [f"The head knows number {number} by another digest than the last prune."]
        return []
    known = Seal.objects.filter(number=number).values_list("digest", flat=True).first()
    if known is None:
        return [f"The trail ends at number {verdict.number}, the head of {told['made_at']} knows {number}."]
    if known != digest:
        return [f"Number {number} has another digest than the head of {told['made_at']} knows."]
    return []


# -- writing it down ----------------------------------------------------------------------------


def write(told: Head, path: Path) -> None:
    """Put it into a file, whole or not at all, and onto the disk."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with open(beside, "w") as file:
        file.write(chain.encode(told) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def read(path: Path) -> Head:
    """The head in a file. Raises Wrong."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Wrong(f"{path} cannot be read: {error}.") from None
    if not isinstance(found, dict):
        raise Wrong(f"{path} is no head of a trail.")
    return found


def post(told: Head, url: str) -> None:
    """Send it to a webhook; raises OSError when that did not take it."""
    body = chain.encode(told).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method="POST")
    with urllib.request.urlopen(request, timeout=TIMEOUT):  # its scheme is checked by settings
        pass


def publish() -> Head | None:
    """To the file and the webhook of the settings; what fails is logged and comes again."""
    told = head()
    if told is None:
        return None
    try:
        if settings.SANDBOX_AUDIT_HEAD_FILE:
            write(told, Path(settings.SANDBOX_AUDIT_HEAD_FILE))
        if settings.SANDBOX_AUDIT_HEAD_URL:
            post(told, settings.SANDBOX_AUDIT_HEAD_URL)
    except OSError as error:
        log.error("The head of the audit trail could not be handed on: %s", error)
    return told


# -- the key ------------------------------------------------------------------------------------


def _key() -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(settings.SANDBOX_AUDIT_KEY))


def public_key() -> str:
    """What anybody may check signatures with, in hex."""
    return str(_key().public_key().public_bytes_raw().hex())


def sign(data: bytes) -> str:
    """This install's signature, in hex."""
    return str(_key().sign(data).hex())


def is_signed(data: bytes, signature: str, key: str) -> bool:
    """Whether whoever has the private half of this key (hex) signed this."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(bytes.fromhex(signature), data)
    except (InvalidSignature, ValueError):
        return False
    return True
