"""Another runtime than the engine's usual one, where an image asks for it and the engine offers it.

Experimental: what the product promises of a container was measured with the usual runtime.
"""

from __future__ import annotations

from sandboxes.models import Image, Sandbox

from . import host
from .refusals import Refused

EXPERIMENTAL = "experimental"


def offered() -> tuple[str, ...] | None:
    """What the engine offers beside its usual one; None while it does not answer."""
    found = host.info()
    return None if found is None else found.runtimes


def apply(sandbox: Sandbox, image: Image) -> None:
    """Have it run as its image wants. Raises Refused where the engine is known not to offer that."""
    sandbox.runtime = image.runtime
    known = offered() if image.runtime else None
    if known is not None and image.runtime not in known:
        needs = f"{image.title} needs the runtime {image.runtime}, which the engine does not offer."
        raise Refused("image", f"{needs} Choose another image, or ask an admin.")
