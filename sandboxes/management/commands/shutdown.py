"""`manage.py shutdown`: removes every sandbox of this install; their records stay."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from sandboxes.lifecycle import actions, audit, process
from sandboxes.management.origin import console
from sandboxes.models import ENDED, UP, Outcome, Sandbox

AT_ONCE = 8
"""Removals at a time: more do not make the engine faster."""
WORD = "server.stop"
OTHERS = 30.0
"""Seconds to wait for a removal that another process is doing already."""


class Command(BaseCommand):
    """Asks, removes, shows progress; exit code 1 with a list when something could not be removed."""

    help = "Remove all sandboxes of this install (asks first)."

    def add_arguments(self, parser: CommandParser) -> None:
        """--yes and --grace."""
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument(
            "--grace",
            type=int,
            default=0,
            metavar="SECONDS",
            help="let what runs end by itself for so long first (default: 0, remove at once)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Removes what is there; CommandError when it may not, or when something is left."""
        ids = list(Sandbox.objects.present().values_list("pk", flat=True))
        if not ids:
            self.stdout.write("There are no sandboxes.")
            return
        if not options["yes"]:
            confirm(len(ids))
        settings.SANDBOX_STOP_GRACE = options["grace"] or settings.SANDBOX_STOP_GRACE
        operation = begun(len(ids))
        left = self.remove_all(ids, options["grace"] > 0)
        ended(operation, len(ids), left)
        process.leave()
        if left:
            raise CommandError(f"{len(left)} could not be removed:\n  " + "\n  ".join(left))

    def remove_all(self, ids: list[str], stop_first: bool) -> list[str]:
        """Removes these sandboxes, a line for each; returns why those that are left were not."""
        left = []
        for number, (sandbox, message) in enumerate(removals(ids, stop_first), 1):
            is_gone = sandbox.status in ENDED
            self.stdout.write(f"[{number}/{len(ids)}] {message}")
            self.stdout.flush()
            left += [] if is_gone else [f"{sandbox.name} ({sandbox.pk}): {message}"]
        return left


def begun(count: int) -> str:
    """Put on record who began it; returns the operation."""
    operation = secrets.token_hex(8)
    audit.record(WORD, console(), outcome=Outcome.REQUESTED, operation=operation, detail={"sandboxes": count})
    return operation


def ended(operation: str, count: int, left: list[str]) -> None:
    """Put on record what came of it."""
    outcome = Outcome.FAILED if left else Outcome.OK
    audit.record(WORD, console(), outcome=outcome, operation=operation,
                 detail={"sandboxes": count, "left": len(left)})  # fmt: skip


def confirm(count: int) -> None:
    """Asks a person; CommandError when they say no, or when there is nobody to ask."""
    if not sys.stdin.isatty():
        raise CommandError(f"This would remove {amount(count)}. Say --yes to do it without asking.")
    if input(f"Remove {amount(count)}? [y/N] ").strip().lower() not in {"y", "yes"}:
        raise CommandError("Nothing was removed.")


def amount(count: int) -> str:
    """So many sandboxes, in words."""
    return f"{count} sandbox" if count == 1 else f"{count} sandboxes"


def removals(ids: list[str], stop_first: bool) -> Iterator[tuple[Sandbox, str]]:
    """Every sandbox as it is after its removal, with what there is to say, in the order they end."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for job in as_completed([pool.submit(remove, pk, stop_first) for pk in ids]):
            yield job.result()


def remove(pk: str, stop_first: bool) -> tuple[Sandbox, str]:
    """Removes one sandbox and returns it as it is then, with a sentence for people."""
    try:
        sandbox = Sandbox.objects.get(pk=pk)
        if stop_first and sandbox.status in UP:
            actions.stop(sandbox, by=console(), wait=None, reason="shutdown")
        result = actions.remove(sandbox, by=console(), wait=None, reason="shutdown")
        if result.under_way:
            wait_for_others(sandbox)
        return sandbox, result.message
    finally:
        connection.close()


def wait_for_others(sandbox: Sandbox) -> None:
    """Waits until another process has removed it, or OTHERS seconds."""
    end = time.monotonic() + OTHERS
    while sandbox.status not in ENDED and time.monotonic() < end:
        time.sleep(0.2)
        sandbox.refresh_from_db()
