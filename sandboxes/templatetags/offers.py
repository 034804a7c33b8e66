"""What a person is offered for a sandbox, read from the transition table: next act, the rest, the words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from sandboxes.engine import get_engine
from sandboxes.lifecycle import endings, fullness, usage
from sandboxes.lifecycle.transitions import TABLE, Transition, allowed
from sandboxes.models import Command, CommandStatus, Sandbox, Status, User
from sandboxes.units import format_duration

from .icons import mark

NEXT = {Status.PAUSED: "resume", Status.STOPPED: "start", Status.FAILED: "start", Status.QUEUED: "remove"}
FORWARD = ("extend", "resume", "start", "pause", "stop")
CONSEQUENCES = {
    "remove": "Its processes end and its files are gone for good. The record of what happened stays.",
    "stop": "Its processes end. Its files stay until its time is over, and you can start it again.",
    "restart": "Its processes end and it begins anew. Its files stay.",
}

THEIRS = {
    "remove": "Their processes end and their files are gone for good. The record of what happened stays.",
    "stop": "Their processes end. Their files stay until their time is over, and you can start them again.",
    "restart": "Their processes end and they begin anew. Their files stay.",
}


@dataclass(frozen=True)
class Offer:
    """``next``: the likely act; ``front``: what stands beside it on the page; ``rest``: in the menu."""

    next: Transition | None = None
    terminal: bool = False
    front: list[Transition] = field(default_factory=list)
    rest: list[Transition] = field(default_factory=list)


def offers(sandbox: Sandbox, user: User) -> Offer:
    """The acts for a row of the list."""
    rows = possible(sandbox, user)
    likely = NEXT.get(Status(sandbox.status))
    first = next((row for row in rows if row.action == likely), None)
    terminal = sandbox.status == Status.RUNNING and not sandbox.pending
    return Offer(first, terminal, [], [row for row in rows if row is not first])


def header_offers(sandbox: Sandbox, user: User) -> Offer:
    """The acts for the head of its page: up to three in sight, the rest in the menu."""
    rows = possible(sandbox, user)
    front = sorted((row for row in rows if row.action in FORWARD), key=lambda row: FORWARD.index(row.action))
    if sandbox.status == Status.QUEUED:
        front = rows
    return Offer(front=front, rest=[row for row in rows if row not in front])


def possible(sandbox: Sandbox, user: User) -> list[Transition]:
    """What the table allows, the engine can do, and is not refused this person for what it has written."""
    can: Any = None
    try:
        can = get_engine().capabilities
    except Exception:
        can = None  # not to be known now; the act itself will say
    rows = [row for row in allowed(sandbox) if not row.capability or getattr(can, row.capability, True)]
    return [row for row in rows if not fullness.refusal(sandbox, row.action, user.pk)]


def label(row: Transition, sandbox: Sandbox) -> str:
    """The word on the button: the table's, or a better one for where the sandbox is."""
    if row.action == "extend" and sandbox.status == Status.RUNNING and usage.is_warned(sandbox):
        return "Keep running"
    if row.action == "extend":
        return f"+ {format_duration(settings.SANDBOX_EXTEND_BY)}"
    if row.action == "start" and sandbox.status == Status.FAILED:
        return "Try again"
    if row.action == "remove" and sandbox.pending == "launch":
        return "Cancel"
    return row.label


def consequence(action: str, number: int = 1) -> str:
    """What an act that hurts will do to one sandbox or to several, for whoever is asked."""
    return (CONSEQUENCES if number == 1 else THEIRS).get(action, "")


@dataclass(frozen=True)
class Tale:
    """What a row tells in place of its figures. ``kind``: pull, bad, word, or "" for the figures."""

    kind: str = ""
    text: str = ""
    done: int = 0
    wanted: int = 0


def tale(sandbox: Sandbox) -> Tale:
    """A pull's progress, why it failed or ended, or nothing: then the live figures are shown."""
    if sandbox.pending == "launch" and sandbox.launch_step == "pulling":
        progress = sandbox.image.pull_progress if sandbox.image else {}
        return Tale("pull", "", int(progress.get("done") or 0), int(progress.get("wanted") or 0))
    if sandbox.status == Status.QUEUED:
        return Tale("word", queued(sandbox))
    if sandbox.status in {Status.RUNNING, Status.PAUSED}:
        return Tale()
    reason = f"{sandbox.status_reason[:1].upper()}{sandbox.status_reason[1:]}"
    return Tale("bad" if sandbox.status == Status.FAILED else "word", reason or "–")


def queued(sandbox: Sandbox) -> str:
    """What a launch that does not run yet is at; one that nobody works on could not reach the engine."""
    if not sandbox.pending:
        return sandbox.status_reason or endings.WAITING
    return "starting" if sandbox.launch_step == "starting" else "waiting its turn"


def capital(text: str) -> str:
    """The text with a capital first, as a sentence of its own."""
    return f"{text[:1].upper()}{text[1:]}"


def layers(progress: dict[str, Any]) -> list[dict[str, Any]]:
    """A pull's layers for a page: id, word, done and wanted bytes; junk is left out."""
    found = progress.get("layers") if isinstance(progress, dict) else None
    rows = found.items() if isinstance(found, dict) else ()
    return [
        {"id": key, "word": str(value[0]).lower(), "done": value[1], "wanted": value[2]}
        for key, value in rows
        if isinstance(value, list | tuple) and len(value) == 3
    ]


def transition(action: str) -> Transition:
    """The table's row of an action."""
    return TABLE[action]


def during(sandbox: Sandbox) -> str:
    """The word for what is under way: "pausing"; empty for nothing."""
    row = TABLE.get(sandbox.pending)
    return row.during if row else ""


STEPS = (("waiting", "Queued"), ("pulling", "Image"), ("starting", "Starting"), ("", "Running"))


def journey(sandbox: Sandbox) -> list[dict[str, str]]:
    """The steps of a launch: which are done, which is now."""
    keys = [key for key, _ in STEPS]
    at = keys.index(sandbox.launch_step) if sandbox.launch_step in keys[:-1] else 0
    states = ["done" if number < at else "now" if number == at else "" for number in range(len(STEPS))]
    return [{"word": word, "state": state} for (_, word), state in zip(STEPS, states, strict=True)]


def names(environment: dict[str, str]) -> str:
    """The variables' names; values are shown nowhere."""
    return ", ".join(sorted(environment))


def poll(sandbox: Sandbox) -> str:
    """How often a part asks by itself, should the socket be lost: soon while something is under way."""
    return ", every 2s" if sandbox.pending else ", every 30s"


def outcome(command: Command) -> SafeString:
    """A command's badge: running, its exit code, or how it was ended."""
    kind, shape, word = "", "queued", "running"
    if command.status == CommandStatus.EXITED:
        good = command.exit_code == 0
        kind, shape, word = (
            "good" if good else "bad",
            "done" if good else "cross",
            f"exit {command.exit_code}",
        )
    elif not command.is_running:
        kind = "bad" if command.status == CommandStatus.FAILED else "careful"
        shape, word = (
            "clock" if command.status == CommandStatus.TIMED_OUT else "cross",
            command.get_status_display().lower(),
        )
    attributes = mark_safe(' data-status="queued"') if command.is_running else ""
    return format_html(
        '<span class="badge {}"{}>{}{}</span>', kind, attributes, mark(shape, command.is_running), word
    )
