"""Join cards and their QR codes: drawn here, handed to pages as pictures in their address."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import segno
from django.urls import reverse

from . import links
from .models import Enrollment

ON_A_PAGE = 120


@dataclass(frozen=True)
class Card:
    """One person's card. ``link`` is where its code leads; ``personal``: it signs them in."""

    person: Enrollment
    link: str
    qr: str
    personal: bool


def cards(people: Iterable[Enrollment], absolute: Callable[[str], str]) -> list[Card]:
    """A card for each; who has an account of their own is led to the course's page, to sign in."""
    people = list(people)
    open_to = links.openable(people)
    return [_card(one, one.pk in open_to, absolute) for one in people]


def _card(person: Enrollment, personal: bool, absolute: Callable[[str], str]) -> Card:
    path = links.path(person) if personal else reverse("course_detail", args=[person.course_id])
    link = absolute(path)
    return Card(person, link, qr(link), personal)


def qr(text: str) -> str:
    """A data: address of an SVG picture; black on white, so that phones read it in the dark theme too."""
    made = segno.make(text, error="m", micro=False)
    address: str = made.svg_data_uri(border=2, dark="#000", light="#fff", omitsize=True)
    return address
