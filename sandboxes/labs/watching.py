"""Once a second for all of teaching's open sockets: who lost the right to them, and what was not told.

A nudge of another process only arrives through Redis; without it the changes are found here, at
most a second late. Three queries a round, however many sockets there are.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from django.utils import timezone

from sandboxes.live import hub
from sandboxes.models import User

from .models import Enrollment, Message, Seat
from .models.course import STAFF

OVERLAP = timedelta(seconds=2)
SEEN = 20.0
"""Seconds after which it is noted again whose page is open, also where another window hides it."""


class Place(NamedTuple):
    """What a socket is about; ``seat`` empty: the whole lab, for staff only. ``owner``: the student."""

    course: str
    lab: str
    seat: str
    owner: int


class Socket(Protocol):
    """One of teaching's open sockets."""

    user: Any
    place: Place

    async def lose(self) -> None:
        """Its person may not see this any more."""
        ...

    def hear(self, message: dict[str, Any]) -> None:
        """Take a message; one that was told already does not matter."""
        ...


class News(NamedTuple):
    """What one round found."""

    lost: list[Socket]
    changed: dict[str, datetime]
    messages: list[Message]


open_sockets: set[Socket] = set()
_since: list[datetime] = []
_is_reading: list[bool] = []
_noted = {"at": 0.0}


def may(user: User, place: Place, roles: dict[tuple[int, str], str]) -> bool:
    """Whether this person may have this socket, by their roles in courses."""
    if not user.is_active:
        return False
    role = roles.get((user.pk, place.course), "")
    return user.is_staff or role in STAFF or (bool(role) and place.owner == user.pk and bool(place.seat))


def read(sockets: Sequence[Socket], since: datetime) -> News:
    """Blocking: four queries."""
    people = User.objects.in_bulk({one.user.pk for one in sockets})
    courses = Enrollment.objects.active().filter(
        user__in=people, course__in={one.place.course for one in sockets}
    )
    roles = {(user, course): role for user, course, role in courses.values_list("user", "course", "role")}
    lost = [one for one in sockets if not _still(people.get(one.user.pk), one.place, roles)]
    labs = {one.place.lab for one in sockets}
    changed = Seat.objects.filter(lab__in=labs, changed_at__gt=since).values_list("pk", "changed_at")
    messages = Message.objects.filter(lab__in=labs, created_at__gt=since).order_by("id")
    return News(lost, dict(changed.order_by()), list(messages))


def _still(user: User | None, place: Place, roles: dict[tuple[int, str], str]) -> bool:
    return user is not None and may(user, place, roles)


def now(user: User, place: Place) -> bool:
    """The same for one socket that is being opened. Blocking."""
    rows = Enrollment.objects.active().filter(user=user, course=place.course).values_list("role", flat=True)
    role = rows.first()
    return may(user, place, {(user.pk, place.course): role} if role else {})


def note_seen(sockets: Sequence[Socket]) -> None:
    """These students have their page open. Blocking: one query."""
    mine = {one.place.seat for one in sockets if one.place.seat and one.place.owner == one.user.pk}
    if mine:
        Seat.objects.filter(pk__in=mine, joined_at__isnull=False).update(seen_at=timezone.now())


def _tick() -> None:
    if open_sockets and not _is_reading:
        _is_reading.append(True)
        hub.current().do(_round())
    elif not open_sockets:
        _since.clear()


async def _round() -> None:
    began = timezone.now()
    since = (_since[0] if _since else began) - OVERLAP
    try:
        news = await hub.current().read(read, list(open_sockets), since)
    finally:
        _is_reading.clear()
    _since[:] = [began]
    for one in news.lost:
        hub.current().do(one.lose())
    _tell(news)
    if time.monotonic() - _noted["at"] > SEEN:
        _noted["at"] = time.monotonic()
        await hub.current().read(note_seen, list(open_sockets))


def _tell(news: News) -> None:
    for one in list(open_sockets):
        for seat, at in news.changed.items():
            if one.place.seat in ("", seat):
                one.hear({"type": "changed", "id": seat, "at": at.timestamp()})
        for message in news.messages:
            if _is_for(message, one.place):
                one.hear(frame_of(message))


def _is_for(message: Message, place: Place) -> bool:
    return message.lab_id == place.lab and bool(place.seat) and message.seat_id in (None, place.seat)


def frame_of(message: Message) -> dict[str, Any]:
    """A message as pages get it."""
    frame = {"type": "message", "id": f"message-{message.pk}", "text": message.text}
    return frame | {"by": message.by_name, "about": message.about}


hub.each_second(_tick)
