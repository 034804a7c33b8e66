"""What a student does at a seat beside the terminal: arrive, tick steps, raise a hand, let staff type."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from sandboxes.lifecycle import audit
from sandboxes.lifecycle.refusals import Refused
from sandboxes.models import Event, Outcome, Sandbox, Status

from . import pictures, trail
from .models import Enrollment, Hand, Lab, Message, Seat, SeatStatus
from .sheets import Sheet, Step

LONGEST = 200
"""Characters of what is said with a raised hand."""
SEEN = timedelta(seconds=20)
MESSAGES = 20
ACTIVE = (SeatStatus.WAITING, SeatStatus.STARTING, SeatStatus.READY, SeatStatus.FAILED)
"""While a seat is one of these its student can do something."""
LOOPS = (audit.CLEANUP.kind, audit.PROVISION.kind)
"""These pause what keeps its files in memory, where another one is stopped: that is no "eyes up"."""


def arrive(seat: Seat, by: audit.Origin) -> None:
    """Note that the student is here: once that they came, and now and then when they were seen last."""
    now = timezone.now()
    if seat.joined_at is None:
        with transaction.atomic():
            if Seat.objects.filter(pk=seat.pk, joined_at=None).update(joined_at=now, seen_at=now):
                trail.record("seat.join", by, seat)
                trail.nudge(seat)  # its own page and the staff's; not every student's
    elif seat.seen_at is None or now - seat.seen_at > SEEN:
        Seat.objects.filter(pk=seat.pk).update(seen_at=now)


# -- steps --------------------------------------------------------------------------------------


def sheet(seat: Seat) -> Sheet:
    """The sheet this seat's lab started with."""
    return pictures.sheet_of(seat.lab.version)


def current(seat: Seat, steps: tuple[Step, ...]) -> int:
    """The step worked on, within the sheet; 0 when it has none."""
    return min(max(seat.step, 1), len(steps))


def mark(seat: Seat, number: int, done: bool, by: audit.Origin) -> None:
    """Tick a step, which leads to the next one that is not done, or take the tick back.

    Two tabs that tick different steps at once both count.
    """
    total = len(sheet(seat).steps)
    with transaction.atomic():
        row = Seat.objects.select_for_update().get(pk=seat.pk)
        ticked = {step for step in row.steps if 1 <= step <= total} - {number}
        seat.steps = sorted(ticked | {number}) if done else sorted(ticked)
        step = _next(seat.steps, number, total) if done else number
        Seat.objects.filter(pk=seat.pk).update(steps=seat.steps, changed_at=timezone.now())
        _move(seat, step, row.step)
        trail.record("seat.step", by, seat, step=number, done=done)
        trail.nudge(seat)


def go(seat: Seat, number: int) -> None:
    """Work on this step."""
    with transaction.atomic():
        row = Seat.objects.select_for_update().get(pk=seat.pk)
        _move(seat, number, row.step)
        trail.nudge(seat)


def _next(ticked: list[int], number: int, total: int) -> int:
    """The first step after this one that is not done, else the first at all, else this one."""
    order = [*range(number + 1, total + 1), *range(1, number)]
    return next((step for step in order if step not in ticked), number)


def _move(seat: Seat, to: int, was: int) -> None:
    seat.step = to
    if to != was:
        seat.step_since = timezone.now()
        Seat.objects.filter(pk=seat.pk).update(step=to, step_since=seat.step_since)


# -- hands, typing, messages --------------------------------------------------------------------


def hand(seat: Seat) -> Hand | None:
    """The raised hand."""
    return seat.hands.filter(resolved_at=None).select_related("claimed_by").first()


def raise_hand(seat: Seat, text: str, by: audit.Origin) -> None:
    """Raise the hand, or change what is said with the one that is up. Raises Refused."""
    text = clean(text)
    if seat.status not in ACTIVE:
        raise Refused("text", "This lab is over.")
    if len(text) > LONGEST:
        raise Refused("text", f"Say it in {LONGEST} characters; this has {len(text)}.")
    with transaction.atomic():
        up = hand(seat)
        if up is None:
            up = _new_hand(seat, text)
        if up is not None and up.text != text:
            Hand.objects.filter(pk=up.pk).update(text=text)
        trail.record("seat.hand", by, seat, up=True)
        _told(seat)


def _new_hand(seat: Seat, text: str) -> Hand | None:
    try:
        with transaction.atomic():
            return Hand.objects.create(seat=seat, text=text)
    except IntegrityError:  # another tab was faster
        return hand(seat)


def take_down(seat: Seat, by: audit.Origin) -> None:
    """Take the hand down; twice is once."""
    with transaction.atomic():
        if seat.hands.filter(resolved_at=None).update(resolved_at=timezone.now()):
            trail.record("seat.hand", by, seat, up=False)
            _told(seat)


def clean(text: str) -> str:
    """A line as it can be kept and shown."""
    return " ".join("".join(one if one.isprintable() else " " for one in text[:20_000]).split())


def allow_typing(seat: Seat, by: audit.Origin) -> bool:
    """Yes to the one who asked; False when nobody does any more."""
    return _typing(seat, by, "yes", {"typist_id": seat.typing_asked_by_id, "typing_asked_by": None})


def refuse_typing(seat: Seat, by: audit.Origin) -> bool:
    """No to the one who asked."""
    return _typing(seat, by, "no", {"typing_asked_by": None})


def _typing(seat: Seat, by: audit.Origin, answer: str, columns: dict[str, Any]) -> bool:
    """The answer counts for the one who is seen to ask, not for whoever asked meanwhile."""
    asked = seat.typing_asked_by
    if asked is None:
        return False
    with transaction.atomic():
        rows = Seat.objects.filter(pk=seat.pk, typing_asked_by=asked)
        if not rows.update(changed_at=timezone.now(), **columns):
            return False
        trail.record("seat.typing", by, seat, answer=answer, staff=asked.get_username())
        trail.nudge(seat)
    return True


def end_typing(seat: Seat, by: audit.Origin) -> bool:
    """Nobody else types any more; False when nobody did."""
    was = seat.typist
    with transaction.atomic():
        columns = {"typist": None, "typing_asked_by": None, "changed_at": timezone.now()}
        if not Seat.objects.filter(pk=seat.pk).exclude(typist=None).update(**columns):
            return False
        name = was.get_username() if was else ""
        trail.record("seat.typing", by, seat, answer="end", staff=name)
        trail.nudge(seat)
    return True


def held(sandbox: Sandbox) -> str:
    """Why a student may not act on their own sandbox: staff have paused it (SANDBOX_HOLD_RULE)."""
    rows = Seat.objects.select_related("lab", "enrollment", "sandbox").defer("lab__version")
    seat = rows.filter(sandbox_id=sandbox.pk, sandbox__status=Status.PAUSED).first()
    name = paused_by(seat) if seat else ""
    return f"{name} has paused your terminal. It goes on when the people who teach resume it." if name else ""


def paused_by(seat: Seat) -> str:
    """Who else paused its sandbox ("eyes up"), as this course calls them; empty: the student, or a loop."""
    acts = ("sandbox.pause", "seat.hold")
    paused = Event.objects.filter(sandbox_id=seat.sandbox_id, action__in=acts, outcome=Outcome.OK)
    last = paused.order_by("-id").first()
    if last is None or last.actor_kind in LOOPS or last.actor_id == seat.enrollment.user_id:
        return ""
    person = Enrollment.objects.filter(course=seat.lab.course_id, user=last.actor_id).first()
    return person.name if person else last.actor_name


def messages(seat: Seat) -> QuerySet[Message]:
    """The newest messages to everyone of the lab and to this seat."""
    mine = Q(seat=None) | Q(seat=seat)
    return Message.objects.filter(mine, lab=seat.lab_id)[:MESSAGES]


def _told(seat: Seat) -> None:
    Seat.objects.filter(pk=seat.pk).update(changed_at=timezone.now())
    trail.nudge(seat)


def is_trial_of(lab: Lab, user: Any) -> bool:
    """Whether this person tries their own template."""
    return lab.is_trial and lab.created_by == user.get_username()
