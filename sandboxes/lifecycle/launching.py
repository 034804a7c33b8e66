"""A new sandbox: what was asked for is checked, put on record with its place taken, and made by the pool."""

from __future__ import annotations

import copy
import hashlib
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from django.db import IntegrityError, transaction
from django.utils import timezone

from sandboxes.models import Image, Network, Outcome, Sandbox, Status, User

from . import (
    audit,
    budget,
    endings,
    guard,
    host,
    limits,
    names,
    process,
    quotas,
    refusals,
    runtimes,
    steps,
    strictness,
    transitions,
    usage,
    work,
)
from .recording_policy import Policy, of_image, strictest
from .refusals import Refused
from .transitions import Claim

NO_POLICY = Policy()
Wish = dict[str, Any]
"""What was asked for, by column; None where the image is to say."""


class After(Protocol):
    """Who wants to be there when a thread has made a sandbox. It dies with the process, so it may save time
    and nothing else."""

    def begin(self) -> None:
        """Before the thread begins; not where nothing is to be made, for whatever reason."""

    def end(self, sandbox: Sandbox) -> None:
        """Once that thread is through with it, in that thread, with a row of its own."""

    def drop(self) -> None:
        """Instead, where that thread cannot say what it is now."""


@dataclass(frozen=True)
class Terms:
    """What else a launch says; see ``launch``."""

    key: str | None
    auto_remove: bool
    recording: Policy
    lent: bool
    isolation: str | None
    idle: int | None
    after: After | None


def launch(
    owner: User,
    image: Image | str | None,
    *,
    origin: audit.Origin,
    name: str = "",
    memory: int | str | None = None,
    cpus: Any = None,
    pids: int | str | None = None,
    lifetime: int | str | None = None,
    network: str = Network.NONE,
    workdir: str | None = None,
    environment: dict[str, str] | str | None = None,
    auto_remove: bool = False,
    launch_key: str | None = None,
    recording: Policy = NO_POLICY,
    lent: bool = False,
    isolation: str | None = None,
    idle: int | None = None,
    after: After | None = None,
) -> Sandbox:
    """Put a new sandbox on record and have it made; the record is there before the container.

    What is left out is as the image has it; ``recording`` is asked for beside the image's own and the
    install's, and ``isolation`` (standard, strict) beside the image's: the strictest holds. ``idle``:
    seconds without use after which it is stopped, 0 for never. The same ``launch_key`` of the same owner
    returns the first sandbox; ``lent``: it counts in no quota of the owner's; ``after``: who wants to be
    there. Raises Refused (on record by then) for input at fault or a full quota. Not inside a transaction.
    """
    wish = {"name": name, "memory": memory, "cpus": cpus, "pids": pids, "lifetime": lifetime,
            "network": network, "workdir": workdir, "environment": environment}  # fmt: skip
    terms = Terms(_key(launch_key), bool(auto_remove), recording, lent, isolation, idle, after)
    return _order(owner, image, origin, wish, terms)


def _order(owner: User, image: Image | str | None, origin: audit.Origin, wish: Wish, terms: Terms) -> Sandbox:
    """Check it, put it on record and have it made; of two at once with the same key one is made."""
    try:
        sandbox = _checked(owner, image, wish, terms)
        room = budget.limit()
        mine = _born(sandbox, origin, room)
    except (Refused, IntegrityError) as error:
        return _asked_before(owner, terms.key, origin, error)
    if room is None and budget.is_set():
        return _queued(sandbox, mine)
    return _made(sandbox, mine, terms.after)


def _asked_before(owner: User, key: str | None, origin: audit.Origin, error: Exception) -> Sandbox:
    """The sandbox of this key; where there is none, what stood in the way goes on record and is raised.

    Nearly every launch is the first of its key, so that is looked for only once something stands in the way.
    """
    known = _launched(owner, key)
    if known is not None:
        return known
    if isinstance(error, Refused):
        refusals.record("sandbox.launch", origin, error, owner=owner.get_username())
    raise error


def _checked(owner: User, image: Image | str | None, wish: Wish, terms: Terms) -> Sandbox:
    """The row to be, whole. Raises Refused with the field at fault."""
    host.check_disk()
    offered = _offered(image)
    sandbox = _new(owner, offered, wish, strictest(of_image(offered), terms.recording))
    strictness.apply(sandbox, terms.isolation)
    runtimes.apply(sandbox, offered)
    guard.check(sandbox)
    sandbox.auto_remove, sandbox.launch_key, sandbox.lent = terms.auto_remove, terms.key, terms.lent
    sandbox.idle_limit = usage.limit_for(sandbox, offered, terms.idle)
    return sandbox


def _made(sandbox: Sandbox, mine: Claim, after: After | None) -> Sandbox:
    """Have it made. What comes back is the caller's own: the job goes on with ``sandbox``."""
    as_born = copy.copy(sandbox)
    job = work.submit(steps.run, mine) if after is None else _attended(mine, after)
    return sandbox if job.done() else as_born


def _attended(mine: Claim, after: After) -> Future[Any]:
    after.begin()
    try:
        return work.submit(_make, mine, after)
    except BaseException:
        after.drop()
        raise


def _make(mine: Claim, after: After) -> steps.Later:
    """What runs into a fault, or goes on in another thread, is not known here."""
    ending: steps.Later | None = None
    try:
        ending = steps.run(mine)
        return ending
    finally:
        if isinstance(ending, endings.Ending):
            after.end(mine.sandbox)
        else:
            after.drop()


def _queued(sandbox: Sandbox, mine: Claim) -> Sandbox:
    """Let it wait for the loop: until the engine has said how much memory there is, nothing is promised."""
    transitions.settle(mine, Status.QUEUED, outcome=Outcome.FAILED, reason=endings.WAITING)
    return sandbox


def _key(launch_key: str | None) -> str | None:
    """Keys of any length fit the column."""
    if not launch_key or len(launch_key) <= 64:
        return launch_key or None
    return hashlib.sha256(launch_key.encode(errors="replace")).hexdigest()


def _launched(owner: User, key: str | None) -> Sandbox | None:
    if key is None:
        return None
    found = Sandbox.objects.filter(owner=owner, launch_key=key).values_list("pk", flat=True).first()
    return transitions.fresh(found) if found else None


def _offered(image: Image | str | None) -> Image:
    """The image as the catalogue has it now. Raises Refused when it is not offered."""
    reference = image.reference if isinstance(image, Image) else image
    found = Image.objects.filter(reference=reference).first() if reference and "\0" not in reference else None
    if found is None:
        raise Refused("image", "Choose an image from the catalogue.")
    if not found.enabled:
        raise Refused("image", f"{found.title} is not offered at present. Choose another image.")
    return found


def _new(owner: User, image: Image, wish: Wish, policy: Policy) -> Sandbox:
    """The row to be, with everything checked. Raises Refused with the field at fault."""
    values = {name: _cleaned(name, _wished(wish[name], image, name)) for name in _CLEAN}
    now = timezone.now()
    return Sandbox(
        owner=owner, image=image, image_reference=image.reference, shell=image.shell,
        launch_step="waiting", created_at=now,
        recording=policy.recording, recording_keystrokes=policy.keystrokes,
        expires_at=now + timedelta(seconds=values["lifetime"]),
        **values | {"name": values["name"] or names.new()},
    )  # fmt: skip


def _wished(value: Any, image: Image, name: str) -> Any:
    """What was asked for; what was left out is the image's own."""
    return getattr(image, name, "") if value is None or value == "" else value


def _cleaned(name: str, value: Any) -> Any:
    try:
        return _CLEAN[name](value)
    except ValueError as error:
        raise Refused(name, str(error)) from None


def _clean_network(value: str) -> str:
    if value not in Network.values:
        raise ValueError("Network is none or internet.")
    return value


_CLEAN: dict[str, Any] = {
    "name": limits.clean_name,
    "memory": limits.clean_memory,
    "cpus": limits.clean_cpus,
    "pids": limits.clean_pids,
    "lifetime": limits.clean_lifetime,
    "network": _clean_network,
    "workdir": limits.clean_workdir,
    "environment": limits.clean_environment,
}


def _born(sandbox: Sandbox, origin: audit.Origin, room: int | None) -> Claim:
    facts = {"image": sandbox.image_reference, "memory": sandbox.memory, "cpus": str(sandbox.cpus),
             "pids": sandbox.pids, "lifetime": sandbox.lifetime, "network": sandbox.network,
             "isolation": sandbox.isolation, "disk": sandbox.disk,
             "idle": sandbox.idle_limit, "runtime": sandbox.runtime,
             "environment": sorted(sandbox.environment), "recording": sandbox.recording,
             "keystrokes": sandbox.recording_keystrokes}  # fmt: skip
    process.hold()
    with transaction.atomic():
        reserve(sandbox, room)
        return transitions.born(sandbox, origin, facts)


def reserve(sandbox: Sandbox, room: int | None) -> None:
    """Find it a place: in the budget, then among its owner's; always in this order. Raises Refused."""
    budget.check(sandbox, room)
    quotas.check(sandbox)
