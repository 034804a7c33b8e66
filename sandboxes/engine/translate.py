"""Turns what the engine says, well or badly, into our own words. Knows no client library.

Refusals are told apart by the engine's text, for its status numbers alone are ambiguous (a full
address pool is a 404, and so is a missing container). What matches no rule and does not look like
an engine's answer concludes nothing: Unreachable.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from .base import (
    LABEL_ID,
    Conflict,
    ContainerState,
    ContainerStatus,
    EngineError,
    EngineEvent,
    ImageMissing,
    LocalImage,
    NoCapacity,
    NotFound,
    TimedOut,
    Unreachable,
    Unsupported,
)
from .stats import instant

Raw = dict[str, Any]
Rule = tuple[str, type[EngineError], str]

NO_RUNTIME = "The engine does not offer the runtime that this sandbox was made for."
_RULES: tuple[Rule, ...] = (
    ("no space left on device", NoCapacity, "The host's disk is full."),
    ("could not find an available", NoCapacity, "The host has no network addresses left."),
    ("no available ipv4 addresses", NoCapacity, "The host has no network addresses left."),
    ("cannot allocate memory", NoCapacity, "The host is out of memory."),
    ("resource temporarily unavailable", NoCapacity, "There is no room for another process."),
    ("no such image", ImageMissing, "The image is not present on the host."),
    ("no such container", NotFound, "The container does not exist any more."),
    ("no such exec", NotFound, "The command is not known to the engine any more."),
    ("process does not exist", NotFound, "The command has ended."),
    ("already in use by container", Conflict, "A container of that name exists already."),
    ("removal of container", Conflict, "The sandbox is being removed."),
    ("marked for removal", Conflict, "The sandbox is being removed."),
    ("is already paused", Conflict, "The sandbox is paused already."),
    ("is not paused", Conflict, "The sandbox is not paused."),
    ("is paused", Conflict, "The sandbox is paused."),
    ("paused container", Conflict, "The sandbox is paused."),
    ("is not running", Conflict, "The sandbox is not running."),
    ("stopped state", Conflict, "The sandbox is not running."),
    ("container not running", Conflict, "The sandbox is not running."),
    ("stopped container", Conflict, "The sandbox is not running."),
    ("process already finished", Conflict, "The sandbox is not running."),
    ("minimum memory limit", EngineError, "The memory limit is below the engine's minimum of 6 MB."),
    ("range of cpus", EngineError, "The host does not have that many CPUs."),
    ("executable file not found", EngineError, "The image does not have the shell it is said to."),
    ("chdir to cwd", EngineError, "The working directory cannot be used in this image."),
    ("unknown runtime specified", Unsupported, NO_RUNTIME),
    ("unknown or invalid runtime", Unsupported, NO_RUNTIME),
    ("invalid reference format", ImageMissing, "That is not a valid image name."),
)
_NETWORK_GONE = re.compile(r"network \S+ not found")
_STATUSES = {one.value: one for one in ContainerStatus} | {"restarting": ContainerStatus.RUNNING}
_EXITED = re.compile(r"Exited \((\d+)\)")


def refusal(status: int, text: str, *, is_json: bool = True, reading: bool = False) -> EngineError:
    """Our error for an HTTP error answer.

    ``reading``: the call only asked something, so a 5xx is no answer but the lack of one.
    """
    if status in (502, 503, 504) or not is_json or (reading and status >= 500):
        return Unreachable("The engine did not give an answer.", f"{status}: {text}")
    known = match(text)
    if known:
        return known
    if status == 404 and reading:
        return Unreachable("The engine's answer made no sense.", f"{status}: {text}")
    word = "refused this" if status < 500 else "failed to do this"
    return EngineError(f"The engine {word}.", f"{status}: {text}")


def match(text: str) -> EngineError | None:
    """Our error for the engine's own text, None when no rule knows it."""
    lowered = text.lower()
    for fragment, kind, sentence in _RULES:
        if fragment in lowered:
            return kind(sentence, text)
    if _NETWORK_GONE.search(lowered):
        return EngineError("The sandbox's network does not exist any more.", text)
    return None


def failure(error: BaseException) -> Unreachable:
    """Our error for a call that brought no answer: nobody there, no time, or nonsense."""
    detail = f"{type(error).__name__}: {error}"
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        return TimedOut("The engine did not answer in time.", detail)
    if isinstance(error, OSError) or "Protocol" in type(error).__name__:
        return Unreachable("The engine cannot be reached.", detail)
    return Unreachable("The engine's answer made no sense.", detail)


def state(inspected: Raw) -> ContainerState:
    """A container's full description (``GET /containers/{id}/json``) as ContainerState."""
    now, labels = inspected["State"], inspected["Config"].get("Labels") or {}
    status = _STATUSES[now["Status"]]
    ended = status in (ContainerStatus.EXITED, ContainerStatus.DEAD)
    return ContainerState(
        native_id=inspected["Id"],
        sandbox_id=labels.get(LABEL_ID, ""),
        status=status,
        exit_code=now["ExitCode"] if ended else None,
        oom_killed=bool(now.get("OOMKilled")),
        created_at=instant(inspected.get("Created", "")),
        started_at=instant(now.get("StartedAt", "")),
        finished_at=instant(now.get("FinishedAt", "")) if ended else None,
        image_id=inspected.get("Image", ""),
    )


def listed(entry: Raw) -> ContainerState:
    """A line of the container list as ContainerState: no times but creation, no OOM flag."""
    exited = _EXITED.match(entry.get("Status", ""))
    return ContainerState(
        native_id=entry["Id"],
        sandbox_id=(entry.get("Labels") or {}).get(LABEL_ID, ""),
        status=_STATUSES[entry["State"]],
        exit_code=int(exited[1]) if exited else None,
        created_at=datetime.fromtimestamp(entry["Created"], UTC),
        image_id=entry.get("ImageID", ""),
    )


def event(raw: Raw) -> EngineEvent | None:
    """One line of the event stream; None for what is not about a container.

    Command lines (``exec_create: sh -c ...``) are cut off: they may hold secrets.
    """
    if raw.get("Type", "container") != "container":
        return None
    actor = raw["Actor"]
    action, native_id = raw["Action"].partition(":")[0], actor["ID"]
    at = raw.get("timeNano") or raw["time"] * 10**9
    given = actor.get("Attributes") or {}
    kept = {name: given[name] for name in ("exitCode", "execID", "signal", "image") if name in given}
    key = f"{at}-{native_id[:12]}-{action}"
    return EngineEvent(action, native_id, given.get(LABEL_ID, ""), at / 1e9, key, kept)


def image(entry: Raw) -> LocalImage:
    """An image from the list or from its own description."""
    names = tuple(name for name in entry.get("RepoTags") or () if name != "<none>:<none>")
    return LocalImage(entry["Id"], names, entry["Size"])
