"""Records in friendly words: the timeline of a sandbox, and what came of an act on several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any

from django.utils import timezone

from sandboxes.lifecycle import event_words, terminals
from sandboxes.lifecycle.commands import NOTHING_TYPED
from sandboxes.lifecycle.transitions import TABLE
from sandboxes.models import Event, Outcome
from sandboxes.units import format_duration

WORST = ("error", "warning", "info", "success")
ORDER = (Outcome.REQUESTED, Outcome.OK, Outcome.FAILED, Outcome.REFUSED)
PHRASES = {
    "sandbox.launch": ("launched it", "it is running", "it could not be launched"),
    "sandbox.extend": ("is giving it more time", "gave it more time", "could not give it more time"),
    "sandbox.idle": (*3 * ("warned that nobody uses it",),),
    "sandbox.disk": (*3 * ("warned that its disk is nearly full",),),
    "sandbox.view": (*3 * ("looked at it",), "was not let in"),
    "socket.open": (*3 * ("opened a socket",), "was refused a socket"),
    "socket.frame": (*3 * ("sent a frame",), "sent what could not be used"),
    "command.run": ("is running {}", "ran {}", "ran {}", "could not run a command"),
    "command.cancel": ("is ending {}", "ended {}", "could not end {}"),
    "terminal.open": ("is opening terminal {}", "opened terminal {}", "could not open terminal {}"),
    "terminal.type": (*2 * ("took over terminal {}",), "could not take over terminal {}"),
    "terminal.join": ("is joining terminal {}", "joined terminal {}", "could not join terminal {}"),
    "recording.start": (*2 * ("terminal {} is recorded",), "could not record terminal {}"),
    "recording.stop": (*3 * ("terminal {} is not recorded any more",), "could not stop a recording"),
    "recording.watch": (*3 * ("replayed terminal {}",), "was not let see a recording"),
    "recording.download": (*3 * ("downloaded the recording of {}",), "was not let have a recording"),
    "recording.removed": (*3 * ("removed the recording of {}",),),
    "terminal.end": ("is ending terminal {}", *2 * ("terminal {} ended",), "could not end terminal {}"),
}
"""By outcome: asked for, done, failed and, where that differs, refused. "{}" is the command or terminal."""


@dataclass(frozen=True)
class Line:
    """One line of "What happened": when, the sentence in ``parts`` (text, or code to set in mono), why."""

    at: datetime
    who: str
    text: str
    code: str = ""
    why: str = ""
    bad: bool = False

    @property
    def before(self) -> str:
        return self.text.partition("{}")[0].strip()

    @property
    def after(self) -> str:
        rest = self.text.partition("{}")[2]
        return f" {rest.strip()}" if rest.strip() else ""

    @property
    def day(self) -> date:
        return timezone.localtime(self.at).date()

    @property
    def is_today(self) -> bool:
        return self.day == timezone.localdate()


def timeline(events: Sequence[Event], commands: Mapping[str, str] | None = None) -> list[Line]:
    """Newest first; a request is told only while nothing has come of it, and of a launch both.

    That terminals end with their sandbox is told by its own end. ``commands`` are the texts of
    commands by id.
    """
    asked = {event.operation: event for event in events if event.outcome == Outcome.REQUESTED}
    ended = {event.operation for event in events if event.outcome != Outcome.REQUESTED}
    news = [event for event in events if is_news(event, ended)]
    return [
        extended(some)
        if is_extension(some[0])
        else line(some[0], asked.get(some[0].operation), commands or {})
        for some in runs(news)
    ]


def runs(events: Sequence[Event]) -> list[list[Event]]:
    """More time that one person gave again and again together, everything else alone."""
    groups = groupby(
        events, lambda one: (one.actor_kind, one.actor_name) if is_extension(one) else one.pk or id(one)
    )
    return [list(some) for _, some in groups]


def is_extension(event: Event) -> bool:
    return event.action == "sandbox.extend" and event.outcome == Outcome.OK


def extended(some: Sequence[Event]) -> Line:
    """How much more time it got, where all of the events say it."""
    gained = [event.detail.get("seconds") for event in some if isinstance(event.detail, dict)]
    told = [one for one in gained if isinstance(one, int)]
    text = f"gave it {format_duration(sum(told))} more" if len(told) == len(some) else "gave it more time"
    return Line(some[0].at, who(some[0]), f"{text}, in {len(some)} steps" if len(some) > 1 else text)


def is_news(event: Event, ended: set[str]) -> bool:
    """Whether no other line says it; ``ended`` are the operations of which something came."""
    if event.action == "command.run" and event.reason == NOTHING_TYPED:
        return False
    if event.action == "terminal.end":
        return event.actor_kind != "engine" or not terminals.is_of_sandbox(event.reason)
    is_open = event.outcome == Outcome.REQUESTED and event.operation not in ended
    return is_open or event.outcome != Outcome.REQUESTED or event.action == "sandbox.launch"


def line(event: Event, request: Event | None, commands: Mapping[str, str]) -> Line:
    """One event as a sentence about "it"."""
    if event.action == "sandbox.launch" and event.outcome == Outcome.OK and request:
        return Line(event.at, "", f"running, {span(event.at, request.at)} after launch")
    if event.action == "sandbox.launch" and event.reason.startswith("waiting for "):
        return Line(event.at, "", event.reason)
    if event.actor_kind == "engine" and event.reason and not event.action.startswith("terminal."):
        return Line(event.at, "", event.reason)
    if event.action not in PHRASES and verb(event) not in TABLE and event.action in event_words.words():
        return Line(event.at, "", event_words.sentence(event), why=event.reason)  # as the trail says it
    text, code = phrase(event, commands)
    bad = event.outcome == Outcome.FAILED and event.action.startswith("sandbox.")
    name = "" if text.startswith(("it ", "terminal ")) else who(event)
    return Line(event.at, name, text, code, because(event), bad)


def because(event: Event) -> str:
    """The reason, unless it only says again what the line says or the lines around it do."""
    again = verb(event) in TABLE and event.reason == f"{TABLE[verb(event)].past} by {event.actor_name}"
    follows = event.action == "terminal.end" and event.actor_kind == "engine"
    return "" if again or follows else event.reason


def phrase(event: Event, commands: Mapping[str, str]) -> tuple[str, str]:
    """The words and, apart, what is to be set as code; "{}" in the words is where it goes."""
    index = ORDER.index(Outcome(event.outcome))
    if event.action in PHRASES:
        words, name = [*PHRASES[event.action], PHRASES[event.action][2]][index], named(event, commands)
        words = ended(event) if is_cut_off(event) else words
        return (
            (words, name)
            if name
            else (words.replace("{}", "a command" if event.action.startswith("command.") else ""), "")
        )
    row = TABLE.get(verb(event))
    if row is None:
        return plain(event), ""
    return (f"is {row.during} it", f"{row.past} it", f"could not {row.action} it")[min(index, 2)], ""


def is_cut_off(event: Event) -> bool:
    """Whether somebody's command was ended by the loop, since nothing held it any more."""
    return (event.action, event.actor_kind, event.outcome) == ("command.run", "cleanup", Outcome.FAILED)


def ended(event: Event) -> str:
    """That it was, and whose it was."""
    return f"ended {{}} of {event.on_behalf}" if event.on_behalf else "ended {}"


def named(event: Event, commands: Mapping[str, str]) -> str:
    """The command or the terminal that an event is about."""
    detail = event.detail if isinstance(event.detail, dict) else {}
    command = str(detail.get("command", ""))
    text = commands.get(command, "") if command else str(detail.get("terminal", ""))
    return text if len(text) <= 80 else f"{text[:79]}…"


def verb(event: Event) -> str:
    """The action's own word: "pause" of "sandbox.pause"."""
    return event.action.rpartition(".")[2]


def plain(event: Event) -> str:
    """An action nobody wrote a phrase for: as the auditor reads it, about "it"; an unknown one as words."""
    if event.action in event_words.words():
        return event_words.predicate(event, sandbox="it")
    return event.action.removeprefix("sandbox.").replace(".", " ").replace("_", " ")


def who(event: Event) -> str:
    """Who did it, as a line begins; the clock and the engine have names too."""
    name = event_words.NOBODY.get(event.actor_kind)
    return name[:1].upper() + name[1:] if name else event.actor_name or "someone"


def span(later: datetime, earlier: datetime) -> str:
    """The time between, with a tenth below ten seconds."""
    seconds = max((later - earlier).total_seconds(), 0)
    return f"{seconds:.1f} s" if seconds < 10 else format_duration(seconds)


def together(action: str, results: Iterable[Any]) -> tuple[str, str]:
    """What came of an action on several sandboxes as one level and sentence; the worst decides the level."""
    every = list(results)
    if not every:
        return "warning", "Nothing was selected. Tick the sandboxes first."
    if len(every) == 1:
        return every[0].level, every[0].message
    past = "given more time" if action == "extend" else TABLE[action].past
    level = min((one.level for one in every), key=WORST.index)
    return level, _counted(every, past)


def _counted(every: Sequence[Any], past: str) -> str:
    """How many it is done to, how many are still to come, and how many not and why."""
    done, coming = sum(one.done for one in every), sum(one.under_way for one in every)
    refused = [one.message for one in every if not (one.done or one.under_way)]
    told = [f"{done} {past}"] if done else []
    told += [f"{coming} {'is' if coming == 1 else 'are'} being {past}"] if coming else []
    if not refused:
        return f"{', '.join(told)}."
    return ", ".join([*told, f"{len(refused)} not{'' if told else f' {past}'}: {refused[0]}"])
