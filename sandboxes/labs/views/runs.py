"""What staff do to everyone or a selection, and the matrix of what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.db.models import BinaryField
from django.db.models.functions import Greatest, Length, Substr
from django.http import Http404, HttpResponse
from django.shortcuts import render, resolve_url
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseClientRedirect

from sandboxes import cells
from sandboxes.labs import broadcast, gate, members, trail
from sandboxes.labs.acting import BEGUN
from sandboxes.labs.models import Lab, LabRun, LabRunResult, SeatStatus
from sandboxes.lifecycle.refusals import Refused
from sandboxes.lifecycle.transitions import TABLE
from sandboxes.views.commands import readable
from sandboxes.views.filters import clean
from sandboxes.views.web import Request, back, onward, origin, private, say, see_other

SHOWN = 8 * 1024
"""Bytes of each stream that the matrix unfolds; all of it is on the command's own page."""
CELL = 2000
LINE = 200
"""Characters of output in a row that is not unfolded."""
MOST = 12 * 60
Said = tuple[str, str]


@require_POST
@private
def to_many(request: Request, pk: str) -> HttpResponse:
    """One act for the seats that are ticked, or for all of them."""
    lab = gate.get_lab(request.user, pk, gate.ACT)
    word = request.POST.get("do", "")
    act = ACTS.get(word)
    if act is None:
        raise Http404("No such action.")
    try:
        done = act(request, lab, seats_of(request, lab))
    except Refused as refusal:
        facts: dict[str, Any] = {"do": word, "field": refusal.field}
        trail.record("lab.many", origin(request), lab, outcome=trail.Outcome.REFUSED,
                     reason=str(refusal), **facts)  # fmt: skip
        return told(request, lab, "warning", str(refusal), 422)
    if isinstance(done, LabRun) and not done.action:
        return opened(request, done)
    return told(request, lab, *(begun(done) if isinstance(done, LabRun) else done))


def begun(run: LabRun) -> Said:
    """What is said on the wall, where whoever pressed it stays."""
    count = run.results.count()
    seats = "seat" if count == 1 else "seats"
    return "success", f"{run}: {count} {seats}. “Done for many” shows how far it is."


def opened(request: Request, run: LabRun) -> HttpResponse:
    """The run's own page."""
    to = place(request, run)
    return HttpResponseClientRedirect(to) if request.htmx else see_other(to)


def place(request: Request, run: LabRun) -> str:
    """Where the run is shown; from there it goes back to the wall as they had it."""
    to, wall = resolve_url("lab_run", run.lab_id, run.pk), wall_before(request, run.lab)
    return f"{to}?{urlencode({'next': wall})}" if "?" in wall else to


def wall_before(request: Request, lab: Lab) -> str:
    """The wall that they come from, with its order and section; else as it begins."""
    plain, before = resolve_url("wall", lab.pk), onward(request)
    return before if before.partition("?")[0] == plain else plain


def told(request: Request, lab: Lab, level: str, text: str, status: int = 204) -> HttpResponse:
    """What came of it, on the wall; a script keeps what was typed where it was refused (422)."""
    answer = HttpResponse(status=status) if request.htmx else back(request, "wall", lab.pk)
    return say(request, answer, level, text)


def seats_of(request: Request, lab: Lab) -> list[Any]:
    """The seats that are meant. "All", of a section too, are those that are not closed when it is pressed."""
    if request.POST.get("all"):
        rows, section = lab.seats.exclude(status=SeatStatus.CLOSED), clean(request.POST.get("section", ""))
        ids = list(
            (rows.filter(enrollment__section=section) if section else rows).values_list("pk", flat=True)
        )
    else:
        ids = [clean(one)[:24] for one in request.POST.getlist("seat")]
    found = list(broadcast.chosen(lab, ids))
    if not found:
        raise Refused("seats", "Tick some tiles first, or choose everyone.")
    return found


def message(request: Request, lab: Lab, seats: list[Any]) -> Said:
    everyone = bool(request.POST.get("all")) and not request.POST.get("section")
    text = request.POST.get("text", "")
    name = members.called(lab.course, request.user)
    count = broadcast.message(lab, text, origin(request), None if everyone else seats, name)
    return "success", f"Told {count}."


def command(request: Request, lab: Lab, seats: list[Any]) -> LabRun:
    return broadcast.command(lab, request.POST.get("command", ""), origin(request), seats)


def put_file(request: Request, lab: Lab, seats: list[Any]) -> LabRun:
    file = request.FILES.get("file")
    if file is None:
        raise Refused("file", "Choose a file first.")
    if file.size is not None and file.size > broadcast.FILE_CAP:
        raise Refused("file", "A file for everyone has at most 5 MB.")
    return broadcast.put_file(lab, file.name or "", file.read(), origin(request), seats)


def extend(request: Request, lab: Lab, seats: list[Any]) -> Said:
    text = request.POST.get("minutes", "15")
    minutes = int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else 0
    if not 1 <= minutes <= MOST:
        raise Refused("minutes", f"Give 1 to {MOST} minutes.")
    return "success", f"{minutes} minutes more for {broadcast.extend(seats, origin(request), minutes)}."


def acting(action: str) -> Callable[[Request, Lab, list[Any]], LabRun]:
    """Pause, resume or restart; the loop does it, so that whoever asked waits for none of them."""
    return lambda request, lab, seats: broadcast.act(lab, action, origin(request), seats)


ACTS: dict[str, Callable[[Request, Lab, list[Any]], Said | LabRun]] = {
    "message": message, "command": command, "file": put_file, "extend": extend,
    **{action: acting(action) for action in broadcast.ACTIONS},
}  # fmt: skip


# -- the matrix ---------------------------------------------------------------------------------


def _part(stream: str, start: Any, length: int) -> Substr:
    return Substr(stream, start, length, output_field=BinaryField())


ENDS = {
    f"{name}_{part}": _part(f"command__{name}", start, most)
    for name in ("stdout", "stderr")
    for part, start, most in (
        ("start", 1, CELL), ("end", Greatest(Length(f"command__{name}") - SHOWN + 1, 1), SHOWN),
    )
}  # fmt: skip
"""Of each stream its first and its last bytes."""


class Row:
    """One seat's line: the word for what came of it, its shape, and the output."""

    def __init__(self, result: LabRunResult) -> None:
        self.result, self.command = result, result.command
        who = result.seat.enrollment
        self.name, self.section = f"{who.name} (guest)" if who.is_guest else who.name, who.section

    @property
    def is_begun(self) -> bool:
        return self.result.reason.startswith(BEGUN)

    @property
    def is_good(self) -> bool:
        if not self.result.done or self.result.reason:
            return False
        return self.command is None or (self.command.exit_code == 0 and self.command.status == "exited")

    @property
    def word(self) -> str:
        """In a word or two."""
        if not self.result.done:
            return "running" if self.command or self.is_begun else "waiting"
        if self.result.reason:
            return "not done"
        if self.command is None:
            action = self.result.run.action
            return TABLE[action].past if action else "copied"
        return f"exit {self.command.exit_code}" if self.command.status == "exited" else str(self.status)

    @property
    def status(self) -> Any:
        return self.command.get_status_display().lower() if self.command else ""

    @property
    def why(self) -> str:
        """A sentence, where there is one."""
        return "" if self.is_begun else self.result.reason or (self.command.reason if self.command else "")

    def text(self, name: str, most: int = SHOWN) -> str:
        """The end of a stream."""
        return readable(bytes(getattr(self.result, f"{name}_end") or b"")[-most:])

    @property
    def output(self) -> str:
        return self.text("stdout")

    @property
    def begins(self) -> str:
        """The first line that says something: of what it printed, or where it failed of its errors."""
        if self.command is None:
            return ""
        order = ("stdout", "stderr") if self.is_good else ("stderr", "stdout")
        texts = [readable(bytes(getattr(self.result, f"{name}_start") or b"")) for name in order]
        return next((line.strip() for text in texts for line in text.splitlines() if line.strip()), "")[:LINE]

    @property
    def errors(self) -> str:
        return self.text("stderr")


def get_run(request: Request, pk: str, number: int, need: str = gate.LOOK) -> LabRun:
    """A run of a lab that this person may see; raises Http404."""
    lab = gate.get_lab(request.user, pk, need)
    run = lab.runs.filter(pk=number).first()
    if run is None:
        raise Http404("No such run.")
    run.lab = lab
    return run


def rows_of(run: LabRun) -> list[Row]:
    """Its lines. One query, which reads of each stream what is shown: a class may have written gigabytes."""
    rows = run.results.select_related("seat__enrollment", "command", "run").annotate(**ENDS)
    return [Row(one) for one in rows.defer("command__stdout", "command__stderr")]


@require_GET
@private
def run_detail(request: Request, pk: str, number: int) -> HttpResponse:
    """The matrix; a fragment of it while it goes on."""
    run = get_run(request, pk, number)
    rows = rows_of(run)
    ended = [row for row in rows if row.result.done]
    context = {
        "run": run, "lab": run.lab, "course": run.lab.course, "rows": rows, "ended": len(ended),
        "good": sum(row.is_good for row in rows), "bad": sum(not row.is_good for row in ended),
        "may_act": gate.can(request.user, run.lab.course, gate.ACT), "wall": wall_before(request, run.lab),
    }  # fmt: skip
    part = "#matrix" if request.htmx else ""
    return render(request, f"labs/run.html{part}", context)


@require_POST
@private
def run_retry(request: Request, pk: str, number: int) -> HttpResponse:
    """Again where it failed."""
    run = get_run(request, pk, number, gate.ACT)
    count = broadcast.retry(run, origin(request))
    answer = see_other(place(request, run))
    return say(request, answer, "success" if count else "info",
               f"{count} tried again." if count else "Nothing to try again.")  # fmt: skip


@require_GET
@private
def run_csv(request: Request, pk: str, number: int) -> HttpResponse:
    """The matrix for a spreadsheet."""
    run = get_run(request, pk, number)
    trail.record("lab.export", origin(request), run.lab, table="run", run=run.pk)
    heads = ("name", "section", "result", "exit code", "reason", "output", "errors")
    rows = (
        (row.name, row.section, row.word, row.command.exit_code if row.command else None, row.why,
         row.text("stdout", CELL), row.text("stderr", CELL)) for row in rows_of(run)
    )  # fmt: skip
    return cells.answer(f"{run.lab_id}-run-{run.pk}", heads, rows)
