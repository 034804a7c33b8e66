"""What one user may have at a time: how many live sandboxes, how much memory, how many commands."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.db.models import Count, Q, Sum
from django.db.models.functions import Coalesce

from sandboxes.models import Command, CommandStatus, Sandbox, User
from sandboxes.units import format_size

from .refusals import Refused


@dataclass(frozen=True)
class Usage:
    """What a user has and may have; memory in bytes."""

    sandboxes: int
    sandboxes_limit: int
    memory: int
    memory_limit: int

    @property
    def sandboxes_left(self) -> int:
        return max(self.sandboxes_limit - self.sandboxes, 0)

    @property
    def memory_left(self) -> int:
        return max(self.memory_limit - self.memory, 0)


def usage(user: User) -> Usage:
    """What this user's live sandboxes take, and the limits: their own, else the install's. One query.

    What was lent to them (a seat's) does not count.
    """
    taken = Sandbox.objects.owned_by(user).live().filter(lent=False).aggregate(
        count=Count("pk"), memory=Coalesce(Sum("memory"), 0)
    )  # fmt: skip
    return Usage(taken["count"], sandboxes_limit(user), taken["memory"], memory_limit(user))


def sandboxes_limit(user: User) -> int:
    own = user.quota_sandboxes
    return settings.SANDBOX_QUOTA_SANDBOXES if own is None else own


def memory_limit(user: User) -> int:
    own = user.quota_memory
    return settings.SANDBOX_QUOTA_MEMORY if own is None else own


def check(user: User, memory: int) -> None:
    """Raise Refused unless there is room for one more sandbox of that memory.

    Call it in the transaction that takes the room. The user's row is locked first, so that two
    launches at once do not both find the last place free (SQLite: the whole database is).
    """
    locked = User.objects.select_for_update().get(pk=user.pk)
    now = usage(locked)
    if not now.sandboxes_left:
        raise Refused("", _full(now))
    if memory > now.memory_left:
        raise Refused("memory", _short(now, memory))


def _full(now: Usage) -> str:
    if not now.sandboxes_limit:
        return "You may not have sandboxes at present. Ask an admin."
    return f"You have {now.sandboxes} of {now.sandboxes_limit} sandboxes. Remove one first."


def _short(now: Usage, memory: int) -> str:
    free, limit = format_size(now.memory_left), format_size(now.memory_limit)
    if not now.memory:
        return f"That is above your quota of {limit}. Choose at most {limit}."
    asked = format_size(memory)
    return f"{asked} is more than is left: {free} of your {limit}. Choose less, or remove a sandbox."


def check_command(sandbox: Sandbox, user: User | None) -> None:
    """Raise Refused unless one more command may run: in this sandbox, and for this person anywhere.

    All commands share one pool of threads; without a share each, one person's long ones would keep
    everybody else waiting. Call it in the transaction that adds the command: both rows are locked.
    """
    list(Sandbox.objects.select_for_update().filter(pk=sandbox.pk).values_list("pk"))
    if user is not None:
        list(User.objects.select_for_update().filter(pk=user.pk).values_list("pk"))
    here, theirs = _commands(sandbox, user)
    if here >= settings.SANDBOX_COMMANDS:
        raise Refused("command", f"{sandbox.name} has {here} commands running, and may have no more. {_WAIT}")
    if theirs >= settings.SANDBOX_USER_COMMANDS:
        raise Refused("command", f"You have {theirs} commands running, and may have no more. {_WAIT}")


_WAIT = "Wait for one to end, or end one."


def _commands(sandbox: Sandbox, user: User | None) -> tuple[int, int]:
    """How many run in this sandbox, and for this person in all."""
    running = Command.objects.filter(status=CommandStatus.RUNNING)
    counts = running.aggregate(
        here=Count("pk", filter=Q(sandbox=sandbox)), theirs=Count("pk", filter=Q(by=user, by__isnull=False))
    )
    return counts["here"], counts["theirs"]
