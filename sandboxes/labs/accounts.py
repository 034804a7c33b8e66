"""The accounts of people in courses: found by e-mail, or made for one course only.

An account made for a course has no password. It is never taken for another course, so that whoever
holds its personal link there reaches nothing else.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import batched

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Lower

from sandboxes.models import User
from sandboxes.models.ids import ALPHABET

from .models import Enrollment

AT_ONCE = 500
"""Values in one query; databases take only so many."""


def of_people() -> QuerySet[User]:
    """Accounts of people's own: not those made for a course that nobody has set a password for."""
    made = Enrollment.objects.filter(user=OuterRef("pk"), account_made=True)
    theirs = {"password__startswith": UNUSABLE_PASSWORD_PREFIX}
    return User.objects.exclude(Exists(made), **theirs)


def by_email(emails: Iterable[str]) -> dict[str, list[User]]:
    """People's own accounts by their e-mail in lower case."""
    found: dict[str, list[User]] = defaultdict(list)
    for some in batched({email.lower() for email in emails if email}, AT_ONCE):
        rows = of_people().alias(low=Lower("email")).filter(low__in=some)
        for user in rows.only("username", "email", "is_active", "is_staff"):
            found[user.email.lower()].append(user)
    return found


def make(people: Sequence[tuple[str, str]]) -> list[User]:
    """Accounts for these names and e-mails, in their order; without a password."""
    names = usernames([email.partition("@")[0] or name for name, email in people])
    rows = [
        User(username=username, first_name=name[:150], email=email, password=no_password())
        for username, (name, email) in zip(names, people, strict=True)
    ]
    return User.objects.bulk_create(rows, batch_size=AT_ONCE)


def no_password() -> str:
    """One that nobody can have, as ``make_password(None)``, which is slow for thousands."""
    return UNUSABLE_PASSWORD_PREFIX + secrets.token_hex(20)


def usernames(words: Iterable[str]) -> list[str]:
    """A name to sign in with for each, that nobody has."""
    wanted = [f"{slug(word)}-{_tail()}" for word in words]
    taken = set(_taken(wanted))
    for index, name in enumerate(wanted):
        while name in taken:
            name = f"{name.rpartition('-')[0]}-{_tail()}{_tail()}"
        wanted[index] = name
        taken.add(name)
    return wanted


def _taken(names: list[str]) -> Iterator[str]:
    for some in batched(names, AT_ONCE):
        yield from User.objects.filter(username__in=some).values_list("username", flat=True)


def slug(word: str) -> str:
    """Small plain letters, digits, dots and dashes of it; “person” where there are none."""
    bare = unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9.]+", "-", bare).strip("-.")[:30].strip("-.") or "person"


def _tail() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(4))
