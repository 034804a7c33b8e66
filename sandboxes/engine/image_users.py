"""Who a sandbox runs as, in numbers, and what its working directory was in the image.

The engine looks a name up in the container's own files, again at every start and exec, and a person
may have rewritten those. So names become numbers before the container is made, by the image's files as
a container that never runs has them; ``uid:gid``, for without a group the engine looks that up too.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import Any

from .base import ContainerSpec, EngineError, NotFound, Unsupported
from .connection import CALL, WORK, Connection
from .hardening import HOME, ImageFacts, create_config, is_pinned, spelt_user
from .workspace import first_file, folder, looked_up, needs_folder, owner_of

_LIST_LIMIT = 1 << 20
"""Bytes of a list of users or groups; a larger one is not read."""
_MOST_KNOWN = 1000


class ImageUsers:
    """The part of the Engine that looks into images before their containers are made."""

    connection: Connection
    install: str
    known_users: dict[str, str]
    """``uid:gid`` by image id."""
    known_folders: dict[tuple[str, str], bool]
    """Whether an image, by id, has a folder."""

    def _pinned(self, spec: ContainerSpec, image: ImageFacts) -> ImageFacts:
        """The image with its user in numbers, where that is needed. Raises Unsupported for a root by name."""
        user = spelt_user(spec, image)
        if is_pinned(user):
            return image
        if image.id not in self.known_users:
            self.known_users[image.id] = self._numbers(image, user)
        return replace(image, numbers=self.known_users[image.id])

    def _numbers(self, image: ImageFacts, user: str) -> str:
        with self._unused(image) as native_id:
            lists = self._list(native_id, "/etc/passwd"), self._list(native_id, "/etc/group")
        try:
            return looked_up(user, *lists)
        except LookupError as error:
            sentence = f"The image's user is {error}; an admin must give it another one."
            raise Unsupported(sentence) from error

    def _hand_over(self, native_id: str, spec: ContainerSpec, image: ImageFacts) -> None:
        """Make the working directory the user's where the image has none there; /workspace in any case."""
        if needs_folder(spec, image) and (spec.workdir == HOME or not self._has(image, spec.workdir)):
            with self.connection.control(WORK) as api:
                api.put_archive(native_id, *folder(spec.workdir, owner_of(spec, image)))

    def _has(self, image: ImageFacts, path: str) -> bool:
        """Whether the image itself has something there: that stays whose it is."""
        known, key = self.known_folders, (image.id, path)
        if key not in known:
            if len(known) >= _MOST_KNOWN:
                known.clear()
            with self._unused(image) as native_id:
                known[key] = self._is_there(native_id, path)
        return known[key]

    @contextmanager
    def _unused(self, image: ImageFacts) -> Iterator[str]:
        """A container of the image that is never started, and gone afterwards."""
        spec = throwaway(image.id, workdir="/")
        with self.connection.control(WORK) as api:
            config = create_config(spec, self.install, image, "none")
            native_id = str(api.create_container_from_config(config, f"sandbox-{spec.sandbox_id}")["Id"])
        try:
            yield native_id
        finally:
            with suppress(EngineError), self.connection.control(WORK) as api:
                api.remove_container(native_id, v=True, force=True)

    def _list(self, native_id: str, path: str) -> str | None:
        """A list of the image; None where it is no plain file of a sensible size."""
        with suppress(NotFound), _telling_missing(), self.connection.control(CALL) as api:
            pieces, stat = api.get_archive(native_id, path)
            if stat["size"] > _LIST_LIMIT or stat["linkTarget"]:
                return None
            return first_file(b"".join(pieces))
        return ""

    def _is_there(self, native_id: str, path: str) -> bool:
        with suppress(NotFound), _telling_missing(), self.connection.control(CALL) as api:
            url = api._url("/containers/{0}/archive", native_id)
            with closing(api._get(url, params={"path": path}, stream=True)) as found:
                api._raise_for_status(found)  # what is in it is not wanted
            return True
        return False


def throwaway(image: str, **wishes: Any) -> ContainerSpec:
    """What the product makes for itself for a moment; left over, it is an orphan like any other."""
    name = f"sb_probe{secrets.token_hex(4)}"
    return ContainerSpec(name, image, memory=16 << 20, cpus=0.5, pids=32, **wishes)


@contextmanager
def _telling_missing() -> Iterator[None]:
    """Raises NotFound where the engine says in so many words that the file is not there."""
    try:
        yield
    except EngineError as error:
        if "could not find the file" in error.detail.lower():
            raise NotFound("The image does not have it.", error.detail) from error
        raise
