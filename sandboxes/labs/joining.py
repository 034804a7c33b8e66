"""Ways into a course for those who are on no roster: the invite link, the class code, and guests.

How guessing is braked is guesses.py's business.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from sandboxes.lifecycle import audit
from sandboxes.lifecycle.refusals import Refused
from sandboxes.models import User

from . import accounts, roster_lines, trail
from .models import Course, Enrollment, Role, ids

LASTS = {60: "an hour", 180: "3 hours", 1440: "a day"}
"""Minutes that a class code may last."""
MOST_GUESTS = 1000
"""Guests of one course, so that nobody fills the disk with them."""
MOST_LETTERS = roster_lines.MOST["name"]

NO_CODE = Refused(
    "code", "This code does not work. Check it, or ask for the present one: codes end after a while."
)
TAKEN = (
    "Somebody in this course has that name, or one that looks like it. If it is you, use your personal"
    " link or sign in; if not, choose another name."
)
LEFT = "You were taken out of this course. Ask your instructor."
ELSEWHERE = (
    "You are here by a personal link of another course. Set a password in your profile, or sign out, first."
)


# -- the link and the code ----------------------------------------------------------------------


@transaction.atomic
def new_code(course: Course, origin: audit.Origin, minutes: int) -> str:
    """A new class code in the place of the one before."""
    until = timezone.now() + timedelta(minutes=minutes if minutes in LASTS else 180)
    code = _set(course, "join_code", ids.join_code, join_code_until=until)
    trail.record("course.code", origin, course, until=until.isoformat(timespec="seconds"))
    return code


@transaction.atomic
def new_invite(course: Course, origin: audit.Origin) -> str:
    """A new invite link's secret; the link before leads nowhere from now on."""
    secret = _set(course, "invite", ids.invite)
    trail.record("course.invite", origin, course)
    return secret


def _set(course: Course, column: str, make: Callable[[], str], **others: object) -> str:
    """Put a secret that no other course has into a column."""
    for _ in range(5):
        secret = make()
        try:
            with transaction.atomic():
                Course.objects.filter(pk=course.pk).update(**{column: secret}, **others)
        except IntegrityError:
            continue  # a course has it already
        course.refresh_from_db()
        return secret
    raise RuntimeError("No free code was found.")


@transaction.atomic
def end(course: Course, origin: audit.Origin, column: str) -> bool:
    """Take back the link (``invite``) or the code (``join_code``); False when there is none."""
    rows = Course.objects.filter(pk=course.pk).exclude(**{column: None})
    if not rows.update(**{column: None}):
        return False
    course.refresh_from_db()
    trail.record("course.invite_end" if column == "invite" else "course.code_end", origin, course)
    return True


def has_code(course: Course) -> bool:
    """Whether a code is good now."""
    until = course.join_code_until
    return bool(course.join_code and until and until > timezone.now() and course.archived_at is None)


def spaced(code: str) -> str:
    """A code as it is read aloud: two groups of four."""
    return f"{code[:4]} {code[4:]}".upper()


def by_code(text: str) -> Course | None:
    """The course that one joins with this code now, however it is typed."""
    code = re.sub(r"[^a-z0-9]", "", text[:40].lower())
    found = Course.objects.filter(join_code=code).first() if len(code) == 8 else None
    return found if found and has_code(found) else None


def by_invite(secret: str) -> Course | None:
    """The course of an invite link."""
    return Course.objects.filter(invite=secret, archived_at=None).first() if secret else None


# -- come in ------------------------------------------------------------------------------------


def join(course: Course, user: User, origin: audit.Origin, how: str, only: str = "") -> Enrollment:
    """Put somebody with an account into a course; twice is once. Raises Refused.

    ``only`` is the one course that their session is limited to.
    """
    if only and only != course.pk:
        raise Refused("", ELSEWHERE)
    found = course.enrollments.filter(user=user).first() or _joined(course, user, origin, how)
    if found.removed_at is not None:
        raise Refused("", LEFT)
    return found


def _joined(course: Course, user: User, origin: audit.Origin, how: str) -> Enrollment:
    """Their place, made now. The course's row is held for a moment, so that no two take one name at once."""
    with transaction.atomic():
        Course.objects.select_for_update().get(pk=course.pk)
        values = {"name": _free_name(course, user), "email": user.email, "email_confirmed": False,
                  "role": Role.STUDENT}  # fmt: skip
        found, is_new = Enrollment.objects.get_or_create(course=course, user=user, defaults=values)
        if is_new:
            trail.record("course.join", origin, course, by=how)
    return found


def _free_name(course: Course, user: User) -> str:
    """Their name, with their username where somebody here is called so: profiles say what one likes."""
    name = name_of(user)
    if key(name) not in _taken(course):
        return name
    account = f" ({user.get_username()})"[:MOST_LETTERS]
    return f"{name[: MOST_LETTERS - len(account)]}{account}"


def _taken(course: Course) -> set[str]:
    """The names in a course by ``key``; guests who left may come back under theirs."""
    rows = Enrollment.objects.filter(course=course).exclude(is_guest=True, removed_at__isnull=False)
    return {key(name) for name in rows.values_list("name", flat=True)}


def name_of(user: User) -> str:
    """What somebody with an account is called in a course."""
    try:
        return roster_lines.clean("name", user.get_full_name()) or user.get_username()
    except ValueError:
        return user.get_username()


def join_as_guest(course: Course, name: str, by: audit.Origin, how: str) -> Enrollment:
    """A guest with a name that nobody here has. Raises Refused. The course's row is held for a moment."""
    name = _guests_name(name)
    with transaction.atomic():
        course = Course.objects.select_for_update().get(pk=course.pk)
        if not course.guests_allowed or course.archived_at is not None:
            raise Refused("name", "This course takes no guests. Sign in, or use your personal link.")
        _check_free(course, name)
        username = accounts.usernames([f"guest-{name}"])[0]
        user = User.objects.create(username=username, first_name=name, password=accounts.no_password())
        guest = Enrollment.objects.create(
            course=course, user=user, name=name, is_guest=True, account_made=True
        )
        guest_now = replace(by, user_id=user.pk, name=username, role="user")
        trail.record("course.join", guest_now, course, by=how, guest=name)
    return guest


def _guests_name(text: str) -> str:
    try:
        name = roster_lines.clean("name", text[:1000])
    except ValueError as error:
        raise Refused("name", str(error)) from None
    if not 2 <= len(name) <= 60 or not key(name):
        raise Refused("name", "Choose a name of 2 to 60 characters.")
    return name


def _check_free(course: Course, name: str) -> None:
    """Guests who left may come back under their name; names of the roster stay taken."""
    if key(name) in _taken(course):
        raise Refused("name", TAKEN)
    if course.enrollments.filter(is_guest=True).count() >= MOST_GUESTS:
        raise Refused("name", "This course has no place for more guests.")


ALIKE = str.maketrans(
    "авекмнорстухіјѕԁɡ" + "αεικνορτυχ" + "l0135",  # Cyrillic, Greek, and what stands for a letter
    "abekmhopctyxijsdg" + "aeikvoptyx" + "ioies",
)


def key(name: str) -> str:
    """The same for names that people take for each other: case, accents, order, signs, look-alike letters."""
    bare = unicodedata.normalize("NFKD", name).casefold().translate(ALIKE)
    bare = "".join(one for one in bare if not _is_unseen(one))
    return " ".join(sorted(re.findall(r"\w+", bare.replace("_", " "))))


UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""Fillers and selectors that are letters or marks by their kind, and show nothing."""


def _is_unseen(one: str) -> bool:
    """Accents, joiners, selectors and fillers: what stands on a letter, or shows nothing at all."""
    return bool(unicodedata.combining(one) or unicodedata.category(one) == "Cf" or UNSEEN.match(one))
