"""Creating, changing, describing and removing containers."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from .base import (
    LABEL_ID,
    LABEL_INSTALL,
    Conflict,
    ContainerSpec,
    ContainerState,
    ContainerStatus,
    EngineError,
    ImageMissing,
    Mismatch,
    NotFound,
    TimedOut,
    Unreachable,
)
from .connection import CALL, WORK, Connection
from .exec_stream import wait_for_start
from .hardening import ImageFacts, create_config, differences
from .image_users import ImageUsers
from .starts import Starts
from .translate import listed, state
from .wire import Wires, meanwhile

Raw = dict[str, Any]
NETWORK = "sandboxes"
BRIDGE = "sbx0"
OTHERS = 0.5
"""Seconds for which a pause waits for a program that another process may never begin."""
_OVER = (ContainerStatus.CREATED, ContainerStatus.EXITED, ContainerStatus.DEAD)
_ALIVE = (ContainerStatus.RUNNING, ContainerStatus.PAUSED)


class Moved(EngineError):
    """A reference means another image than it did."""


class Containers(ImageUsers):
    """The part of the Engine that is about whole containers."""

    connection: Connection
    wires: Wires
    starts: Starts
    network: str
    known_images: dict[str, ImageFacts]
    """By reference; see ``_remember``."""

    def create(self, spec: ContainerSpec) -> str:
        known = self.known_images.get(spec.image)
        if known is not None:
            with suppress(Moved, ImageMissing):
                return self._create(spec, known, is_sure=False)
        return self._create(spec, self._image_facts(spec.image))

    def _create(self, spec: ContainerSpec, image: ImageFacts, is_sure: bool = True) -> str:
        """Raises Moved, and nothing stays, where the image is another by now than one that is not sure."""
        image = self._pinned(spec, image)
        config = create_config(spec, self.install, image, self.network)
        if spec.network != "none":
            self._ensure_network()
        native_id, is_new = self._create_or_take_over(spec, config)
        try:
            if not is_new:  # by an earlier attempt, who may have known another image
                image, is_sure = self._pinned(spec, self._image_of(native_id) or image), True
                config = create_config(spec, self.install, image, self.network)
            made_of = self._compare(native_id, config)
            self._remember(spec.image, image, made_of, is_sure)
            self._hand_over(native_id, spec, image)
        except Unreachable:  # concludes nothing: the next attempt takes it over
            raise
        except EngineError:
            self._discard(native_id)
            raise
        return native_id

    def start(self, native_id: str) -> None:
        with self.connection.control(WORK) as api:
            api.start(native_id)

    def stop(self, native_id: str, grace: int = 2) -> None:
        again = partial(self._terminate, native_id)  # init may have been too young for the first
        with meanwhile(0.3, again), self._ending(native_id, WORK + grace) as api:
            api.stop(native_id, timeout=grace)

    def pause(self, native_id: str) -> None:
        """Never while a program is being started (see ``starts``): 1. let none begin 2. wait for those of
        this process, and for others that the engine knows 3. ask about the container, which waits in the
        engine for what begins 4. pause."""
        with self.starts.pausing(native_id) as begun:
            for exec_id in begun:
                wait_for_start(self.connection, exec_id)
            for exec_id in self._exec_ids(native_id) - set(begun):
                wait_for_start(self.connection, exec_id, OTHERS)
            self.inspect(native_id)
            self._toggle(native_id, "pause", ContainerStatus.PAUSED)

    def _exec_ids(self, native_id: str) -> set[str]:
        """Whose programs run or are to begin; whose process died before it began it stays for a while."""
        with self.connection.control(reading=True) as api:
            return set(api.inspect_container(native_id).get("ExecIDs") or ())

    def resume(self, native_id: str) -> None:
        self._toggle(native_id, "unpause", ContainerStatus.RUNNING)

    def remove(self, native_id: str) -> None:
        try:
            with self._ending(native_id, WORK) as api:
                api.remove_container(native_id, v=True, force=True)
        except NotFound:
            return
        except Conflict:  # somebody else is at it
            self._wait_until_gone(native_id)

    def inspect(self, native_id: str) -> ContainerState:
        with self.connection.control(reading=True) as api:
            return state(api.inspect_container(native_id))

    def list(self) -> Sequence[ContainerState]:
        wanted = {"label": f"{LABEL_INSTALL}={self.install}"}
        with self.connection.control(reading=True) as api:
            return [listed(entry) for entry in api.containers(all=True, filters=wanted)]

    def disk_use(self, stopped: bool = False) -> Mapping[str, int]:
        wanted = {"label": f"{LABEL_INSTALL}={self.install}"}
        with self.connection.control(WORK, reading=True) as api:
            found = api.containers(all=stopped, filters=wanted, size=True)
        return {entry["Id"]: entry.get("SizeRw") or 0 for entry in found}

    def disk_use_of(self, native_id: str, seconds: float) -> int:
        try:
            with self.connection.control(seconds, reading=True) as api:
                url = api._url("/containers/{0}/json", native_id)
                return int(api._result(api._get(url, params={"size": True}), True).get("SizeRw") or 0)
        except TimedOut:
            self._answers(native_id)
            raise

    def _answers(self, native_id: str) -> None:
        """Raises Unreachable, and not TimedOut, where it is the engine that is slow."""
        try:
            self.inspect(native_id)
        except TimedOut as error:
            raise Unreachable(str(error), error.detail) from error

    # -- create, step by step -----------------------------------------------------------------

    def _image_facts(self, reference: str) -> ImageFacts:
        with self.connection.control(reading=True) as api:
            return ImageFacts.of(api.inspect_image(reference))

    def _image_of(self, native_id: str) -> ImageFacts | None:
        """Of the image that a container was made of; None where that has been removed."""
        with suppress(ImageMissing), self.connection.control(reading=True) as api:
            return ImageFacts.of(api.inspect_image(api.inspect_container(native_id)["Image"]))
        return None

    def _create_or_take_over(self, spec: ContainerSpec, config: Raw) -> tuple[str, bool]:
        """Its native id, and whether it is new. A name in use is ours already, or will be: the engine takes
        the name before the rest."""
        name, end = f"sandbox-{spec.sandbox_id}", time.monotonic() + CALL
        while True:
            try:
                return self._create_new(name, config), True
            except Conflict:
                if time.monotonic() > end:
                    raise
            with suppress(NotFound):
                return self._own(name, spec.sandbox_id), False
            time.sleep(0.02)

    def _create_new(self, name: str, config: Raw) -> str:
        with self.connection.control(WORK) as api:
            return str(api.create_container_from_config(config, name)["Id"])

    def _own(self, name: str, sandbox_id: str) -> str:
        """The native id of our container of that name. Raises Conflict when it is not ours."""
        with self.connection.control(reading=True) as api:
            found = api.inspect_container(name)
            labels = found["Config"].get("Labels") or {}
            if (labels.get(LABEL_ID), labels.get(LABEL_INSTALL)) != (sandbox_id, self.install):
                raise Conflict("A container of that name exists, and it is not ours.", name)
            return str(found["Id"])

    def _remember(self, reference: str, image: ImageFacts, made_of: str, is_sure: bool) -> None:
        """What is known of an image is believed until a container turns out to be of another one."""
        if image.id and made_of == image.id:
            self.known_images[reference] = image
        elif not is_sure:
            self.known_images.pop(reference, None)
            raise Moved("The image has become another one.", reference)

    def _compare(self, native_id: str, config: Raw) -> str:
        """The id of the image it was made of. Raises Mismatch where a knob is not as asked."""
        with self.connection.control(reading=True) as api:
            made = api.inspect_container(native_id)
            found = differences(config, made)
            if found and any("MemorySwap" in one for one in found):
                found = differences(config, made, swap_limit=api.info().get("SwapLimit", True))
        if found:
            sentence = "The engine made a container that differs from what was asked."
            raise Mismatch(sentence, "; ".join(found))
        return str(made.get("Image"))

    def _discard(self, native_id: str) -> None:
        """Remove what must not stay; a second failure must not hide the first."""
        try:
            self.remove(native_id)
        except EngineError:
            return

    # -- the network ----------------------------------------------------------------------------

    def _ensure_network(self) -> None:
        """Our one bridge, on which sandboxes do not see each other."""
        try:
            self._check_network()
        except NotFound:
            self._make_network()
            self._check_network()

    def _check_network(self) -> None:
        with self.connection.control(reading=True) as api:
            found = next(
                (one for one in api.networks(names=[self.network]) if one["Name"] == self.network),
                None,
            )
        if found is None:
            raise NotFound("The network does not exist.")
        options = found.get("Options") or {}
        if found["Driver"] != "bridge" or options.get(_ICC) != "false":
            sentence = "The network for sandboxes does not keep them apart; an admin must look."
            raise Mismatch(sentence, f"{self.network}: {found['Driver']} {options}")

    def _make_network(self) -> None:
        options = {_BRIDGE_NAME: bridge_name(self.network), _ICC: "false", _MASQUERADE: "true"}
        labels = {LABEL_INSTALL: self.install}
        try:
            with self.connection.control(WORK) as api:
                api.create_network(self.network, "bridge", options, check_duplicate=True, labels=labels)
        except EngineError as error:  # lost a race: then it is there now
            self._made_by_another(error)

    def _made_by_another(self, error: EngineError) -> None:
        try:
            self._check_network()
        except NotFound:
            raise error from None

    # -- smaller steps ----------------------------------------------------------------------------

    @contextmanager
    def _ending(self, native_id: str, seconds: float) -> Iterator[Any]:
        """The client for a call that ends the container, which unread output must not delay."""
        cut = partial(self.wires.cut, native_id)
        with meanwhile(1, cut), self.connection.control(seconds) as api:
            yield api

    def _terminate(self, native_id: str) -> None:
        with suppress(EngineError), self.connection.control() as api:
            api.kill(native_id, signal="SIGTERM")

    def _toggle(self, native_id: str, verb: str, wanted: ContainerStatus) -> None:
        """Pause or unpause; being there already is success, whatever the engine calls it."""
        try:
            with self.connection.control(CALL) as api:
                getattr(api, verb)(native_id)
        except Unreachable:
            raise
        except EngineError as error:
            status = self._settled(native_id, wanted)
            if status is wanted:
                return
            if status not in _ALIVE:
                raise Conflict("The sandbox is not running.", error.detail) from error
            raise

    def _settled(self, native_id: str, wanted: ContainerStatus) -> ContainerStatus:
        """Its status; one that just ended by another hand may be shown as running for a moment."""
        for _ in range(3):
            status = self.inspect(native_id).status
            if status in (wanted, *_OVER):
                break
            time.sleep(0.05)
        return status

    def _wait_until_gone(self, native_id: str) -> None:
        end = time.monotonic() + WORK
        while time.monotonic() < end:
            try:
                self.inspect(native_id)
            except NotFound:
                return
            time.sleep(0.05)
        raise TimedOut("The sandbox is still being removed.")


_BRIDGE_NAME = "com.docker.network.bridge.name"
_ICC = "com.docker.network.bridge.enable_icc"
_MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"


def bridge_name(network: str) -> str:
    """The host's interface for a network: sbx0 for the usual one, else one of its own (<= 15)."""
    if network == NETWORK:
        return BRIDGE
    return "sbx" + hashlib.sha256(network.encode()).hexdigest()[:8]
