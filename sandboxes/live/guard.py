"""Sockets live as long as the right to them: sessions, people and access, checked for all at once.

Every second one round for all open sockets of this process: four queries however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from sandboxes.models import Sandbox, User

MaySee = Callable[[User, Sandbox], bool]
MayType = Callable[[User, Sandbox], bool]
Learn = Callable[[Iterable[Sandbox]], None]
"""Told all rows of a round first, so that it need not ask about each."""

SIGNED_OUT = "You are signed out. Sign in again to go on."
DISABLED = "This account has been disabled."
NOT_FOUND = "There is no such sandbox, or it is not yours any more."
RIGHTS = "rights"
TYPING = "typing"


class Guarded(Protocol):
    """A socket as the guard sees it."""

    async def goodbye(self, reason: str, code: str = ..., close: int = ...) -> None: ...

    async def reconnect(self) -> None:
        """Close it so that the page opens it anew, with the rights its person has now."""
        ...

    def unwatch(self, ids: Collection[str]) -> None:
        """Send nothing more about these sandboxes."""
        ...

    async def let_type(self, may: bool) -> None:
        """From now on its person may type, or may not any more."""
        ...


@dataclass(eq=False)
class Entry:
    """One open socket: whose it is, by which session, with which rights, and about which sandbox.

    ``watched`` are further sandboxes whose numbers it gets. ``may_type`` is None where nothing is typed.
    """

    consumer: Guarded
    user_id: int
    session_key: str
    is_staff: bool
    sandbox_id: str | None = None
    watched: frozenset[str] = field(default_factory=frozenset)
    may_type: bool | None = None

    @property
    def about(self) -> set[str]:
        return set(self.watched) | ({self.sandbox_id} if self.sandbox_id else set())


@dataclass(frozen=True)
class Verdict:
    """What is to be done about one socket."""

    entry: Entry
    code: str
    reason: str = ""
    lost: frozenset[str] = frozenset()
    may_type: bool = False

    async def carry_out(self) -> None:
        consumer = self.entry.consumer
        if self.lost:
            consumer.unwatch(self.lost)
        elif self.code == RIGHTS:
            await consumer.reconnect()
        elif self.code == TYPING:
            await consumer.let_type(self.may_type)
        else:
            await consumer.goodbye(self.reason, self.code, 4404 if self.code == "not_found" else 4401)


class Guard:
    """All open sockets of this process. Everything but ``check`` is for the event loop's thread."""

    def __init__(self, may_see: MaySee, may_type: MayType | None = None, learn: Learn | None = None) -> None:
        self.may_see = may_see
        self.learn = learn
        self.may_type = may_type
        self.entries: set[Entry] = set()
        self._read: dict[str, tuple[str, int, str]] = {}

    def enter(self, entry: Entry) -> None:
        self.entries.add(entry)

    def leave(self, entry: Entry) -> None:
        self.entries.discard(entry)

    def count(self, user_id: int) -> int:
        """How many sockets this person has open."""
        return sum(entry.user_id == user_id for entry in self.entries)

    def of_session(self, key: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.session_key == key]

    def check(self, entries: Sequence[Entry]) -> list[Verdict]:
        """Who may not go on as they are. Blocking: four queries."""
        sessions = self._sessions({entry.session_key for entry in entries})
        users = User.objects.in_bulk({entry.user_id for entry in entries})
        wanted = {one for entry in entries for one in entry.about}
        sandboxes = Sandbox.objects.only("id", "owner_id").in_bulk(wanted)
        if self.learn is not None and sandboxes:
            self.learn(sandboxes.values())
        hashes = {pk: user.get_session_auth_hash() for pk, user in users.items()}
        found = []
        for entry in entries:
            user, session = users.get(entry.user_id), sessions.get(entry.session_key)
            verdict = _of_person(entry, user, session, hashes)
            verdict = verdict or self._of_sandboxes(entry, user, sandboxes)
            if verdict:
                found.append(verdict)
        return found

    def _sessions(self, keys: set[str]) -> dict[str, tuple[int, str]]:
        """User id and auth hash of the sessions that are still valid; each is decoded once."""
        rows = Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now())
        read = {row.session_key: self._decode(row) for row in rows}
        self._read = read
        return {key: (user_id, auth) for key, (_, user_id, auth) in read.items()}

    def _decode(self, row: Session) -> tuple[str, int, str]:
        known = self._read.get(row.session_key)
        if known and known[0] == row.session_data:
            return known
        data = row.get_decoded()
        return row.session_data, int(data.get(SESSION_KEY) or 0), str(data.get(HASH_SESSION_KEY, ""))

    def _of_sandboxes(self, entry: Entry, user: Any, sandboxes: dict[str, Sandbox]) -> Verdict | None:
        lost = frozenset(one for one in entry.about if not self._sees(user, sandboxes.get(one)))
        if entry.sandbox_id in lost:
            return Verdict(entry, "not_found", NOT_FOUND)
        if lost:
            return Verdict(entry, "", lost=lost)
        return self._of_typing(entry, user, sandboxes)

    def _of_typing(self, entry: Entry, user: Any, sandboxes: dict[str, Sandbox]) -> Verdict | None:
        if entry.may_type is None or entry.sandbox_id is None or self.may_type is None:
            return None
        may = self.may_type(user, sandboxes[entry.sandbox_id])
        return Verdict(entry, TYPING, may_type=may) if may != entry.may_type else None

    def _sees(self, user: Any, sandbox: Sandbox | None) -> bool:
        return sandbox is not None and self.may_see(user, sandbox)


def _of_person(
    entry: Entry, user: User | None, session: tuple[int, str] | None, hashes: dict[int, str]
) -> Verdict | None:
    if user is None or not user.is_active:
        return Verdict(entry, "disabled", DISABLED)
    if session is None or session[0] != user.pk or not constant_time_compare(session[1], hashes[user.pk]):
        return Verdict(entry, "signed_out", SIGNED_OUT)
    return Verdict(entry, RIGHTS) if user.is_staff != entry.is_staff else None
