"""Every action word of the audit trail, with its plain sentence: what may stand on record, and what it says.

Pages, the admin and docs/reference/events.md read it; a test holds that nothing else is recorded.
Wings above core add their own words through SANDBOX_EVENT_WORDS.
"""

from __future__ import annotations

import functools
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from sandboxes.models import Event, Outcome

from .transitions import TABLE

SHELLS = 3
"""Words of a command that a shell was given: the shell, -c, the text."""


@dataclass(frozen=True)
class Word:
    """One action. ``to`` and ``done`` are the sentence without its subject: "pause {sandbox}", "paused ...".

    ``during`` is it under way; ``alone`` a whole sentence, for what nobody did. ``meaning`` says when
    it is recorded, ``detail`` what each key of the event's detail means. In braces: sandbox, target,
    place, or a key of the detail. ``failed`` is what is done where "could not ..." would be wrong, by who
    acted (cleanup) or by the detail's ``status``.
    """

    action: str
    to: str
    done: str
    during: str = ""
    alone: str = ""
    meaning: str = ""
    detail: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)


NOBODY = {
    "cleanup": "cleanup", "provision": "provision", "engine": "the engine", "system": "the system",
}  # fmt: skip
"""Who acts, where it is no person."""
ASKED = {
    Outcome.REQUESTED: "asked to {}",
    Outcome.REFUSED: "asked to {} and was refused",
    Outcome.FAILED: "could not {}",
}


@functools.cache
def words() -> dict[str, Word]:
    """All of them by action: core's, and those of the wings above."""
    found = [CORE, *(import_string(path) for path in settings.SANDBOX_EVENT_WORDS)]
    return {word.action: word for group in found for word in group}


def word(action: str) -> Word:
    """The action's word; for one that is not known any more, itself."""
    plain = action.replace(".", " ").replace("_", " ")
    return words().get(action) or Word(action, f"do “{plain}”", f"did “{plain}”")


def sentence(event: Event) -> str:
    """One plain sentence without a stop: "alice paused sandbox web-3". The reason is a column of its own."""
    found = word(event.action)
    if found.alone and _is_nobodys(event):
        return _start(fill(found.alone, _slots(event)))
    begin = _capital if event.actor_kind in NOBODY else _start
    return f"{begin(who(event))} {predicate(event)}"


def predicate(event: Event, **called: str) -> str:
    """The sentence without who did it; ``called`` says otherwise what is in braces ("it")."""
    found, known = word(event.action), _slots(event) | called
    if event.outcome == Outcome.OK:
        return fill(found.done, known)
    if event.outcome == Outcome.FAILED and (told := _failed(found, event)):
        return fill(told, known)
    return ASKED[Outcome(event.outcome)].format(fill(found.to, known))


def _failed(found: Word, event: Event) -> str:
    status = event.detail.get("status", "") if isinstance(event.detail, dict) else ""
    return found.failed.get(event.actor_kind) or found.failed.get(str(status), "")


def _is_nobodys(event: Event) -> bool:
    """Whether it happened by itself: the engine tells of failures as well, the others of what they did."""
    return event.actor_kind == "engine" or (event.actor_kind in NOBODY and event.outcome == Outcome.OK)


def who(event: Event) -> str:
    """Who did it, and for whom; the clock and the engine have names too."""
    name = NOBODY.get(event.actor_kind) or event.actor_name or "somebody who is not signed in"
    return f"{name} (for {event.on_behalf})" if event.on_behalf else name


def fill(text: str, known: Mapping[str, str]) -> str:
    """The text with what is known in its braces; of what is not known it says "a terminal"."""
    return text.format_map(_Known(known))


class _Known(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return f"{'an' if key[0] in 'aeiou' else 'a'} {key.replace('_', ' ')}"


def _slots(event: Event) -> dict[str, str]:
    detail = event.detail if isinstance(event.detail, dict) else {}
    known = {key: str(value) for key, value in detail.items() if isinstance(value, str | int) and value != ""}
    known |= {"command": command(detail)} if "argv" in detail else {}
    known |= {"terminal": f"terminal {known['terminal']}"} if "terminal" in known else {}
    known |= {"sandbox": _sandbox(event), "target": event.target_name or event.target_id}
    known |= {"place": event.place_name}
    return {key: value for key, value in known.items() if value}


def _sandbox(event: Event) -> str:
    if not event.sandbox_id:
        return ""
    theirs = event.owner_name in ("", event.actor_name) or event.actor_kind in NOBODY
    return f"sandbox {event.sandbox_name}" + ("" if theirs else f" of {event.owner_name}")


def command(detail: Mapping[str, Any]) -> str:
    """A command as somebody would type it, from the words on record."""
    argv = [str(one) for one in detail.get("argv", ())]
    return argv[2] if len(argv) == SHELLS and argv[1] == "-c" else shlex.join(argv)


def _start(text: str) -> str:
    """Names stay as they are written; words begin with a capital."""
    ours = (
        "the ",
        "somebody",
        "sandbox ",
        "terminal ",
        "an ",
        "a ",
        "files ",
        "lab ",
    )
    return _capital(text) if text.startswith(ours) else text


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _acts() -> Iterable[Word]:
    """What is done to sandboxes, from the table of transitions."""
    for row in TABLE.values():
        if row.action != "extend":
            yield Word(
                f"sandbox.{row.action}", f"{row.action} {{sandbox}}", f"{row.past} {{sandbox}}",
                f"{row.during} {{sandbox}}", meaning=f"{row.label}: asked for, and what came of it.",
            )  # fmt: skip


CORE: tuple[Word, ...] = (
    *_acts(),
    Word("sandbox.extend", "give {sandbox} more time", "gave {sandbox} more time",
         "giving {sandbox} more time", meaning="Its end was moved; at once, so there is no request.",
         detail={"seconds": "by how much", "until": "its end since then"}),
    Word("sandbox.view", "look at {sandbox}", "looked at {sandbox}",
         meaning="Only refusals: somebody wanted a sandbox that is not theirs, or that does not exist."),
    Word("sandbox.oom", "run {sandbox} out of memory", "ran {sandbox} out of memory",
         alone="{sandbox} ran out of memory", meaning="The kernel ended a process at its memory limit."),
    Word("sandbox.disk", "fill the disk of {sandbox}", "filled the disk of {sandbox}",
         alone="{sandbox} has written most of what it may",
         meaning="80 % of its disk limit; at 100 % it is stopped.",
         detail={"bytes": "written by then"}),
    Word("sandbox.idle", "find {sandbox} unused", "found {sandbox} unused",
         alone="nobody uses {sandbox}",
         meaning="Five minutes before it is stopped for that; `sandbox.stop` with the reason `idle` follows.",
         detail={"seconds": "without use after which it is stopped"}),
    Word("command.run", "run {command} in {sandbox}", "ran {command} in {sandbox}", "running {command}",
         meaning="A command: asked for, and how it ended.",
         detail={"command": "its record", "argv": "its words, shortened, without what looks like a secret",
                 "exit_code": "its exit code",
                 "status": "exited, timed_out, cancelled or failed"},
         failed={"cleanup": "ended {command} in {sandbox}",
                 "timed_out": "ran {command} in {sandbox} until its time limit",
                 "failed": "could not run {command} in {sandbox} to its end"}),
    Word("command.cancel", "end {command} in {sandbox}", "ended {command} in {sandbox}", "ending {command}",
         meaning="Somebody asked for a command's end."),
    Word("terminal.open", "open {terminal} of {sandbox}", "opened {terminal} of {sandbox}",
         "opening {terminal}", meaning="A shell: asked for, and whether it came up."),
    Word("terminal.join", "join {terminal} of {sandbox}", "joined {terminal} of {sandbox}",
         "joining {terminal}",
         meaning="Somebody begins to look at a terminal that is open, with however many pages; who is back "
                 "within ten seconds had not left.",
         detail={"may_type": "or only watch"}),
    Word("terminal.leave", "leave {terminal} of {sandbox}", "left {terminal} of {sandbox}",
         meaning="Their last page of it is gone, and they were not back within ten seconds."),
    Word("terminal.type", "take over {terminal} of {sandbox}", "took over {terminal} of {sandbox}",
         meaning="Somebody else than its owner began to type in it; once a socket."),
    Word("terminal.end", "end {terminal} of {sandbox}", "ended {terminal} of {sandbox}", "ending {terminal}",
         alone="{terminal} of {sandbox} ended", meaning="A shell is over, and why.",
         detail={"exit_code": "the shell's"}),
    Word("recording.start", "record {terminal} of {sandbox}", "began to record {terminal} of {sandbox}",
         meaning="A terminal is recorded from now on: by its policy, or because its owner started it.",
         detail={"recording": "which", "policy": "always or optional", "keystrokes": "also kept"}),
    Word("recording.stop", "end the recording of {terminal} of {sandbox}",
         "ended the recording of {terminal} of {sandbox}",
         alone="the recording of {terminal} of {sandbox} ended",
         meaning="It is over; failed where it did not come to its own end (full, or the disk refused).",
         detail={"recording": "which", "bytes": "on disk", "seconds": "its length"}),
    Word("recording.watch", "replay {terminal} of {sandbox}", "replayed {terminal} of {sandbox}",
         meaning="Somebody looked at a recording.", detail={"recording": "which"}),
    Word("recording.download", "download the recording of {terminal} of {sandbox}",
         "downloaded the recording of {terminal} of {sandbox}",
         meaning="Somebody took a recording along.", detail={"recording": "which"}),
    Word("recording.removed", "remove the recording of {terminal} of {sandbox}",
         "removed the recording of {terminal} of {sandbox}",
         meaning="It was too old, or all of them together had become too many.",
         detail={"recording": "which", "bytes": "on disk", "started_at": "when it was begun"}),
    Word("socket.open", "open a socket", "opened a socket",
         meaning="Only refusals: a page of another origin, or more sockets than one person may have."),
    Word("socket.frame", "send a frame", "sent a frame", meaning="Only refusals: what could not be used."),
    Word("page.open", "open {path}", "opened {path}",
         meaning="Only refusals: a page or an act that is not theirs."),
    Word("image.pull", "pull image {target}", "pulled image {target}", "pulling image {target}",
         meaning="A pull, and what came of it."),
    Word("image.add", "add image {target}", "added image {target}", meaning="Put into the catalogue."),
    Word("image.change", "change image {target}", "changed image {target}", meaning="Its row was changed."),
    Word("image.remove", "remove image {target}", "removed image {target}",
         meaning="Taken from the catalogue."),
    Word("user.sign_in", "sign in", "signed in", meaning="With a password or a link; failed ones too.",
         detail={"by": "password or link"}),
    Word("user.sign_out", "sign out", "signed out", meaning="They ended their session."),
    Word("user.link", "make a sign-in link for {target}", "made a sign-in link for {target}",
         meaning="On the server's command line."),
    Word("user.profile", "change their profile", "changed their profile", meaning="Name or e-mail."),
    Word("user.password", "set the password of {target}", "set the password of {target}",
         meaning="By themselves or by an admin; never the password."),
    Word("user.add", "add {target}", "added {target}",
         meaning="A new account: in the admin or on the command line."),
    Word("user.change", "change the account of {target}", "changed the account of {target}",
         meaning="Role, permissions, quotas, name or state."),
    Word("user.remove", "remove the account of {target}", "removed the account of {target}",
         meaning="Their events stay."),
    Word("group.add", "add group {target}", "added group {target}", meaning="A set of permissions."),
    Word("group.change", "change group {target}", "changed group {target}", meaning="Its permissions."),
    Word("group.remove", "remove group {target}", "removed group {target}", meaning="Its permissions ended."),
    Word("settings.change", "change the settings", "changed the settings",
         alone="the server started with other settings",
         meaning="The environment says something else than at the start before; of secrets only that."),
    Word("server.stop", "remove all sandboxes", "removed all sandboxes", "removing all sandboxes",
         meaning="On the command line (`shutdown`); each removal has events of its own.",
         detail={"sandboxes": "how many there were", "left": "how many could not be removed"}),
    Word("audit.export", "export the audit trail", "exported the audit trail",
         meaning="Who took which part of the trail.",
         detail={"count": "events", "format": "csv, jsonl, bundle", "part": "what was asked for"}),
    Word("audit.prune", "prune the audit trail", "pruned the audit trail",
         meaning="The oldest events were archived and deleted; what is left begins after this one's detail.",
         detail={"first": "first number", "last": "last number", "digest": "digest of the last",
                 "count": "events", "archive": "file name", "sha256": "of the archive"}),
    Word("audit.verify", "verify the audit trail", "verified the audit trail",
         meaning="On the command line: whether every digest is as it should be.",
         detail={"count": "events", "number": "of the last seal"}),
    Word("audit.head", "sign the head of the trail", "signed the head of the trail",
         meaning="On the command line; the loop's are not recorded."),
    Word("cleanup.orphan", "remove a container without a sandbox", "removed a container without a sandbox",
         meaning="A container of ours that no live record stands for.", detail={"container": "its id"}),
    Word("cleanup.clock", "notice that the clock jumped", "noticed that the clock jumped",
         meaning="Nothing expires for one round."),
    Word("cleanup.doubt", "end many sandboxes at once", "doubted that many sandboxes are over at once",
         meaning="More than five, and than a fifth of all, were past their end or without a container in one "
                 "round: those of which a look 10 s later says the same end then.",
         detail={"count": "how many", "sandboxes": "how many there are"}),
    Word("engine.start", "start {sandbox}", "started {sandbox}", alone="{sandbox} was started",
         meaning="By another hand."),
    Word("engine.exit", "end {sandbox}", "ended {sandbox}", alone="{sandbox} ended",
         meaning="By itself or by another hand; the reason says which."),
    Word("engine.pause", "pause {sandbox}", "paused {sandbox}", alone="{sandbox} was paused",
         meaning="By another hand."),
    Word("engine.resume", "resume {sandbox}", "resumed {sandbox}", alone="{sandbox} was resumed",
         meaning="By another hand."),
    Word("engine.remove", "remove {sandbox}", "removed {sandbox}", alone="the container of {sandbox} is gone",
         meaning="By another hand."),
    Word("engine.rename", "rename {sandbox}", "renamed {sandbox}",
         alone="the container of {sandbox} was renamed",
         meaning="By another hand."),
    Word("engine.update", "change {sandbox}", "changed {sandbox}",
         alone="the limits of {sandbox} were changed",
         meaning="By another hand; it is stopped where they are others than demanded."),
    Word("engine.copy", "copy files of {sandbox}", "copied files of {sandbox}",
         alone="files of {sandbox} were copied", meaning="Into it or out of it by another hand."),
    Word("engine.attach", "attach to {sandbox}", "attached to {sandbox}",
         alone="somebody attached to {sandbox}", meaning="By another hand."),
    Word("engine.commit", "make an image of {sandbox}", "made an image of {sandbox}",
         alone="an image was made of {sandbox}", meaning="By another hand."),
    Word("engine.export", "export {sandbox}", "exported {sandbox}",
         alone="the files of {sandbox} were exported",
         meaning="By another hand."),
    Word("engine.exec", "run {program} in {sandbox}", "ran {program} in {sandbox}",
         alone="{program} was run in {sandbox}", meaning="By another hand; never its arguments.",
         detail={"program": "its name"}),
    Word("engine.signal", "send {sandbox} a signal", "sent {sandbox} a signal",
         alone="{sandbox} was sent a signal", meaning="By another hand.", detail={"signal": "which"}),
    Word("webhook.add", "add webhook {target}", "added webhook {target}",
         meaning="Events are posted there from now on; never its URL or secret."),
    Word("webhook.change", "change webhook {target}", "changed webhook {target}",
         meaning="What it gets or where it is; of URL and secret only that they changed."),
    Word("webhook.remove", "remove webhook {target}", "removed webhook {target}",
         meaning="Nothing is posted there any more."),
    Word("webhook.test", "post a sample to webhook {target}", "posted a sample to webhook {target}",
         meaning="By the button; the reason says what came of it.", detail={"status": "of the answer"}),
    Word("webhook.resend", "send {count} events to webhook {target} again",
         "let {count} events be sent to webhook {target} again",
         meaning="From the delivery log.", detail={"count": "events"}),
    Word("webhook.fail", "post to webhook {target}", "posted to webhook {target}",
         meaning="Three posts in a row failed; they are tried again for a day."),
    Word("webhook.recover", "post to webhook {target} again", "posted to webhook {target} again",
         alone="webhook {target} answers again", meaning="After it had failed."),
    Word("webhook.give_up", "deliver {count} events to webhook {target}",
         "delivered {count} events to webhook {target}", meaning="They were tried for a day.",
         detail={"count": "events"}),
    Word("webhook.drop", "queue events for webhook {target}", "queued events for webhook {target}",
         meaning="Its queue is full; new events are left out until there is room again."),
)  # fmt: skip
