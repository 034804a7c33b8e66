"""Whom a line of a roster is about: surely by what the course knows, perhaps by what people's profiles say.

Anybody may write any e-mail into their profile. So an e-mail finds somebody surely only where a roster
or an instructor has confirmed it for this course; else it is a guess, for the instructor to confirm.
"""

from __future__ import annotations

from collections.abc import Iterable

from sandboxes.models import User

from .models import Enrollment
from .roster_lines import Fault, Line


class Finder:
    """Finds people of a course and accounts. ``own``: accounts by the e-mail of their profile."""

    def __init__(self, people: list[Enrollment], own: dict[str, list[User]], by: User) -> None:
        self.own = own
        self.by_user = {one.user_id: one for one in people}
        self.sure: dict[str, list[Enrollment]] = {}
        self.perhaps: dict[str, list[Enrollment]] = {}
        self.by_id: dict[str, list[Enrollment]] = {}
        self.taken: dict[int, int] = {}
        for one in sorted(people, key=lambda one: one.removed_at is not None):
            is_sure = one.email_confirmed or one.user_id == by.pk  # who applies it knows themselves
            (self.sure if is_sure else self.perhaps).setdefault(one.email.casefold(), []).append(one)
            self.by_id.setdefault(one.student_id.casefold(), []).append(one)

    def find(self, line: Line | Fault) -> list[Enrollment]:
        """Everybody it surely may be about; with those who were taken out only where nobody else is."""
        found: list[Enrollment] = []
        if line.email:
            found += self.sure.get(line.email.casefold(), [])
        if line.student_id:
            found += self.by_id.get(line.student_id.casefold(), [])
        return present(found)

    def guess(self, line: Line | Fault) -> list[Enrollment]:
        """People of the course who say that this e-mail is theirs."""
        if not line.email:
            return []
        theirs = (self.by_user.get(user.pk) for user in self.accounts(line))
        return present([*self.perhaps.get(line.email.casefold(), []), *(one for one in theirs if one)])

    def accounts(self, line: Line | Fault) -> list[User]:
        """Accounts of people's own that say so."""
        return self.own.get(line.email.lower(), []) if line.email else []


def present(people: Iterable[Enrollment]) -> list[Enrollment]:
    """Each once; those who were taken out only where nobody else is."""
    found = list({one.pk: one for one in people}.values())
    return [one for one in found if one.removed_at is None] or found
