"""How much of the output of a sandbox's commands is kept: that of the latest ones, as much as may be."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.db.models.functions import Length

from sandboxes.models import Command, CommandStatus


def make_room(sandbox_id: str) -> int:
    """Let go of the output of the oldest until the rest fits SANDBOX_OUTPUT_KEPT; returns how many.

    The records stay. The newest output is kept whatever its size.
    """
    total, old = 0, []
    for pk, size in _sizes(sandbox_id):
        if total and total + size > settings.SANDBOX_OUTPUT_KEPT:
            old.append(pk)
        total += size
    return let_go(Command.objects.filter(pk__in=old)) if old else 0


def let_go(rows: QuerySet[Command]) -> int:
    """Keep nothing of their output but how much it was; returns how many had any."""
    empty: dict[str, Any] = {"stdout": b"", "stderr": b"", "stdout_head": 0, "stderr_head": 0}
    return rows.exclude(stdout=b"", stderr=b"").update(**empty)


def _sizes(sandbox_id: str) -> QuerySet[Command, tuple[str, int]]:
    """Of ended commands with output, the newest first; the database does not read it for that."""
    rows = Command.objects.filter(sandbox=sandbox_id).exclude(status=CommandStatus.RUNNING)
    sized = rows.annotate(size=Length("stdout") + Length("stderr")).filter(size__gt=0)
    return sized.order_by("-created_at", "-pk").values_list("pk", "size")
