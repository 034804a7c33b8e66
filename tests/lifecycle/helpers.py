"""Puts sandboxes where a test needs them, and reads what is on record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.utils import timezone

from sandboxes.engine.base import ContainerSpec, ContainerStatus
from sandboxes.lifecycle import audit, cleanup
from sandboxes.models import Event, Lease, Sandbox, Status
from tests.fakes.engine import STARTER, FakeEngine

ALICE = audit.Origin("user", name="alice", address="192.0.2.1")


class Crash(BaseException):
    """The process dies here: nothing of ours may catch it and tidy up."""


def put(sandbox: Sandbox, engine: FakeEngine, status: Status) -> Sandbox:
    """Set row and container as if the sandbox had come to this status by the usual way."""
    if status is Status.PAUSED:
        engine.pause(sandbox.native_id)
    elif status is Status.STOPPED:
        engine.stop(sandbox.native_id)
    elif status in (Status.QUEUED, Status.FAILED, Status.REMOVED):
        engine.remove(sandbox.native_id)
        change(sandbox, native_id="")
    change(sandbox, status=status)
    engine.calls.clear()
    return sandbox


def change(sandbox: Sandbox, **columns: Any) -> Sandbox:
    """Write columns as no code of the project may."""
    Sandbox.objects.filter(pk=sandbox.pk).update(**columns)
    sandbox.refresh_from_db()
    return sandbox


def older(sandbox: Sandbox, **by: float) -> Sandbox:
    """Let it be as if time had passed since all that happened to it."""
    past = timedelta(**by)
    for name in ("created_at", "changed_at", "pending_since", "started_at"):
        at = getattr(sandbox, name)
        if at is not None:
            setattr(sandbox, name, at - past)
    sandbox.save()
    return sandbox


def overdue(sandbox: Sandbox) -> Sandbox:
    return change(sandbox, expires_at=timezone.now() - timedelta(seconds=1))


def trail(sandbox: Sandbox | None = None) -> list[tuple[str, str, str]]:
    """(action, outcome, reason) of all events, oldest first."""
    rows = Event.objects.order_by("id")
    if sandbox is not None:
        rows = rows.filter(sandbox_id=sandbox.pk)
    return list(rows.values_list("action", "outcome", "reason"))


def answered(sandbox: Sandbox) -> bool:
    """Whether each request has exactly one outcome, under its operation."""
    seen: dict[str, list[str]] = {}
    for operation, outcome in Event.objects.filter(sandbox_id=sandbox.pk).values_list("operation", "outcome"):
        if operation:
            seen.setdefault(operation, []).append(outcome)
    return all(sorted(one)[-1] == "requested" and len(one) == 2 for one in seen.values())


def die(sandbox: Sandbox) -> None:
    """Whoever holds its claim is dead from now on."""
    change(sandbox, claimed_by="a-dead-process")
    Lease.objects.filter(name__startswith="process:").delete()


def container_status(engine: FakeEngine, sandbox: Sandbox) -> ContainerStatus | None:
    """Of the sandbox's container; None without one."""
    found = [one.state.status for one in engine.containers.values() if one.spec.sandbox_id == sandbox.pk]
    assert len(found) <= 1, "two containers of one sandbox"
    return found[0] if found else None


def crash(engine: FakeEngine, method: str, before: bool = False) -> Callable[[], None]:
    """Let the process die before or after the engine did what it was asked; returns the repair."""
    real = getattr(engine, method)

    def dying(*args: Any, **options: Any) -> Any:
        if not before:
            real(*args, **options)
        raise Crash(method)

    setattr(engine, method, dying)
    return lambda: setattr(engine, method, real)


def moments_ago(**by: float) -> Any:
    return timezone.now() - timedelta(**by)


def stray(engine: FakeEngine, sandbox_id: str = "sb_unknown", seconds: float = 0.0) -> str:
    """A container of this install that no row knows, made so many seconds ago."""
    native_id = engine.create(ContainerSpec(sandbox_id, STARTER, 64 << 20, 1, 64))
    one = engine.containers[native_id]
    one.state = replace(one.state, created_at=timezone.now() - timedelta(seconds=seconds))
    return native_id


def counted(report: cleanup.Report) -> dict[str, int]:
    """What a round did, which went well."""
    assert report.error == ""
    return {name: count for name, count in report.counts.items() if count}


def is_quiet() -> bool:
    """A round with nothing to do, and nothing on record because of it."""
    before = Event.objects.count()
    return counted(cleanup.run_round()) == {} and Event.objects.count() == before


def came_to(sandbox: Sandbox, engine: FakeEngine, status: Status) -> None:
    """Row and container are where they should be, every request is answered, and nothing is left to do."""
    sandbox.refresh_from_db()
    assert (sandbox.status, sandbox.pending, sandbox.claim) == (status, "", "")
    wanted = {
        Status.RUNNING: ContainerStatus.RUNNING,
        Status.PAUSED: ContainerStatus.PAUSED,
        Status.STOPPED: ContainerStatus.EXITED,
        Status.REMOVED: None,
    }
    assert container_status(engine, sandbox) == wanted[status]
    assert answered(sandbox)
    assert is_quiet()
