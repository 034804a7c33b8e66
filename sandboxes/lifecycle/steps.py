"""What each action does once it is claimed: ask the engine, then settle. Only actions.py comes here.

Every function gets a claim and ends it, or leaves it to whoever took it over. A crash between any
two lines leaves the claim with a dead process' name on it, and the cleanup loop does it again:
each step may be done twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from sandboxes.engine import get_engine
from sandboxes.engine.base import (
    EngineError,
    ImageMissing,
    NotFound,
    TimedOut,
    Unreachable,
)
from sandboxes.models import Sandbox, Status

from . import audit, demand, endings, guard, images, transitions, truth, work
from .demand import spec_of
from .endings import Ending, Later
from .transitions import Claim

FRESH = 5.0
"""Seconds after which a job looks whether its claim still holds before it begins."""


def run(mine: Claim) -> Later:
    """Do a claimed action, settle it, and say how it ended."""
    return _guarded(mine, lambda: _WORK[mine.action](mine))


def _guarded(mine: Claim, do: Callable[[], Later]) -> Later:
    """Turn every error into a settled claim and a sentence, an error in the settling too."""
    try:
        return _answered(mine, do)
    except Exception as error:
        return endings.broken(mine, error)


def _answered(mine: Claim, do: Callable[[], Later]) -> Later:
    try:
        if time.monotonic() - mine.beat > FRESH and not transitions.still_ours(mine):
            return endings.lost(mine)
        return do()
    except Unreachable as error:
        return endings.unreachable(mine, error)
    except EngineError as error:
        return endings.not_done(mine, error)


# -- launch and start ---------------------------------------------------------------------------


def _launch(mine: Claim, pulled: bool = False) -> Later:
    """Create and start. Steps: 1. create 2. if the image is missing: pull, and again 3. start.

    What was created is removed again, in this same path, when the claim is lost or the start fails.
    """
    if not transitions.still_ours(mine, launch_step="starting"):
        return endings.lost(mine)
    try:
        guard.ensure(mine.sandbox)
        native_id = get_engine().create(spec_of(mine.sandbox))
    except ImageMissing as error:
        return endings.failed(mine, error) if pulled else _pull_first(mine)
    except Unreachable:
        raise
    except EngineError as error:
        return endings.failed(mine, error)
    generation = mine.sandbox.generation + 1
    if not transitions.still_ours(mine, native_id=native_id, generation=generation, disk_used=None):
        return endings.drop(mine, native_id)
    return _first_start(mine, native_id)


def _first_start(mine: Claim, native_id: str) -> Ending:
    try:
        get_engine().start(native_id)
    except Unreachable:
        raise
    except EngineError as error:
        endings.remove_quietly(native_id)
        return endings.failed(mine, error, native_id="")
    now = timezone.now()
    if not _running(mine, now, expires_at=now + timedelta(seconds=mine.sandbox.lifetime)):
        return endings.drop(mine, native_id)
    return Ending(f"{mine.sandbox.name} is running.")


def _pull_first(mine: Claim) -> Later:
    """Let the launch wait for the pull without keeping a thread; then go on."""
    if not transitions.still_ours(mine, launch_step="pulling"):
        return endings.lost(mine)
    pull = images.fetch(mine.sandbox.image_reference, mine.origin, mine)
    return work.then(pull, _pulled, mine)


def _pulled(error: BaseException | None, mine: Claim) -> Later:
    """A pull that stalled is a pull that failed: the engine answers, the registry does not."""

    def go_on() -> Later:
        if error is None:
            return _launch(mine, pulled=True)
        if isinstance(error, Unreachable) and not isinstance(error, TimedOut):
            raise error
        return endings.failed(mine, error)

    return _guarded(mine, go_on)


def _start(mine: Claim) -> Later:
    """Start its container; a failed launch has none, so that is launched anew."""
    if not mine.sandbox.native_id:
        return _launch(mine)
    try:
        guard.ensure(mine.sandbox)
        demand.ensure(mine.sandbox)
        get_engine().start(mine.sandbox.native_id)
    except NotFound:
        if mine.sandbox.status == Status.FAILED:
            return _launch(mine)
        raise
    except Unreachable:
        raise
    except EngineError as error:
        return endings.failed(mine, error)
    if not _running(mine, timezone.now()):
        return endings.lost(mine)
    return Ending(f"{mine.sandbox.name} is running.")


def _running(mine: Claim, now: datetime, **columns: Any) -> bool:
    facts = {"container": mine.sandbox.native_id[:12], "generation": mine.sandbox.generation}
    columns |= {"started_at": now, "ended_at": None, "exit_code": None, "facts": facts}
    return transitions.settle(mine, Status.RUNNING, **columns)


# -- the others ---------------------------------------------------------------------------------


def _pause(mine: Claim) -> Ending:
    get_engine().pause(mine.sandbox.native_id)
    return endings.settled(mine, f"{mine.sandbox.name} is paused.", Status.PAUSED, reason=mine.reason)


def _resume(mine: Claim) -> Ending:
    demand.ensure(mine.sandbox)
    get_engine().resume(mine.sandbox.native_id)
    return endings.settled(mine, f"{mine.sandbox.name} is running again.", Status.RUNNING)


def _restart(mine: Claim) -> Ending:
    """Stop and start, where it may start: else it runs on. What runs already after a crash of ours in between
    is not stopped again."""
    native_id = mine.sandbox.native_id
    try:
        guard.ensure(mine.sandbox)
    except Unreachable:
        raise
    except EngineError as error:
        return _not_restarted(mine, error)
    if not (mine.previous and _is_up(native_id)):
        get_engine().stop(native_id, settings.SANDBOX_STOP_GRACE)
    if not transitions.still_ours(mine):
        return endings.lost(mine)
    try:
        demand.ensure(mine.sandbox)
        get_engine().start(native_id)
    except (NotFound, Unreachable):
        raise
    except EngineError as error:
        return endings.failed(mine, error)
    if not _running(mine, timezone.now()):
        return endings.lost(mine)
    return Ending(f"{mine.sandbox.name} was restarted.")


def _not_restarted(mine: Claim, error: EngineError) -> Ending:
    """It may not start, so it runs on; unless whoever died with it had stopped it already."""
    is_down = mine.previous and not _is_up(mine.sandbox.native_id)
    return (endings.failed if is_down else endings.as_before)(mine, error)


def _is_up(native_id: str) -> bool:
    return truth.status_of(get_engine().inspect(native_id)) == Status.RUNNING


def _stop(mine: Claim) -> Later:
    get_engine().stop(mine.sandbox.native_id, settings.SANDBOX_STOP_GRACE)
    code = _exit_code(mine.sandbox.native_id)
    reason = mine.reason or f"stopped by {_who(mine)}"
    if not transitions.settle(mine, Status.STOPPED, reason=reason, exit_code=code, ended_at=timezone.now()):
        return endings.lost(mine)
    return remove_ended(mine.sandbox) or Ending(f"{mine.sandbox.name} is stopped.")


def _exit_code(native_id: str) -> int | None:
    try:
        return get_engine().inspect(native_id).exit_code
    except EngineError:
        return None


def remove_ended(sandbox: Sandbox) -> Later | None:
    """Remove a stopped sandbox that was to go when its main process ends; None: it stays, or is gone.

    Its reason and exit code stay on the record.
    """
    if not sandbox.auto_remove or sandbox.status != Status.STOPPED:
        return None
    mine = transitions.claim(sandbox, "remove", audit.CLEANUP, reason=sandbox.status_reason)
    return run(mine) if mine else None


def _remove(mine: Claim) -> Ending:
    """Remove its container, whatever it does; the record stays.

    With no container known the engine is asked, for a launch may have been cut off half way. What
    never ran ends on record even if the engine does not answer: the loop removes the containers of
    removed sandboxes as soon as the engine is back, and so it is not launched then.
    """
    try:
        for native_id in _containers(mine.sandbox):
            get_engine().remove(native_id)
    except Unreachable:
        if mine.sandbox.status != Status.QUEUED:
            raise
    reason = mine.reason or f"removed by {_who(mine)}"
    ended = mine.sandbox.ended_at or timezone.now()
    text = f"{mine.sandbox.name} was removed."
    return endings.settled(mine, text, Status.REMOVED, reason=reason, ended_at=ended)


def _containers(sandbox: Sandbox) -> list[str]:
    if sandbox.native_id or sandbox.status != Status.QUEUED:
        return [sandbox.native_id] if sandbox.native_id else []
    return [state.native_id for state in get_engine().list() if state.sandbox_id == sandbox.pk]


def _who(mine: Claim) -> str:
    return mine.origin.name or mine.origin.kind


_WORK: dict[str, Callable[[Claim], Later]] = {
    "launch": _launch,
    "start": _start,
    "pause": _pause,
    "resume": _resume,
    "restart": _restart,
    "stop": _stop,
    "remove": _remove,
}
