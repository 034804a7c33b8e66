"""What may be done with a sandbox that is full, or while the host's disk nearly is.

Started again a full one may delete files. One that wrote more instead has had its chance: its owner
does not start it again, or a few gigabytes more each time would fill the host.
"""

from __future__ import annotations

from sandboxes.models import Isolation, Sandbox
from sandboxes.units import format_size

from . import audit, host, transitions
from .refusals import Refused

GREW = "it was full and wrote more"
"""So begins the reason of one that was stopped because it grew when it was to delete files."""
WRITES = frozenset({"start", "restart", "resume"})
"""After these a sandbox may write, or goes on writing."""


def is_full(sandbox: Sandbox) -> bool:
    """Whether it had written all it may when last looked."""
    standard = sandbox.isolation == Isolation.STANDARD
    return standard and sandbox.disk_used is not None and sandbox.disk_used >= sandbox.disk


def has_grown(sandbox: Sandbox) -> bool:
    """Whether it stands stopped because it grew although it was full."""
    return is_full(sandbox) and sandbox.status_reason.startswith(GREW)


def refusal(sandbox: Sandbox, action: str, user_id: int | None) -> str:
    """Why this person may not have it write, as far as that is its own doing; "" where they may.

    What is refused is not offered either.
    """
    if action not in WRITES or not is_full(sandbox):
        return ""
    if action != "start":
        figures = (
            f"{format_size(sandbox.disk_used or 0)} written, and it may write {format_size(sandbox.disk)}"
        )
        then = "Stop it and start it: then it has two minutes to delete files."
        return f"{sandbox.name} is full: {figures}. {then}"
    if has_grown(sandbox) and user_id == sandbox.owner_id:
        grew = f"{sandbox.name} was full, and wrote more when it was started to delete files"
        return f"{grew}, so you cannot start it again. Remove it, or ask an admin to start it."
    return ""


def check(sandbox: Sandbox, action: str, origin: audit.Origin) -> None:
    """Raise Refused where a person may not have this one write now. The loops may: they save, and end."""
    if origin.kind != "user" or action not in WRITES:
        return
    host.check_disk()
    why = refusal(transitions.fresh(sandbox.pk) or sandbox, action, origin.user_id)
    if why:
        raise Refused("", why)
