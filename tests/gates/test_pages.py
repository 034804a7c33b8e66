"""Every path of the site, for everybody, for what is theirs, somebody else's, missing or mixed up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction

from sandboxes.lifecycle import refusals
from sandboxes.models import Event, Outcome

from . import rules
from .rules import ROUTES, TOLD, Row
from .world import CROSSED, HERE, MISSING, ONCE, ROLES, THERE, World

pytestmark = pytest.mark.django_db
DONE = {200, 204, 302, 303, 409, 422}


def test_every_path_has_a_row():
    """A new path without one fails here: say who may."""
    assert set(rules.site_routes()) == set(ROUTES) | rules.OPEN


@dataclass(frozen=True)
class Case:
    """One request of one person."""

    role: str
    name: str
    method: str
    target: str
    row: Row

    @property
    def who(self) -> rules.Pairs | None:
        return self.row.get if self.method == "get" else self.row.post

    @property
    def may(self) -> bool:
        """By the table. What is not about a place is the same everywhere; what is mixed up is nobody's."""
        if not has_id(self.name):
            return self.who is not None and (self.role, HERE) in self.who
        return self.who is not None and (self.role, self.target) in self.who

    def expected(self) -> str:
        if self.who is None:
            return "405"
        if self.role in ("anonymous", "disabled"):
            return "sign in"
        if self.may:
            return "done"
        return "403" if self.name in TOLD else "404"

    def __str__(self) -> str:
        return f"{self.role}: {self.method} {self.name} ({self.target})"


def has_id(name: str) -> bool:
    return ":pk>" in rules.site_routes()[name]


def cases(role: str) -> Iterator[Case]:
    """Every request of this one; that a method is not known is the same for all, and asked by one."""
    routes = rules.site_routes()
    for name, row in ROUTES.items():
        targets = [HERE, THERE, MISSING] if has_id(name) and name != "image_pull" else [HERE]
        targets += [ONCE] if role == "ex-student" and rules.kind_of(routes[name]) in rules.OWNED else []
        targets += [CROSSED] if rules.secondary(routes[name]) else []
        for target in targets:
            some = (Case(role, name, method, target, row) for method in ("get", "post"))
            yield from (case for case in some if case.who is not None or case.role == "student")


def address(case: Case, world: World) -> str:
    here, there = world.places[HERE], world.places[THERE]
    if case.target == CROSSED:
        return rules.address(case.name, world, here, there)
    place = world.places.get(case.target)
    return rules.address(case.name, world, place, place)


def ask(case: Case, world: World) -> tuple[Any, bool]:
    """The answer, and whether a refusal went on record. Whatever was changed is taken back."""
    refusals.bound = refusals.Bound()
    try:
        with transaction.atomic():
            before = Event.objects.filter(outcome=Outcome.REFUSED).count()
            data = case.row.data if case.method == "post" else None
            answer = getattr(world.browser(case.role), case.method)(address(case, world), data)
            noted = Event.objects.filter(outcome=Outcome.REFUSED).count() > before
            raise TakenBack
    except TakenBack:
        return answer, noted


class TakenBack(Exception):
    """Nothing of a request stays."""


def came_of(answer: Any) -> str:
    """In the words of ``Case.expected``."""
    if answer.headers.get("Location", "").startswith("/sign-in/"):
        return "sign in"
    return "done" if answer.status_code in DONE else str(answer.status_code)


@pytest.mark.parametrize("role", ROLES)
def test_who_may_do_what(world: World, role: str) -> None:
    """As the table says; refusals are on record, and what is hidden reads like what is missing."""
    wrong, pages = [], {}
    for case in cases(role):
        answer, noted = ask(case, world)
        if came_of(answer) != case.expected():
            wrong.append(f"{case}: {came_of(answer)}, not {case.expected()}")
        elif came_of(answer) in ("403", "404") and case.target != CROSSED and not noted:
            wrong.append(f"{case}: not on record")
        pages[case] = answer
    assert wrong == []
    assert told_apart(pages) == []
    assert len(pages) >= 150


def told_apart(pages: dict[Case, Any]) -> list[str]:
    """Hidden pages that differ, by a word, from the page of a missing thing."""
    missing = {(case.name, case.method): text(page) for case, page in pages.items() if case.target == MISSING}
    return [
        str(case)
        for case, page in pages.items()
        if case.target in (HERE, THERE, ONCE)
        and case.expected() == "404"
        and text(page) != missing[case.name, case.method]
    ]


def text(answer: Any) -> str:
    return answer.content.decode().partition("<main")[2]
