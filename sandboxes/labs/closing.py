"""The end of a lab: warn, save every workspace, remove the sandboxes, a wave at a time."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from sandboxes.engine import get_engine
from sandboxes.engine.base import EngineError, Unreachable
from sandboxes.lifecycle import actions, audit, transitions, work
from sandboxes.lifecycle.in_hand import InHand
from sandboxes.models import UP, Sandbox, Status
from sandboxes.units import format_duration

from . import bell, files, hands, opening, seats, trail
from .models import Lab, LabStatus, Message, Seat, SeatStatus

WAVE = work.ASIDE["saves"]
"""Seats that are saved and removed at a time, so that a class that ends holds up none that begins."""
KEPT = timedelta(days=1)
"""How long a sandbox whose work could not be saved stays, stopped, after its lab."""
WAKES = {Status.PAUSED: "resume", Status.STOPPED: "start", Status.FAILED: "start"}
"""How one that has files and does not run is made to run."""
HERE = (SeatStatus.WAITING, SeatStatus.STARTING, SeatStatus.READY, SeatStatus.FAILED)
EVERY = ("lab__course", "lab__version", "enrollment__user", "sandbox__owner", "sandbox__image")

_in_hand = InHand("saves")
"""Seats that are being closed."""
_put_off: dict[str, float] = {}
"""Seats of which the last try came to nothing, and when: the engine was away, or did not answer."""


# -- warn ---------------------------------------------------------------------------------------


def warn() -> None:
    """Tell everybody of a lab that ends soon, once; and who has extra time of their own end."""
    soon = timezone.now() + opening.WARNING
    open_ones = Lab.objects.filter(status=LabStatus.OPEN, closes_at__lte=soon)
    for lab in open_ones.filter(warned_at=None).select_related("course"):
        with transaction.atomic():
            if Lab.objects.filter(pk=lab.pk, warned_at=None).update(warned_at=timezone.now()):
                _tell(lab, f"This lab closes in {_minutes(lab.closes_at)} min. Your files are saved then.")
                _comfort(lab)
    _warn_late(soon)


def _comfort(lab: Lab) -> list[Seat]:
    """Who has more time than the others is told so, lest they hurry; who that is."""
    found = late(lab)
    for seat in found:
        trail.tell(seat, f"You have {format_duration(seat.extra)} more than the others.")
    return found


def _warn_late(soon: datetime) -> None:
    """Those with extra time whose own end is near, once each."""
    mine = Q(
        extra__gt=0, warned_at=None, status__in=HERE, lab__status=LabStatus.OPEN, lab__closes_at__lte=soon
    )
    for seat in Seat.objects.filter(mine).select_related("lab"):
        if seat.closes_at > soon:
            continue
        with transaction.atomic():
            if Seat.objects.filter(pk=seat.pk, warned_at=None).update(warned_at=timezone.now()):
                text = f"Your extra time ends in {_minutes(seat.closes_at)} min. Your files are saved then."
                _tell(seat, text)


def _tell(what: Lab | Seat, text: str) -> None:
    """When it ends: pages replace what was said of it before."""
    trail.tell(what, text, about=Message.END)


def _minutes(at: datetime) -> int:
    return max(round((at - timezone.now()).total_seconds() / 60), 1)


def begin(lab: Lab, by: audit.Origin, name: str, minutes: int = 0) -> str:
    """Close by hand, now or in some minutes; everybody in the room is told.

    ``name`` is what people call who does it. What comes of it is a sentence for them; empty when it is
    not open. Who has extra time has it also after those minutes; once the lab's own time is over, the
    minutes are for who has extra time.
    """
    with transaction.atomic():
        if not minutes:
            return _begin_now(lab, by, name)
        row = Lab.objects.select_for_update().get(pk=lab.pk)
        if row.status != LabStatus.OPEN:
            return ""
        closes = timezone.now() + timedelta(minutes=minutes)
        bring = _bring_forward if row.closes_at > timezone.now() else _cut_extra
        until, sentence, facts = bring(row, closes, name)
        lab.refresh_from_db()
        trail.record("lab.close_soon", by, lab, closes_at=until.isoformat(timespec="seconds"), **facts)
        trail.nudge(lab)
    return sentence


def _begin_now(lab: Lab, by: audit.Origin, name: str) -> str:
    if lab.status == LabStatus.OPEN:
        _tell(lab, f"{name} closes this lab now. Your files are being saved.")
    done = opening.close_lab(lab, by)
    return f"{lab.title} is being closed: workspaces are saved first." if done else ""


Brought = tuple[datetime, str, dict[str, Any]]
"""The end that came of it, the sentence for who asked, and facts for the record."""


def _bring_forward(lab: Lab, closes: datetime, name: str) -> Brought:
    """An end of the lab that is sooner; extra time stays, and whoever has some is told so."""
    until = min(closes, lab.closes_at)
    Lab.objects.filter(pk=lab.pk).update(closes_at=until, warned_at=timezone.now())
    _tell(lab, f"{name} closes this lab in {_minutes(until)} min. Your files are saved then.")
    stay = _who_stays(_comfort(lab))
    return until, f"Everybody is told: it closes in {_in_words(until)}.{stay}", {}


def _cut_extra(lab: Lab, closes: datetime, name: str) -> Brought:
    """A sooner end for those with extra time, who alone are still at work."""
    here = late(lab)
    told = [seat for seat in here if seat.closes_at > closes]
    for seat in told:
        seat.extra = max(int((closes - lab.closes_at).total_seconds()), 0)
        columns = {"extra": seat.extra, "warned_at": timezone.now(), "changed_at": timezone.now()}
        Seat.objects.filter(pk=seat.pk).update(**columns)
        _tell(seat, f"{name} closes this lab in {_minutes(closes)} min. Your files are saved then.")
        trail.nudge(seat)
    until = max((seat.closes_at for seat in here), default=timezone.now())
    return until, _what_ends(told, until), {"seats": [seat.pk for seat in told]}


def _what_ends(told: list[Seat], until: datetime) -> str:
    """What became of extra time, for who asked."""
    if not told:
        return f"Nobody has more time than that: it closes in {_in_words(until)}."
    names = told[0].enrollment.name if len(told) == 1 else f"{len(told)} students"
    has, are = ("has", "is") if len(told) == 1 else ("have", "are")
    return f"{names}, who {has} extra time, {are} told: it closes in {_in_words(until)}."


def late(lab: Lab) -> list[Seat]:
    """Seats with extra time that are not closed yet."""
    return list(lab.seats.filter(extra__gt=0, status__in=HERE).select_related("lab", "enrollment"))


def _who_stays(seats: list[Seat]) -> str:
    """Who goes on for how long, after a sentence that tells the lab's end."""
    if not seats:
        return ""
    most = format_duration(max(seat.extra for seat in seats))
    if len(seats) == 1:
        return f" {seats[0].enrollment.name} has {most} more."
    return f" {len(seats)} students have extra time after that, {most} at most."


def _in_words(at: datetime) -> str:
    count = _minutes(at)
    return f"{count} minute{'' if count == 1 else 's'}"


# -- close --------------------------------------------------------------------------------------


def close_due() -> None:
    """Close labs whose time, and everybody's extra time, is over; until then seats whose own time is."""
    for lab in Lab.objects.filter(status=LabStatus.OPEN, closes_at__lte=timezone.now()).select_related(
        "course"
    ):
        latest = max((seat.extra for seat in lab.seats.all()), default=0)
        if lab.closes_at + seats.timedelta(seconds=latest) <= timezone.now():
            opening.close_lab(lab, audit.PROVISION, reason="its time was over", latest=latest)
        else:
            _close_over(lab)


def _close_over(lab: Lab) -> None:
    """Seats without more time, while others have some: their sandboxes would expire, and nothing be saved."""
    late = (timezone.now() - lab.closes_at).total_seconds()
    _close_some(lab.seats.filter(status__in=(SeatStatus.READY, SeatStatus.SAVING), extra__lte=late))


def go_on() -> bool:
    """Go on with labs that are being closed; whether more is to be done as soon as that is through."""
    begun: set[str] = set()
    labs = list(Lab.objects.filter(status=LabStatus.CLOSING).select_related("course"))
    left = Seat.objects.filter(lab__in=labs).exclude(status=SeatStatus.CLOSED)
    if labs:
        begun |= _close_some(left)
    for lab in labs:
        if not left.filter(lab=lab).exists():
            _finish(lab)
    begun |= _save_again()
    return bool((begun | _in_hand.keys()) - set(_put_off))


def is_busy() -> bool:
    """Whether threads of this process are closing seats."""
    return bool(_in_hand)


def again(seat: Seat, by: audit.Origin) -> bool:
    """Try once more to save what could not be saved, while its sandbox is still there; the loop does it."""
    sandbox = seat.sandbox
    if not seat.saved_reason or sandbox is None or sandbox.status == Status.REMOVED:
        return False
    with transaction.atomic():
        if not seats.change(seat, SeatStatus.CLOSED, SeatStatus.SAVING, saved_reason=""):
            return False
        trail.record("seat.save_again", by, seat)
        bell.ring()
        trail.nudge(seat)
    return True


def _save_again() -> set[str]:
    """Go on with seats that are saved once more though their lab is closed; those that were begun."""
    rows = Seat.objects.filter(status=SeatStatus.SAVING, lab__status=LabStatus.CLOSED)
    return _close_some(rows) if rows.exists() else set()  # as nearly always


def _close_some(rows: QuerySet[Seat]) -> set[str]:
    """Have threads close some of these, WAVE of all labs at a time, none by two; those that were begun.

    What came to nothing comes last, the latest at the very end: it holds up nobody who can be saved.
    """
    busy = _in_hand.keys()
    pks = rows.exclude(pk__in=busy).values_list("pk", flat=True)
    some = sorted(pks, key=lambda pk: _put_off.get(pk, 0.0))[: max(WAVE - len(busy), 0)]
    for seat in rows.filter(pk__in=some).select_related(*EVERY):
        _in_hand.begin(seat.pk, _close, seat)
    return set(some)


def _close(seat: Seat) -> None:
    is_through = False
    try:
        is_through = close_seat(seat)
    finally:
        _put_off.pop(seat.pk, None)
        if not is_through:
            _put_off[seat.pk] = time.monotonic()


def close_seat(seat: Seat) -> bool:
    """Save and remove one seat; False while the engine is away, or somebody else's act is under way with its
    sandbox. Each step may be done again.

    Steps: 1. mark 2. save 3. remove 4. closed.
    """
    if seat.status != SeatStatus.SAVING and not _mark(seat):
        return True
    is_told = seat.saved_at is not None or seat.saved_reason
    if seat.sandbox is not None and seat.sandbox.status == Status.REMOVED and not is_told:
        files.note(seat, files.why_not(seat.sandbox, "Its sandbox had been removed before."))
    elif seat.sandbox is not None and seat.sandbox.status != Status.REMOVED:
        if not is_told and not (_wake(seat.sandbox) and files.save_workspace(seat, seat.sandbox)):
            return False
        _let_go(seat, seat.sandbox)
    _let_down(seat)
    seats.change(seat, SeatStatus.SAVING, SeatStatus.CLOSED)
    return True


def _mark(seat: Seat) -> bool:
    """Ours to save; not where more time was given since we looked, to it or to everybody."""
    with transaction.atomic():
        lab = Lab.objects.select_for_update().get(pk=seat.lab_id)
        if lab.status == LabStatus.OPEN and lab.closes_at > seat.lab.closes_at:
            return False
        same = Q() if lab.status == LabStatus.CLOSING else Q(extra=seat.extra)
        return seats.change(seat, SeatStatus(seat.status), SeatStatus.SAVING, where=same)


def _let_down(seat: Seat) -> None:
    """A hand that is up would wait for ever."""
    hand = hands.open_of(seat)
    if hand is not None:
        hands.resolve(hand, audit.PROVISION, reason="the seat was closed")


def _let_go(seat: Seat, sandbox: Sandbox) -> None:
    """Remove it; where the work is in it and could not be saved, only stop it and keep it for a while.

    A strict one has its files in memory, and is paused.
    """
    if not seat.saved_reason or not sandbox.native_id or sandbox.started_at is None:
        actions.remove(sandbox, by=audit.PROVISION, wait=None, reason="the lab was closed")
        return
    _keep(sandbox)
    if sandbox.status in UP:
        actions.act(sandbox, "pause" if sandbox.is_strict else "stop", audit.PROVISION, wait=None)


def _keep(sandbox: Sandbox) -> None:
    until = timezone.now() + KEPT
    facts = {"until": until.isoformat(timespec="seconds")}
    transitions.amend(
        sandbox, "extend", audit.PROVISION, where=Q(expires_at__lt=until), facts=facts, expires_at=until
    )


def _wake(sandbox: Sandbox) -> bool:
    """What stands still cannot be read: who closes while all eyes are up loses nobody's work.

    False where another act is under way, or the engine is away: then it is tried again.
    """
    action = WAKES.get(Status(sandbox.status)) if sandbox.native_id else None
    try:
        if action:
            _rouse(sandbox, action)
    except EngineError as error:
        return not isinstance(error, Unreachable)
    return not sandbox.pending or sandbox.started_at is None


def _rouse(sandbox: Sandbox, action: str) -> None:
    """Raises EngineError where its container is gone (one that failed would be launched anew, and empty), or
    where the engine does not answer."""
    get_engine().inspect(sandbox.native_id)
    if action == "start":
        _keep(sandbox)  # one that does not start has failed, and is not given more time then
    if not actions.act(sandbox, action, audit.PROVISION, wait=None).done:
        get_engine().inspect(sandbox.native_id)


def _finish(lab: Lab) -> None:
    with transaction.atomic():
        now = timezone.now()
        if Lab.objects.filter(Q(pk=lab.pk), status=LabStatus.CLOSING).update(
            status=LabStatus.CLOSED, closed_at=now
        ):
            trail.record("lab.closed", audit.PROVISION, lab)
            trail.nudge(lab)
