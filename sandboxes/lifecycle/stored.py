"""Which images the engine's disk holds, and who needs them: sandboxes, and what the wings above plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from django.conf import settings
from django.utils.module_loading import import_string

from sandboxes.engine.base import ContainerState, LocalImage
from sandboxes.models import Image, Sandbox

from .asking import Question
from .images import canonical

KEPT = 0.0
"""Seconds for which the engine's lists are believed: they are asked for each page."""
Found = tuple[Sequence[LocalImage], Sequence[ContainerState]]

_found = Question(lambda engine: cast(Found, (engine.images(), engine.list())))


@dataclass(frozen=True)
class Stored:
    """An image on the engine's disk: its name, its size, its title in the catalogue, how many use it.

    ``needs`` says what else needs it: "2 labs".
    """

    name: str
    size: int
    title: str
    used_by: int
    needs: str = ""


def images() -> list[Stored] | None:
    """Largest first; None while the engine does not answer. One with two names is there twice."""
    found = _found.answer(KEPT)
    if found is None:
        return None
    here, states = found
    names = {one.native_id: one.references or (one.native_id[:19],) for one in here}
    titles = {canonical(image.reference): image.title for image in Image.objects.all()}
    used, planned = uses(names, states), needs()
    stored = [
        Stored(name, one.size, titles.get(name, ""), used[name], planned.get(name, ""))
        for one in here for name in names[one.native_id]
    ]  # fmt: skip
    return sorted(stored, key=lambda one: -one.size)


def uses(names: Mapping[str, Sequence[str]], states: Sequence[ContainerState]) -> Counter[str]:
    """How many sandboxes use each name: by the image that a container was made of, which its reference may
    not stand for any more; by the reference where there is no container."""
    made_of = {state.native_id: state.image_id for state in states}
    used: Counter[str] = Counter()
    for native_id, given in Sandbox.objects.present().values_list("native_id", "image_reference"):
        reference, own = canonical(given), names.get(made_of.get(native_id, ""), ())
        used.update([reference] if reference in own or not own else own)
    return used


def needs() -> dict[str, str]:
    """By name, what the wings above need an image for (SANDBOX_IMAGE_RULE)."""
    rule = settings.SANDBOX_IMAGE_RULE
    found: Mapping[str, str] = import_string(rule)() if rule else {}
    return {canonical(reference): what for reference, what in found.items()}
