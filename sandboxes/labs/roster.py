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
from .roster_finder import Finder
from .roster_lines import CALLED, Fault, Line, Reading, fault_of

STALE = "The course has changed since this was shown. Look again: below is what would change now."
NOBODY_LEFT = "The course would have no instructor left. Make somebody else an instructor first."
YOURSELF = "This would take your own role as instructor. Another instructor can do that."
TOLD = 50
"""How many names of people stand in one event."""


@dataclass
class New:
    """Somebody to be put in. ``account`` is one whose profile has this e-mail, ``person`` whose it is here.

    They are taken only where the instructor confirms that it is them: anybody may write any e-mail there.
    """

    line: Line
    name: str
    role: str
    account: User | None = None
    person: Enrollment | None = None

    @property
    def is_asked(self) -> bool:
        """Whether somebody has to confirm."""
        return self.account is not None or self.person is not None

    @property
    def username(self) -> str:
        """The account in question."""
        user = self.account or (self.person.user if self.person else None)
        return user.get_username() if user else ""


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
            [[one.line.number, one.name, one.line.email, one.role, one.account and one.account.pk,
              one.person and one.person.pk] for one in self.new],
            [[one.person.pk, one.returns, one.facts] for one in self.changed],
            [one.pk for one in self.missing],
            [[one.number, one.reason] for one in self.faults],
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]

    @property
    def asked(self) -> list[New]:
        """Those about whom the instructor is asked."""
        return [one for one in self.new if one.is_asked]

    @property
    def strangers(self) -> list[New]:
        """The other new ones."""
        return [one for one in self.new if not one.is_asked]


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
    finder = Finder(people, accounts.by_email(line.email or "" for line in lines), by)
    changes = Changes(faults=list(roster_lines.faults_of(draft.faults)))
    for line in lines:
        _sort(line, finder, changes, by)
    _keep_an_instructor(changes, people)
    changes.missing = _missing(people, finder, changes, by)
    changes.faults.sort(key=lambda one: one.number)
    return changes


def _sort(line: Line, finder: Finder, changes: Changes, by: User) -> None:
    """Put a line where it belongs: new, changed, same, or at fault."""
    found = finder.find(line)
    try:
        _check_one(found)
        if found:
            _match(line, found[0], finder, changes, by)
        else:
            changes.new.append(_new(line, finder))
    except ValueError as error:
        changes.faults.append(fault_of(line, str(error)))


def _check_one(found: list[Enrollment]) -> None:
    if len(found) > 1:
        names = " and ".join(one.name for one in found[:3])
        raise ValueError(f"It fits {len(found)} people of the course: {names}.")


def _new(line: Line, finder: Finder) -> New:
    """Raises ValueError where their account is not to be told, or is switched off."""
    own, guessed = finder.accounts(line), finder.guess(line)
    _check_one(guessed)
    if len(own) > 1:
        raise ValueError("Several accounts have this e-mail. Ask an admin to put that right.")
    if own and not own[0].is_active:
        raise ValueError(f"The account with this e-mail, {own[0].username}, is switched off. Ask an admin.")
    name = line.name or (line.email or "").partition("@")[0] or line.student_id or ""
    person = guessed[0] if guessed and guessed[0].pk not in finder.taken else None
    if person is not None:
        finder.taken[person.pk] = line.number
    account = own[0] if own and not guessed else None
    return New(line, name, line.role or Role.STUDENT, account, person)


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


def apply(draft: RosterDraft, origin: audit.Origin, by: User, seen: str, remove: Collection[int],
          theirs: Collection[int] = ()) -> Changes:  # fmt: skip
    """Apply what was shown, in one transaction; ``remove`` are pks of missing people to take out.

    ``theirs`` are the numbers of lines whose account was confirmed to be that person's.
    Steps: 1. lock the course 2. compare again 3. new, changed, taken out 4. on record. Raises Stale,
    and Refused where no instructor would be left.
    """
    with transaction.atomic():
        course = Course.objects.select_for_update().get(pk=draft.course_id)
        changes = compare(draft, by)
        if changes.fingerprint != seen:
            raise Stale
        leaving = [one for one in changes.missing if one.pk in remove]
        known = [one for one in changes.asked if one.line.number in theirs]
        _put_in(course, changes.new, known)
        _alter(changes.changed + _as_changed(known, by))
        Enrollment.objects.filter(pk__in=[one.pk for one in leaving]).update(removed_at=timezone.now())
        links.shut_out([one.user_id for one in leaving])
        if not has_instructor(course) and (leaving or changes.changed or known):
            raise Refused("remove", NOBODY_LEFT)
        _record(course, origin, changes, leaving, known)
        draft.delete()
    return replace(changes, missing=leaving)


def _as_changed(known: list[New], by: User) -> list[Changed]:
    """Those among the confirmed who are in the course already."""
    return [Changed(one.line, one.person, differences(one.person, one.line)) for one in known if one.person]


def _put_in(course: Course, new: list[New], known: list[New]) -> None:
    """Places, and accounts for all but the ``known``: who was not confirmed comes by a personal link."""
    new = [one for one in new if one not in known or one.person is None]
    strangers = [one for one in new if one not in known]
    made = accounts.make([(one.name, one.line.email or "") for one in strangers])
    users = {one.line.number: user for one, user in zip(strangers, made, strict=True)}
    rows = [
        Enrollment(
            course=course, user=users.get(one.line.number) or one.account, role=one.role, name=one.name,
            email=one.line.email or "", student_id=one.line.student_id or "",
            section=one.line.section or "", account_made=one.line.number in users,
        ) for one in new
    ]  # fmt: skip
    Enrollment.objects.bulk_create(rows, batch_size=accounts.AT_ONCE)


def _alter(changed: list[Changed]) -> None:
    for change in changed:
        for name, _, after in change.facts:
            setattr(change.person, name, after)
        change.person.removed_at, change.person.email_confirmed = None, True
    people = [change.person for change in changed]
    fields = [*roster_lines.FIELDS, "removed_at", "email_confirmed"]
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


def _record(course: Course, origin: audit.Origin, changes: Changes, leaving: list[Enrollment],
            known: list[New]) -> None:  # fmt: skip
    """One event for all of it, and one for each person whose rights become others, where they are few."""
    facts: dict[str, Any] = {
        "new": len(changes.new), "changed": len(changes.changed), "unchanged": len(changes.same),
        "removed": len(leaving), "faults": len(changes.faults), "known": len(known),
        "removed_names": [one.name for one in leaving[:TOLD]],
    }  # fmt: skip
    trail.record("roster.apply", origin, course, **facts)
    roles = [(one.name, "", one.role) for one in changes.new if one.role != Role.STUDENT]
    roles += [(change.person.name, before, after) for change in changes.changed
              for name, before, after in change.facts if name == "role"]  # fmt: skip
    for name, before, after in roles[:TOLD]:
        trail.record("roster.role", origin, course, person=name, before=before, after=after)
