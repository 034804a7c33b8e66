"""Personal links by e-mail: a bounded number at a press, each once, failures kept beside the person."""

from __future__ import annotations

import smtplib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.core.mail import EmailMessage, mailers
from django.utils import timezone

from sandboxes.lifecycle import audit
from sandboxes.lifecycle.refusals import Refused

from . import links, trail
from .models import Course, Enrollment

AT_ONCE = 50
LONGEST = 20.0
"""Seconds that one press may take; who is left gets theirs with the next."""
SUBJECT = "Your link for {course}"
BODY = """Hello {name},

this link signs you in to {course}:

{link}

It is yours alone: whoever has it comes in under your name. You need no password. If you set one in
your profile, you sign in with it from then on, and the link ends.
"""
Address = Callable[[str], str]
"""From a path to the whole address."""


@dataclass
class Sent:
    """What came of a press."""

    sent: int = 0
    failed: int = 0
    left: int = 0


def is_there() -> bool:
    """Whether mail is configured."""
    return "default" in mailers


def waiting(course: Course) -> list[Enrollment]:
    """Who has an e-mail and a link that opens something, and was not sent it; failures last."""
    rows = Enrollment.objects.active().filter(
        course=course, account_made=True, is_guest=False, link_sent_at=None
    )
    people = list(
        rows.exclude(email="").select_related("user", "course").order_by("link_problem", "name", "pk")
    )
    open_to = links.openable(people)
    return [one for one in people if one.pk in open_to]


def send(course: Course, people: Iterable[Enrollment], origin: audit.Origin, absolute: Address) -> Sent:
    """Send these people their links, at most AT_ONCE and for LONGEST. Raises Refused without a server."""
    if not is_there():
        raise Refused("", "No mail is set up on this site.")
    people, done, end = list(people), Sent(), time.monotonic() + LONGEST
    mailer = _connected()
    for person in people[:AT_ONCE]:
        if time.monotonic() > end:
            break
        if _claim(person):
            problem = _send_one(mailer, person, absolute)
            done.failed, done.sent = done.failed + bool(problem), done.sent + (not problem)
    mailer.close()
    done.left = max(len(people) - done.sent - done.failed, 0)
    trail.record("roster.mail", origin, course, sent=done.sent, failed=done.failed, left=done.left)
    return done


def _connected() -> Any:
    mailer = mailers.default
    try:
        mailer.open()
    except (OSError, smtplib.SMTPException):
        raise Refused("", "The mail server does not take our mail. Ask an admin to look at it.") from None
    return mailer


def _claim(person: Enrollment) -> bool:
    """Theirs is being sent by this press and by no other."""
    rows = Enrollment.objects.filter(pk=person.pk, link_sent_at=None, link_version=person.link_version)
    return bool(rows.update(link_sent_at=timezone.now(), link_problem=""))


def _send_one(mailer: Any, person: Enrollment, absolute: Address) -> str:
    """Send it, or say beside the person why it did not go; gives that sentence."""
    words = {"name": person.name, "course": person.course.title, "link": absolute(links.path(person))}
    subject = " ".join(SUBJECT.format(**words).split())
    try:
        mailer.send_messages([EmailMessage(subject, BODY.format(**words), to=[person.email])])
        return ""
    except (OSError, smtplib.SMTPException, ValueError) as error:
        problem = _sentence(error)
        Enrollment.objects.filter(pk=person.pk).update(link_sent_at=None, link_problem=problem)
        return problem


def _sentence(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "The mail server does not take this address."
    if isinstance(error, OSError):
        return "The mail server went away."
    return "The mail could not be sent."
