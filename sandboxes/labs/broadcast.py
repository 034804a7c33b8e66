"""To everyone of a lab or to a selection: a message now, a command or a file as rows that the loop works off.

A run's results are rows. The loop claims a few at a time, so that whoever asked may leave the page and
a restart loses nothing; what was begun when a process died is found again by its command's record.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Q, QuerySet

from sandboxes.lifecycle import audit, commands
from sandboxes.lifecycle.refusals import Refused
from sandboxes.models import Command, CommandStatus, Status, User
from sandboxes.units import format_size

from . import acting, bell, files, gate, opening, trail
from .acting import BEGUN
from .models import Lab, LabRun, LabRunResult, LabStatus, Message, Seat, SeatStatus

AT_ONCE = 8
"""Commands of runs that are under way at a time."""
FILE_CAP = 5 << 20
LONGEST = 1000
"""Characters of a message."""
TALKING = (LabStatus.PLANNED, LabStatus.OPEN)
ACTIONS = ("pause", "resume", "restart")


def chosen(lab: Lab, ids: Sequence[str]) -> QuerySet[Seat]:
    """The seats of a selection; ids of other labs are none of it."""
    rows = lab.seats.exclude(status=SeatStatus.CLOSED).filter(pk__in=list(ids)[:1000])
    return rows.select_related("enrollment__user", "lab__course", "sandbox__owner", "sandbox__image")


# -- now ----------------------------------------------------------------------------------------


def message(
    lab: Lab, text: str, by: audit.Origin, seats: Iterable[Seat] | None = None, name: str = ""
) -> int:
    """Tell everyone (``seats`` None) or some, under this name; to how many. Raises Refused."""
    text = text.strip()
    if lab.status not in TALKING:
        raise Refused("", f"This lab is {lab.status}: nobody would read it.")
    if not text or len(text) > LONGEST or "\0" in text:
        raise Refused("text", f"Write a message of 1 to {LONGEST} characters.")
    if seats is None:
        return _to_all(lab, text, by, name or by.name)
    rows = [Message(lab=lab, seat=seat, by_name=name or by.name, text=text) for seat in seats]
    if not rows:
        raise Refused("seats", "Choose somebody first.")
    with transaction.atomic():
        made = Message.objects.bulk_create(rows)
        trail.record("lab.message", by, lab, seats=[one.seat_id for one in made])
        for one in made:
            if one.seat is not None:
                trail.nudge(one.seat, "message", **_told(one))
    return len(made)


def _to_all(lab: Lab, text: str, by: audit.Origin, name: str) -> int:
    with transaction.atomic():
        trail.record("lab.message", by, lab, seats="all")
        trail.tell(lab, text, name)
    return lab.seats.exclude(status=SeatStatus.CLOSED).count()


def _told(one: Message) -> dict[str, Any]:
    """``id`` of its own: two messages in a moment are two."""
    return {"id": f"message-{one.pk}", "text": one.text, "by": one.by_name}


def extend(seats: Iterable[Seat], by: audit.Origin, minutes: int) -> int:
    """Extra time for each; how many."""
    count = 0
    for seat in seats:
        with suppress(Refused):  # it was closed meanwhile
            opening.extend_seat(seat, by, minutes * 60)
            count += 1
    return count


# -- runs ---------------------------------------------------------------------------------------


def command(lab: Lab, text: str, by: audit.Origin, seats: Iterable[Seat]) -> LabRun:
    """Have a command run in each. Raises Refused."""
    text = text.strip()
    if not text or len(text) > 4000 or "\0" in text:
        raise Refused("command", "Type a command of 1 to 4000 characters.")
    return _new(lab, by, list(seats), text=text)


def put_file(lab: Lab, name: str, data: bytes, by: audit.Origin, seats: Iterable[Seat]) -> LabRun:
    """Have a file put into each workspace. Raises Refused."""
    if name in ("", ".", "..") or "/" in name or "\0" in name or not name.isprintable() or len(name) > 200:
        raise Refused("file", "The file needs a plain name of at most 200 characters.")
    if len(data) > FILE_CAP:
        raise Refused("file", f"A file for everyone has at most {format_size(FILE_CAP)}.")
    forget_files()
    return _new(lab, by, list(seats), file_name=name, data=data)


def act(lab: Lab, action: str, by: audit.Origin, seats: Iterable[Seat]) -> LabRun:
    """Have each paused ("eyes up"), resumed or restarted. Raises Refused."""
    return _new(lab, by, list(seats), action=action)


def forget_files() -> None:
    """Let go of files that were put into seats of labs that are over."""
    root = Path(settings.DATA_DIR) / "runs"
    there = {path.name for path in root.glob("lab_*")}
    kept = Lab.objects.filter(pk__in=there, status=LabStatus.OPEN).values_list("pk", flat=True)
    for name in there - set(kept):
        shutil.rmtree(root / name, ignore_errors=True)


def _new(lab: Lab, by: audit.Origin, seats: list[Seat], data: bytes | None = None, **what: str) -> LabRun:
    """Rows first; the file lies on disk before anybody can see them."""
    if lab.status != LabStatus.OPEN:
        raise Refused("", "That can be done while the lab is open.")
    if not seats:
        raise Refused("seats", "Choose somebody first.")
    with transaction.atomic():
        run = LabRun.objects.create(lab=lab, by_name=by.name, **what)
        if data is not None:
            path = path_of(run)
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.write_bytes(data)
        LabRunResult.objects.bulk_create([LabRunResult(run=run, seat=seat) for seat in seats])
        trail.record("lab.run", by, lab, run=run.pk, seats=len(seats), file=run.file_name,
                     act=run.action)  # fmt: skip
        bell.ring()
    return run


def path_of(run: LabRun) -> Path:
    """Where the file of a run lies."""
    return Path(settings.DATA_DIR) / "runs" / run.lab_id / str(run.pk)


def retry(run: LabRun, by: audit.Origin) -> int:
    """Again where it failed; how many."""
    if run.lab.status != LabStatus.OPEN:
        return 0
    rows = run.results.filter(done=True).exclude(good())
    with transaction.atomic():
        count = rows.update(done=False, command=None, reason="")
        if count:
            trail.record("lab.run", by, run.lab, run=run.pk, again=count)
            bell.ring()
    return count


def good(at: str = "") -> Q:
    """Results, at this prefix, that are through and were done: a command with exit code 0."""
    ran = Q(**{f"{at}command__status": CommandStatus.EXITED, f"{at}command__exit_code": 0})
    return Q(**{f"{at}done": True, f"{at}reason": ""}) & (Q(**{f"{at}command__isnull": True}) | ran)


def recent(lab: Lab) -> list[LabRun]:
    """The latest runs with how far they are, and how many of the seats that are through failed."""
    ended = Count("results", filter=Q(results__done=True))
    done = Count("results", filter=good("results__"))
    return list(lab.runs.annotate(total=Count("results"), ended=ended, failed=F("ended") - done)[:5])


# -- for the loop -------------------------------------------------------------------------------

EVERY = ("run__lab__course", "seat__enrollment", "seat__lab__course", "seat__sandbox__owner", "command")


def go_on() -> bool:
    """Go on with every run; whether there is more to do at once."""
    if not LabRunResult.objects.filter(done=False).exists():  # as nearly always
        return False
    open_rows = LabRunResult.objects.filter(done=False).select_related(*EVERY)
    under_way = list(open_rows.filter(Q(command__isnull=False) | Q(reason__startswith=BEGUN)))
    still = [one for one in under_way if not _settle(one)]
    fresh = open_rows.filter(command=None, reason="").order_by("id")
    began = [one for some in _next(fresh, still) for one in some if _begin(one)]
    return bool(still or began)


def _next(fresh: QuerySet[LabRunResult], still: list[LabRunResult]) -> Iterator[QuerySet[LabRunResult]]:
    """Who is next of each kind by itself: "eyes up" waits for no command to end, nor do one person's
    commands for another's."""
    acts = sum(bool(one.run.action) for one in still)
    yield fresh.exclude(run__action="")[: max(AT_ONCE - acts, 0)]
    yield fresh.exclude(run__file_name="")[:AT_ONCE]
    commands = fresh.exclude(run__text="")
    names = set(commands.order_by().values_list("run__by_name", flat=True).distinct())
    full = [user.username for user in User.objects.filter(username__in=names) if _is_full(user)]
    yield commands.exclude(run__by_name__in=full)[: max(AT_ONCE - len(still) + acts, 0)]


def _begin(result: LabRunResult) -> bool:
    """Claim it, then do it."""
    reason = f"{BEGUN}{time.time():.3f}"
    if not LabRunResult.objects.filter(pk=result.pk, done=False, command=None, reason="").update(
        reason=reason
    ):
        return False
    result.reason = reason
    _do(result)
    return bool(result.done or result.reason or result.command)


def _do(result: LabRunResult) -> None:
    run, sandbox = result.run, result.seat.sandbox
    if run.lab.status != LabStatus.OPEN:
        return acting.end(result, "The lab was over.")
    if gone := _may_no_more(run):
        return acting.end(result, gone)
    if sandbox is None or sandbox.status == Status.REMOVED:
        return acting.end(result, "There is no sandbox at present.")
    if run.file_name:
        problem = _put(run, sandbox)
        trail.record("seat.file", acting.who(result), result.seat, file=run.file_name, reason=problem,
                     duration=audit.since(acting.began(result)),
                     outcome=trail.Outcome.FAILED if problem else trail.Outcome.OK)  # fmt: skip
        return acting.end(result, problem)
    if run.action:
        return acting.begin(result, sandbox)
    return _run(result)


def _may_no_more(run: LabRun) -> str:
    """Why what is left of a run does not happen: whoever pressed the button may not do so any more."""
    user = User.objects.filter(username=run.by_name).first()
    may = user is None or gate.can(user, run.lab.course, gate.ACT)
    return "" if may else f"{run.by_name} may not act in this course any more."


def _put(run: LabRun, sandbox: Any) -> str:
    """Put the file there; why not, where that failed."""
    if sandbox.status != Status.RUNNING:
        return f"Its sandbox is {sandbox.status}."
    try:
        return files.put_one(sandbox, run.file_name, path_of(run).read_bytes())
    except OSError:
        return "The file is gone from the server. Upload it again."


def _run(result: LabRunResult) -> None:
    user = User.objects.filter(username=result.run.by_name).first()
    if user is not None and _is_full(user):
        return _postpone(result)
    by = acting.who(result)
    assert result.seat.sandbox is not None
    try:
        made = commands.run(result.seat.sandbox, result.run.text, origin=by, user=user, wait=0)
    except Refused as refusal:
        return acting.end(result, str(refusal))
    _know(result, made)
    return None


def _is_full(user: User) -> bool:
    """Whether this person's share of the commands is taken, but for what they may want to run by hand."""
    most = max(int(settings.SANDBOX_USER_COMMANDS) - 2, 1)
    return Command.objects.filter(by=user, status=CommandStatus.RUNNING).count() >= most


def _postpone(result: LabRunResult) -> None:
    """Back among those that wait."""
    LabRunResult.objects.filter(pk=result.pk).update(reason="")
    result.reason = ""


def _know(result: LabRunResult, made: Command) -> None:
    LabRunResult.objects.filter(pk=result.pk).update(command=made, reason="")
    result.command, result.reason = made, ""


def _settle(result: LabRunResult) -> bool:
    """Whether it is over; what was begun and is not known to run is looked for, then begun again."""
    if result.run.action and not acting.is_lost(result):
        return result.done
    if result.command is None:
        known = _lost(result)
        if known is None:
            _do(result)
            return result.done
        _know(result, known)
    assert result.command is not None
    if result.command.is_running:
        return False
    acting.end(result, "")
    return True


def _lost(result: LabRunResult) -> Command | None:
    """The command of a result whose process died before it could write it down."""
    if result.run.action:
        return None
    since = acting.began(result) - timedelta(seconds=1)
    mine = Q(text=result.run.text, by_name=result.run.by_name, created_at__gte=since)
    return Command.objects.filter(mine, sandbox=result.seat.sandbox_id).order_by("created_at").first()
