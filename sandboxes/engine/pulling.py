"""Reads the stream of a pull: progress per layer, and errors that come inside a good answer.

Source: Docker Engine API v1.41, "Create an image", and the words engines 20.10 to 28 use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .base import EngineError, ImageMissing, NoCapacity, PullProgress

_RULES: tuple[tuple[tuple[str, ...], type[EngineError], str], ...] = (
    (("no space left on device",), NoCapacity, "The host's disk is full."),
    (
        ("toomanyrequests", "rate limit"),
        ImageMissing,
        "The registry wants a pause: too many downloads. Try again later.",
    ),
    (
        ("repository does not exist or may require",),
        ImageMissing,
        "The registry has no such image, or it is private. Check the name.",
    ),
    (
        ("no matching manifest", "does not match the specified platform"),
        ImageMissing,
        "The registry has this image, but not for this kind of machine.",
    ),
    (
        ("manifest unknown", "not found: manifest", "manifest for", "name unknown", "no such image"),
        ImageMissing,
        "The registry has no such image. Check the name and the tag.",
    ),
    (
        ("unauthorized", "authentication required", "no basic auth", "access denied", "denied:"),
        ImageMissing,
        "The registry does not allow this download; it asks for a sign-in.",
    ),
    (
        ("x509", "certificate"),
        ImageMissing,
        "The registry's certificate is not trusted by the engine; an admin must look.",
    ),
    (
        (
            *("dial tcp", "no such host", "proxyconnect", "connection refused", "no route to host"),
            *("network is unreachable", "i/o timeout", "handshake timeout", "name resolution"),
            *("awaiting headers", "waiting for connection"),
        ),
        ImageMissing,
        "The registry cannot be reached; is this machine offline?",
    ),
    (
        (
            *("eof", "verification failed", "connection reset", "short read", "invalid checksum"),
            "byte range",
        ),
        ImageMissing,
        "The download broke off. Try again.",
    ),
    (("invalid reference",), ImageMissing, "That is not a valid image name."),
)


def pull_error(text: str) -> EngineError:
    """Our error for the engine's text about a failed pull."""
    lowered = text.lower()
    for fragments, kind, sentence in _RULES:
        if any(fragment in lowered for fragment in fragments):
            return kind(sentence, text)
    return ImageMissing("The image could not be pulled.", text)


@dataclass
class _Layer:
    word: str
    done: int = 0
    wanted: int = 0


_ARRIVED = ("Verifying Checksum", "Download complete", "Extracting", "Pull complete")


class Pull:
    """Follows one pull. Bytes are those of the download; unpacking moves only the word."""

    def __init__(self) -> None:
        self._layers: dict[str, _Layer] = {}

    def feed(self, message: dict[str, Any]) -> None:
        """Take one message of the stream. Raises our error when it tells of one."""
        problem = message.get("error") or (message.get("errorDetail") or {}).get("message")
        if problem:
            raise pull_error(str(problem))
        layer, word = message.get("id"), str(message.get("status", ""))
        if layer and not word.startswith(("Pulling from", "Digest", "Status")):
            self._note(str(layer), word, message.get("progressDetail") or {})

    def progress(self) -> PullProgress:
        """Where it stands now."""
        layers = {name: (one.word, one.done, one.wanted) for name, one in self._layers.items()}
        done = sum(one.done for one in self._layers.values())
        return PullProgress(done, sum(one.wanted for one in self._layers.values()), layers)

    def _note(self, name: str, word: str, detail: dict[str, Any]) -> None:
        layer = self._layers.setdefault(name, _Layer(word))
        layer.word = word
        current, total = detail.get("current") or 0, detail.get("total") or 0
        if word == "Downloading":
            layer.done = max(layer.done, current)
        layer.wanted = max(layer.wanted, total, layer.done)  # an unknown total is -1 or missing
        if word in _ARRIVED:
            layer.done = layer.wanted
