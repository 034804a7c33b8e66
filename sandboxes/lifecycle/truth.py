"""What a container's state means for a sandbox's row; it asks nobody and writes nothing."""

from __future__ import annotations

from typing import Any

from sandboxes.engine.base import ContainerState, ContainerStatus
from sandboxes.models import Sandbox, Status
from sandboxes.units import format_size

_MEANS = {
    ContainerStatus.CREATED: Status.STOPPED,
    ContainerStatus.RUNNING: Status.RUNNING,
    ContainerStatus.PAUSED: Status.PAUSED,
    ContainerStatus.EXITED: Status.STOPPED,
    ContainerStatus.DEAD: Status.STOPPED,
}
LOST = "lost: its container is gone"
REMOVED_OUTSIDE = "removed outside Sandboxes"
KILL, TERM = 137, 143
"""Exit codes of a process that was ended by signal 9 or 15."""
OOM_SECONDS = 10
"""The kernel may end many processes in a row; one line on record for so many seconds."""


def status_of(state: ContainerState) -> Status | None:
    """The status that this container stands for; None while it is on its way out."""
    return _MEANS.get(state.status)


def columns_of(state: ContainerState) -> dict[str, Any]:
    """The columns that follow from a container's state, beside the status."""
    if state.status in (ContainerStatus.RUNNING, ContainerStatus.PAUSED):
        started = {"started_at": state.started_at} if state.started_at else {}
        return {"exit_code": None, "ended_at": None, **started}
    ended = {"ended_at": state.finished_at} if state.finished_at else {}
    return {"exit_code": state.exit_code, **ended}


def out_of_memory(sandbox: Sandbox, what: str = "the main process") -> str:
    """The sentence for a process that the kernel ended at the memory limit."""
    return f"out of memory: {what} was ended at its {format_size(sandbox.memory)} limit"


def how_it_ended(sandbox: Sandbox, state: ContainerState, by_hand: bool = False) -> str:
    """Why a sandbox is stopped that we did not stop. ``by_hand``: someone was seen to send a signal."""
    if state.oom_killed:
        return out_of_memory(sandbox)
    if by_hand:
        return "stopped outside Sandboxes"
    if state.exit_code is None:
        return "the main process ended"
    if state.exit_code in (KILL, TERM):
        return f"the main process was ended by a signal (exit code {state.exit_code})"
    return f"the main process ended with exit code {state.exit_code}"
