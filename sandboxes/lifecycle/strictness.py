"""How closed a sandbox is, where more than one word is said about it: the stricter holds."""

from __future__ import annotations

from sandboxes.engine.hardening import temporary_size, workspace_size
from sandboxes.models import Image, Isolation, Network, Sandbox
from sandboxes.units import format_size

from .refusals import Refused

NO_NETWORK = "A strict sandbox has no network. Choose none."


def of(image: Image, asked: str | None) -> Isolation:
    """What holds for a launch of this image. Raises Refused for a word that is none of ours."""
    if asked and asked not in Isolation.values:
        raise Refused("isolation", "Choose standard or strict.")
    return Isolation.STRICT if Isolation.STRICT in (image.isolation, asked) else Isolation.STANDARD


def apply(sandbox: Sandbox, asked: str | None) -> None:
    """Close a sandbox to be as much as its image and its launch want. Raises Refused."""
    image = sandbox.image
    assert image is not None
    sandbox.isolation = of(image, asked)
    if sandbox.is_strict and sandbox.network != Network.NONE:
        raise Refused("network", NO_NETWORK)
    sandbox.runs_as_root = image.runs_as_root and not sandbox.is_strict
    sandbox.disk = image.disk


def told(sandbox: Sandbox) -> str:
    """What a strict sandbox's people have to know about their files; empty for a standard one."""
    if not sandbox.is_strict:
        return ""
    room = f"up to {format_size(workspace_size(sandbox.memory))} in {sandbox.workdir}"
    return f"{room} and {format_size(temporary_size(sandbox.memory))} in /tmp, in memory; gone when it stops"
