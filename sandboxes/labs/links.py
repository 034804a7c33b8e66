"""Personal sign-in links: into the one course they are for, and into no account that is somebody's own.

A session that began with a link, or a guest's, holds ``course`` and ``link`` (the link's version);
the middleware keeps it to that course. Nothing here puts a link on record.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac

from sandboxes.lifecycle import audit, origins
from sandboxes.models import User
from sandboxes.models.ids import ALPHABET

from . import accounts, trail
from .models import Course, Enrollment

SALT = "sandboxes.labs.links"
LENGTH = 20
"""Letters of a link's signature (about 99 bits): few enough to be typed from a card."""
COURSE, VERSION = "course", "link"
"""What a limited session holds."""


def path(person: Enrollment) -> str:
    """The path of somebody's link, good until it is renewed, they leave, or they set a password."""
    return reverse("join_link", args=[person.pk, _signature(person)])


def _signature(person: Enrollment) -> str:
    """Signed with the site's secret key, in letters that are not taken for each other."""
    value = f"{person.pk}:{person.course_id}:{person.link_version}"
    number = int.from_bytes(salted_hmac(SALT, value, algorithm="sha256").digest())
    return "".join(ALPHABET[number // len(ALPHABET) ** place % len(ALPHABET)] for place in range(LENGTH))


def person_of(pk: int, signature: str) -> Enrollment | None:
    """Whose link it is; None for one that is wrong, renewed, or of somebody who left."""
    found = Enrollment.objects.active().select_related("user", "course").filter(pk=pk).first()
    if found is None or not constant_time_compare(signature.lower(), _signature(found)):
        return None
    return found if found.user.is_active else None


def may_sign_in(person: Enrollment) -> bool:
    """Whether a link may open this account: one made for this course, without a password or any right."""
    if not person.account_made or _is_own(person.user):
        return False
    return not Enrollment.objects.filter(user=person.user_id).exclude(course=person.course_id).exists()


def openable(people: Iterable[Enrollment]) -> set[int]:
    """The pks of those whose link opens something: ``may_sign_in`` for many, in one query."""
    some = [one for one in people if one.account_made and not _is_own(one.user)]
    users = {one.user_id for one in some}
    courses: dict[int, set[str]] = defaultdict(set)
    for user, course in Enrollment.objects.filter(user__in=users).values_list("user_id", "course_id"):
        courses[user].add(course)
    return {one.pk for one in some if len(courses[one.user_id]) == 1}


def _is_own(user: User) -> bool:
    """Whether an account is not for links: it has a password or rights, or is switched off."""
    return not user.is_active or user.is_staff or user.is_superuser or user.has_usable_password()


def enter(request: HttpRequest, person: Enrollment, how: str) -> None:
    """Sign them in, for this course only. The session gets a new key."""
    with transaction.atomic():
        _log_in(request, person, how)


def _log_in(request: HttpRequest, person: Enrollment, how: str) -> None:
    login(request, person.user, backend=settings.AUTHENTICATION_BACKENDS[0])
    request.session[COURSE], request.session[VERSION] = person.course_id, person.link_version
    audit.record(
        "user.sign_in",
        origins.of_request(request, person.user),
        detail={"by": how, **trail.places(person.course)},
    )


def is_limited(request: HttpRequest) -> bool:
    """Whether this session is for one course only."""
    return COURSE in request.session


def lift(request: HttpRequest) -> None:
    """From now on the session is like any other: its person has a password."""
    for name in (COURSE, VERSION):
        request.session.pop(name, None)


def place_of(request: HttpRequest) -> Enrollment | None:
    """The place that a limited session is for; None once it was taken out or the link was renewed."""
    rows = Enrollment.objects.active().select_related("user", "course")
    found = rows.filter(course=request.session[COURSE], user=request.user.pk).first()
    if found is None or found.link_version != request.session.get(VERSION):
        return None
    return found if may_sign_in(found) else None


def shut_out(users: Iterable[int]) -> None:
    """End the sessions of accounts that live by links, open sockets too: those pass no middleware.

    A session is good for one password, and so is one for none.
    """
    made = User.objects.filter(enrollments__account_made=True, pk__in=list(users))
    made.filter(password__startswith=UNUSABLE_PASSWORD_PREFIX).update(password=accounts.no_password())


def may_adopt(person: Enrollment, user: Any) -> bool:
    """Whether somebody with an account of their own may take this place with it, by the link they were given.

    Not once work was done under the account that was made for it, nor where they are in the course.
    """
    if not may_sign_in(person) or person.is_guest or not user.has_usable_password():
        return False
    is_in = Enrollment.objects.filter(course=person.course_id, user=user).exists()
    return not is_in and not person.seats.exists()


@transaction.atomic
def adopt(person: Enrollment, user: User, origin: audit.Origin) -> bool:
    """Their place from now on; the account that was made for it, and the link, open nothing any more."""
    Course.objects.select_for_update().get(pk=person.course_id)
    person.refresh_from_db()
    if not may_adopt(person, user):
        return False
    shut_out([person.user_id])
    person.user, person.account_made = user, False
    person.save(update_fields=["user", "account_made"])
    trail.record("roster.adopt", origin, person.course, person=person.name)
    return True


@transaction.atomic
def renew(person: Enrollment, origin: audit.Origin) -> None:
    """A new link; the one before, and whoever came by it, is out."""
    columns: dict[str, Any] = {
        "link_version": F("link_version") + 1,
        "link_sent_at": None,
        "link_problem": "",
    }
    Enrollment.objects.filter(pk=person.pk).update(**columns)
    shut_out([person.user_id])
    person.refresh_from_db()
    trail.record("roster.link_renew", origin, person.course, person=person.name)
