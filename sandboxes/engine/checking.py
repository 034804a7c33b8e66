"""Looks whether what runs is still what was asked for, and whose. Changes nothing."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace

from .base import ContainerSpec, NotFound
from .containers import Containers
from .hardening import CHANGEABLE, ImageFacts, changes, create_config, differences, is_pinned, number_of
from .keys import marker_of
from .sweeping import Sweeping


class Checking(Containers, Sweeping):
    """The part of the Engine that a check of the whole install asks."""

    def differences(self, native_id: str, spec: ContainerSpec) -> list[str]:
        """By the image that the container was made of: its name may stand for another one by now."""
        with self.connection.control(reading=True) as api:
            made = api.inspect_container(native_id)
            image = _as_made(
                ImageFacts.of(api.inspect_image(made["Image"])), made["Config"].get("User") or ""
            )
            config = create_config(spec, self.install, image, self.network)
            found = differences(config, made)
            if any("MemorySwap" in one for one in found):
                found = differences(config, made, swap_limit=api.info().get("SwapLimit", True))
            return found

    def changes(self, native_id: str, spec: ContainerSpec) -> list[str]:
        with self.connection.control(reading=True) as api:
            made = api.inspect_container(native_id)
            found = changes(spec, made, self.network)
            if CHANGEABLE["MemorySwap"] in found:
                found = changes(spec, made, self.network, swap_limit=api.info().get("SwapLimit", True))
            return found

    def unowned(self, native_id: str, markers: Collection[str]) -> int:
        """Execs that ended meanwhile, or were made without a marker (our own short ones), do not count."""
        found = 0
        with self.connection.control(reading=True) as api:
            for exec_id in api.inspect_container(native_id)["ExecIDs"] or ():
                with suppress(NotFound):
                    facts = api.exec_inspect(exec_id)
                    marker = marker_of(facts.get("DetachKeys")) if facts["Running"] else ""
                    found += bool(marker) and marker not in markers
        return found


def _as_made(image: ImageFacts, user: str | None) -> ImageFacts:
    """The image's user looked up as it was when the container was made: numbers, and not root's."""
    if user and is_pinned(user) and number_of(user.partition(":")[0]) != 0:
        return replace(image, numbers=user)
    return image
