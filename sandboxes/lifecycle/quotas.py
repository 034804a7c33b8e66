"""What one user may have at a time: sandboxes, memory, CPUs, disk, terminals, commands; and how fast.

A limit is the user's own, else that of staff, else the install's. What was lent to them (a seat's
sandbox) counts in none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import Count, Min, Q, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from sandboxes.models import Command, CommandStatus, Sandbox, Terminal, User
from sandboxes.units import format_duration, format_size

from . import process, work
from .refusals import Refused

WINDOW = timedelta(minutes=10)
"""Launches are counted over so long."""
NEVER_NONE = ("sandboxes", "memory")
"""Of these the install always has a limit; of the others 0 means none."""


@dataclass(frozen=True)
class Usage:
    """What a user has and may have; memory and disk in bytes. A limit of None is none."""

    sandboxes: int
    sandboxes_limit: int
    memory: int
    memory_limit: int
    cpus: Decimal = Decimal(0)
    cpus_limit: int | None = None
    disk: int = 0
    disk_limit: int | None = None

    @property
    def sandboxes_left(self) -> int:
        return max(self.sandboxes_limit - self.sandboxes, 0)

    @property
    def memory_left(self) -> int:
        return max(self.memory_limit - self.memory, 0)


def usage(user: User) -> Usage:
    """What this user's live sandboxes take, and the limits. One query."""
    taken = Sandbox.objects.owned_by(user).live().filter(lent=False).aggregate(
        count=Count("pk"), memory=Coalesce(Sum("memory"), 0), cpus=Coalesce(Sum("cpus"), Decimal(0)),
        disk=Coalesce(Sum("disk"), 0),
    )  # fmt: skip
    return Usage(
        taken["count"], sandboxes_limit(user), taken["memory"], memory_limit(user),
        taken["cpus"], limit(user, "cpus"), taken["disk"], limit(user, "disk"),
    )  # fmt: skip


def limit(user: User, name: str) -> int | None:
    """A user's limit of sandboxes, memory, cpus, disk, lifetime (s), creates or terminals; None: none."""
    own: int | None = getattr(user, f"quota_{name}")
    if own is not None:
        return own
    installs: int = getattr(settings, f"SANDBOX_QUOTA_{name.upper()}")
    staff: dict[str, int] = settings.SANDBOX_STAFF_QUOTAS
    found = staff.get(name, installs) if user.is_staff else installs
    return found if found or name in NEVER_NONE else None


def sandboxes_limit(user: User) -> int:
    return limit(user, "sandboxes") or 0


def memory_limit(user: User) -> int:
    return limit(user, "memory") or 0


def lifetime_limit(sandbox: Sandbox) -> int:
    """Seconds that this sandbox may last from now."""
    return settings.SANDBOX_MAX_LIFETIME if sandbox.lent else _lifetime(sandbox.owner)


def _lifetime(owner: User) -> int:
    most: int = settings.SANDBOX_MAX_LIFETIME
    own = limit(owner, "lifetime")
    return most if own is None else min(most, own)


def check(sandbox: Sandbox) -> None:
    """Raise Refused unless its owner may have this sandbox beside those there are.

    Call it in the transaction that takes the room. The user's row is locked first, so that two
    launches at once do not both find the last place free (SQLite: the whole database is).
    """
    if sandbox.lent:
        return
    owner = User.objects.select_for_update().get(pk=sandbox.owner_id)
    now = usage(owner)
    if not now.sandboxes_left:
        raise Refused("", _full(now))
    if sandbox.memory > now.memory_left:
        raise Refused("memory", _short(now, sandbox.memory))
    _check_sums(now, sandbox)
    if sandbox.lifetime > _lifetime(owner):
        most = format_duration(_lifetime(owner))
        raise Refused(
            "lifetime", f"Your sandboxes last at most {most}. Choose less; you can extend it later."
        )
    _check_pace(owner)


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


def _check_sums(now: Usage, sandbox: Sandbox) -> None:
    if now.cpus_limit is not None and now.cpus + sandbox.cpus > now.cpus_limit:
        left = max(now.cpus_limit - now.cpus, Decimal(0)).normalize()
        sentence = f"{left:f} of your {now.cpus_limit} CPUs are left. Choose less, or remove a sandbox."
        raise Refused("cpus", sentence)
    if now.disk_limit is not None and now.disk + sandbox.disk > now.disk_limit:
        rest = format_size(max(now.disk_limit - now.disk, 0))
        asked = f"A sandbox of this image may write {format_size(sandbox.disk)}"
        most = f"{rest} of your {format_size(now.disk_limit)} of disk is left"
        raise Refused("image", f"{asked}, and {most}. Remove a sandbox first.")


def _check_pace(owner: User) -> None:
    most = limit(owner, "creates")
    if most is None:
        return
    since = timezone.now() - WINDOW
    rows = Sandbox.objects.owned_by(owner).filter(lent=False, created_at__gt=since)
    found: dict[str, Any] = rows.aggregate(count=Count("pk"), first=Min("created_at"))
    if found["count"] >= most:
        wait = found["first"] - since if found["first"] else WINDOW
        lately = f"You launched {found['count']} sandboxes in the last 10 minutes, and may launch {most}"
        raise Refused("", f"{lately}. Wait {format_duration(wait.total_seconds())}.")


def check_terminal(sandbox: Sandbox, user_id: int | None) -> None:
    """Raise Refused unless one more terminal may be open: in this sandbox, and for this person anywhere.

    Call it in the transaction that adds the terminal: both rows are locked.
    """
    list(Sandbox.objects.select_for_update().filter(pk=sandbox.pk).values_list("pk"))
    if Terminal.objects.filter(sandbox=sandbox, ended_at=None).count() >= settings.SANDBOX_TERMINALS:
        here = settings.SANDBOX_TERMINALS
        raise Refused("name", f"This sandbox has {here} terminals open. Close one first.")
    _check_own_terminals(user_id)


def _check_own_terminals(user_id: int | None) -> None:
    user = User.objects.select_for_update().filter(pk=user_id).first() if user_id else None
    most = limit(user, "terminals") if user else None
    if user is None or most is None:
        return
    now = Terminal.objects.filter(opened_by=user.get_username(), ended_at=None).count()
    if now >= most:
        raise Refused("name", f"You have {now} terminals open, and may have no more. Close one first.")


def check_command(sandbox: Sandbox, user: User | None, seconds: int) -> None:
    """Raise Refused unless one more command may run: in this sandbox, and for this person anywhere.

    All commands of a process share one pool of threads; without a share each, one person's long ones
    would keep everybody else waiting, and without a part for short ones several people's together. Call
    it in the transaction that adds the command: both rows are locked.
    """
    list(Sandbox.objects.select_for_update().filter(pk=sandbox.pk).values_list("pk"))
    if user is not None:
        list(User.objects.select_for_update().filter(pk=user.pk).values_list("pk"))
    here, theirs, in_all = _commands(sandbox, user)
    if here >= settings.SANDBOX_COMMANDS:
        raise Refused("command", f"{sandbox.name} has {here} commands running, and may have no more. {_WAIT}")
    if theirs >= settings.SANDBOX_USER_COMMANDS:
        raise Refused("command", f"You have {theirs} commands running, and may have no more. {_WAIT}")
    if user is not None and sandbox.owner_id == user.pk:
        _check_command_pace(user)
        _check_room_for_short(theirs, seconds, in_all)


_WAIT = "Wait for one to end, or end one."


def _check_command_pace(user: User) -> None:
    """In sandboxes of their own: what teachers run for a whole class is not counted."""
    most = settings.SANDBOX_USER_COMMAND_PACE
    rows = Command.objects.filter(by=user, sandbox__owner=user, created_at__gt=timezone.now() - WINDOW)
    if most and rows.count() >= most:
        raise Refused("command", f"You began {most} commands in the last 10 minutes. Wait a little.")


def _commands(sandbox: Sandbox, user: User | None) -> tuple[int, int, int]:
    """How many run in this sandbox, for this person in all, and in this process."""
    running = Command.objects.filter(status=CommandStatus.RUNNING)
    counts = running.aggregate(
        here=Count("pk", filter=Q(sandbox=sandbox)), theirs=Count("pk", filter=Q(by=user, by__isnull=False)),
        in_all=Count("pk", filter=Q(process=process.process_id())),
    )  # fmt: skip
    return counts["here"], counts["theirs"], counts["in_all"]


def _check_room_for_short(theirs: int, seconds: int, in_all: int) -> None:
    """The last quarter of the threads is for one a person that is over soon: it is never taken for long."""
    threads, most = work.size("commands"), settings.SANDBOX_COMMAND_TIME_LIMIT
    if threads <= settings.SANDBOX_USER_COMMANDS:
        return  # one person may take all; check_commands warns of it
    if 4 * (threads - in_all) < threads and (theirs or seconds > most):
        short = f"until some have ended, run one at a time, for at most {format_duration(most)}"
        raise Refused("command", f"Nearly all commands that can run at a time are running: {short}.")
