"""A roster compared with a course, and applied to it exactly as it was shown.

Nothing here deletes: who is taken out keeps their work and can be brought back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import transaction
from django.utils import timezone

from sandboxes.lifecycle import audit
from sandboxes.lifecycle.refusals import Refused
from sandboxes.models import User

from . import accounts, links, roster_lines, trail
from .models import Course, Enrollment, Role, RosterDraft
from .roster_lines import CALLED, Fault, Line, Reading, fault_of

STALE = "The course has changed since this was shown. Look again: below is what would change now."
NOBODY_LEFT = "The course would have no instructor left. Make somebody else an instructor first."
YOURSELF = "This would take your own role as instructor. Another instructor can do that."
TOLD = 50
"""How many names of people stand in one event."""


@dataclass
class New:
    """Somebody to be put in; ``account`` is the one of their own that has this e-mail."""

    line: Line
    name: str
    role: str
    account: User | None = None


@dataclass
class Changed:
    """Somebody whose facts become others; ``facts``: name of the field, before, after."""

    line: Line
    person: Enrollment
    facts: list[tuple[str, str, str]]

    @property
    def returns(self) -> bool:
        """Whether they were taken out and come back."""
        return self.person.removed_at is not None

    @property
    def told(self) -> list[tuple[str, str, str]]:
        """The facts with the words that pages use."""
        return [(CALLED[name], before, after) for name, before, after in self.facts]


@dataclass
class Changes:
    """What a roster would do to a course."""

    new: list[New] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)
    same: list[Enrollment] = field(default_factory=list)
    missing: list[Enrollment] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        """The same for the same changes only."""
        told = [
            [[one.line.number, one.name, one.line.email, one.role, one.account and one.account.pk]
             for one in self.new],
            [[one.person.pk, one.returns, one.facts] for one in self.changed],
            [one.pk for one in self.missing],
            [[one.number, one.reason] for one in self.faults],
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]

    @property
    def gains(self) -> list[New]:
        """New staff who come with an account that is there already: worth a look."""
        return [one for one in self.new if one.account and one.role != Role.STUDENT]


# -- keep what was read -------------------------------------------------------------------------


def keep(course: Course, user: User, reading: Reading) -> RosterDraft:
    """Keep it until it is applied, in the place of an earlier one by the same person."""
    values = reading.as_columns() | {"created_at": timezone.now()}
    draft, _ = RosterDraft.objects.update_or_create(course=course, user=user, defaults=values)
    return draft


# -- compare ------------------------------------------------------------------------------------


def compare(draft: RosterDraft, by: User) -> Changes:
    """What would change now. The number of queries grows with thousands of lines only."""
    lines = list(roster_lines.lines_of(draft.lines))
    people = list(Enrollment.objects.filter(course=draft.course_id, is_guest=False).select_related("user"))
    finder = Finder(people, accounts.by_email(line.email or "" for line in lines))
    changes = Changes(faults=list(roster_lines.faults_of(draft.faults)))
    for line in lines:
        _sort(line, finder, changes, by)
    _keep_an_instructor(changes, people)
    changes.missing = _missing(people, finder, changes, by)
    changes.faults.sort(key=lambda one: one.number)
    return changes


class Finder:
    """Finds who a line is about: by e-mail, by the account with that e-mail, by id."""

    def __init__(self, people: list[Enrollment], own: dict[str, list[User]]) -> None:
        self.own = own
        self.by_user = {one.user_id: one for one in people}
        self.by_email: dict[str, list[Enrollment]] = {}
        self.by_id: dict[str, list[Enrollment]] = {}
        self.taken: dict[int, int] = {}
        for one in sorted(people, key=lambda one: one.removed_at is not None):
            self.by_email.setdefault(one.email.casefold(), []).append(one)
            self.by_id.setdefault(one.student_id.casefold(), []).append(one)

    def accounts(self, line: Line) -> list[User]:
        """Accounts of people's own that have its e-mail."""
        return self.own.get(line.email.lower(), []) if line.email else []

    def find(self, line: Line | Fault) -> list[Enrollment]:
        """Everybody it may be about; with those who were taken out only where nobody else is."""
        found: dict[int, Enrollment] = {}
        if line.email:
            found |= {one.pk: one for one in self.by_email.get(line.email.casefold(), [])}
            theirs = (self.by_user.get(user.pk) for user in self.own.get(line.email.lower(), []))
            found |= {one.pk: one for one in theirs if one is not None}
        if line.student_id:
            found |= {one.pk: one for one in self.by_id.get(line.student_id.casefold(), [])}
        present = [one for one in found.values() if one.removed_at is None]
        return present or list(found.values())


def _sort(line: Line, finder: Finder, changes: Changes, by: User) -> None:
    """Put a line where it belongs: new, changed, same, or at fault."""
    found = finder.find(line)
    try:
        if len(found) > 1:
            names = " and ".join(one.name for one in found[:3])
            raise ValueError(f"It fits {len(found)} people of the course: {names}.")
        if not found:
            changes.new.append(_new(line, finder.accounts(line)))
            return
        _match(line, found[0], finder, changes, by)
    except ValueError as error:
        changes.faults.append(fault_of(line, str(error)))


def _new(line: Line, own: list[User]) -> New:
    """Raises ValueError where their account is not to be told, or is switched off."""
    if len(own) > 1:
        raise ValueError("Several accounts have this e-mail. Ask an admin to put that right.")
    if own and not own[0].is_active:
        raise ValueError(f"The account with this e-mail, {own[0].username}, is switched off. Ask an admin.")
    name = line.name or (line.email or "").partition("@")[0] or line.student_id or ""
    return New(line, name, line.role or Role.STUDENT, own[0] if own else None)


def _match(line: Line, person: Enrollment, finder: Finder, changes: Changes, by: User) -> None:
    """Raises ValueError for a second line about them, or where it would demote whoever applies it."""
    if person.pk in finder.taken:
        raise ValueError(f"It is about the same person as line {finder.taken[person.pk]}; that line counts.")
    facts = differences(person, line)
    loses = any(name == "role" and before == Role.INSTRUCTOR for name, before, _ in facts)
    if loses and person.user_id == by.pk and person.removed_at is None:
        raise ValueError(YOURSELF)
    finder.taken[person.pk] = line.number
    if facts or person.removed_at is not None:
        changes.changed.append(Changed(line, person, facts))
    else:
        changes.same.append(person)


def differences(person: Enrollment, line: Line) -> list[tuple[str, str, str]]:
    """Field, before and after, of what the line says otherwise. Empty names, e-mails, roles say nothing."""
    found = []
    for name in roster_lines.FIELDS:
        before, after = str(getattr(person, name)), getattr(line, name)
        says = after is not None and (after or name in ("student_id", "section"))
        if says and before != after and not (name == "email" and before.casefold() == after.casefold()):
            found.append((name, before, str(after)))
    return found


def _keep_an_instructor(changes: Changes, people: list[Enrollment]) -> None:
    """Lines that would leave the course without an instructor are faults."""
    if any(new.role == Role.INSTRUCTOR for new in changes.new):
        return
    becomes = {one.person.pk: {name: after for name, _, after in one.facts} for one in changes.changed}
    before = [one for one in people if one.removed_at is None and one.role == Role.INSTRUCTOR]
    after = [one for one in people if (one.removed_at is None or one.pk in becomes)
             and becomes.get(one.pk, {}).get("role", one.role) == Role.INSTRUCTOR]  # fmt: skip
    if not before or after:
        return
    losing = [change for change in changes.changed if change.person in before]
    changes.changed = [change for change in changes.changed if change not in losing]
    changes.faults += [Fault(change.line.number, NOBODY_LEFT, change.person.name) for change in losing]


def _missing(people: list[Enrollment], finder: Finder, changes: Changes, by: User) -> list[Enrollment]:
    """Who is in the course and in no line, not even in one at fault; never whoever looks."""
    named = {one.pk for fault in changes.faults for one in finder.find(fault)} | set(finder.taken)
    return [one for one in people if one.removed_at is None and one.pk not in named and one.user_id != by.pk]


# -- apply --------------------------------------------------------------------------------------


class Stale(Exception):
    """The course has changed since the changes were shown; nothing was done."""


def apply(draft: RosterDraft, origin: audit.Origin, by: User, seen: str, remove: Collection[int]) -> Changes:
    """Apply what was shown, in one transaction; ``remove`` are pks of missing people to take out.

    Steps: 1. lock the course 2. compare again 3. new, changed, taken out 4. on record. Raises Stale,
    and Refused where no instructor would be left.
    """
    with transaction.atomic():
        course = Course.objects.select_for_update().get(pk=draft.course_id)
        changes = compare(draft, by)
        if changes.fingerprint != seen:
            raise Stale
        leaving = [one for one in changes.missing if one.pk in remove]
        _put_in(course, changes.new)
        _alter(changes.changed)
        Enrollment.objects.filter(pk__in=[one.pk for one in leaving]).update(removed_at=timezone.now())
        links.shut_out([one.user_id for one in leaving])
        if not has_instructor(course) and (leaving or changes.changed):
            raise Refused("remove", NOBODY_LEFT)
        _record(course, origin, changes, leaving)
        draft.delete()
    return replace(changes, missing=leaving)


def _put_in(course: Course, new: list[New]) -> None:
    """Their accounts where they have none, and their places."""
    strangers = [one for one in new if one.account is None]
    made = accounts.make([(one.name, one.line.email or "") for one in strangers])
    users = {one.line.number: user for one, user in zip(strangers, made, strict=True)}
    rows = [
        Enrollment(
            course=course, user=one.account or users[one.line.number], role=one.role, name=one.name,
            email=one.line.email or "", student_id=one.line.student_id or "",
            section=one.line.section or "", account_made=one.account is None,
        ) for one in new
    ]  # fmt: skip
    Enrollment.objects.bulk_create(rows, batch_size=accounts.AT_ONCE)


def _alter(changed: list[Changed]) -> None:
    for change in changed:
        for name, _, after in change.facts:
            setattr(change.person, name, after)
        change.person.removed_at = None
    people = [change.person for change in changed]
    fields = [*roster_lines.FIELDS, "removed_at"]
    write(people, fields)
    follow([change.person for change in changed if any(name != "role" for name, *_ in change.facts)])


def follow(people: list[Enrollment]) -> None:
    """Accounts that were made for these people get their names and e-mails; people's own never do."""
    users = []
    for one in people:
        if one.account_made and not one.user.has_usable_password():
            one.user.first_name, one.user.email = one.name, one.email
            users.append(one.user)
    write(users, ["first_name", "email"])


def write(rows: Sequence[Any], fields: list[str]) -> None:
    """These columns of rows that exist. An upsert by primary key: bulk_update takes seconds for thousands."""
    if rows:
        rows[0].__class__._default_manager.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["pk"],
            update_fields=fields,
            batch_size=accounts.AT_ONCE,
        )


def has_instructor(course: Course) -> bool:
    """Whether anybody leads it."""
    return Enrollment.objects.active().filter(course=course, role=Role.INSTRUCTOR).exists()


def _record(course: Course, origin: audit.Origin, changes: Changes, leaving: list[Enrollment]) -> None:
    """One event for all of it, and one for each person whose rights become others, where they are few."""
    facts: dict[str, Any] = {
        "new": len(changes.new), "changed": len(changes.changed), "unchanged": len(changes.same),
        "removed": len(leaving), "faults": len(changes.faults),
        "removed_names": [one.name for one in leaving[:TOLD]],
    }  # fmt: skip
    trail.record("roster.apply", origin, course, **facts)
    roles = [(one.name, "", one.role) for one in changes.new if one.role != Role.STUDENT]
    roles += [(change.person.name, before, after) for change in changes.changed
              for name, before, after in change.facts if name == "role"]  # fmt: skip
    for name, before, after in roles[:TOLD]:
        trail.record("roster.role", origin, course, person=name, before=before, after=after)
