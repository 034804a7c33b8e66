"""Everything that can be done leaves an event, and is not done where that cannot be written.

The tables are in acts.py and below; a path, a button, a frame, a command or a page of the admin without
a row fails here.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError

from sandboxes.labs.views import joining, labs, people, runs, templates
from sandboxes.lifecycle import event_words, refusals
from sandboxes.lifecycle.transitions import TABLE
from sandboxes.models import Event
from tests.gates import rules
from tests.gates import world as worlds
from tests.gates.test_forgery import changed, rows
from tests.gates.world import World

from . import acts
from .acts import ACTS, Act

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(engine: Any, db: None, settings: Any) -> World:
    settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
    return worlds.laid_down(engine)


class TakenBack(Exception):
    """Nothing of an act stays."""


def do(act: Act, world: World) -> Any:
    """Press it; the answer."""
    data = dict(act.data)
    data |= (act.prepare(world) if act.prepare else None) or {}
    path = acts.address(act, world)
    refusals.bound = refusals.Bound()
    if act.method == "get":
        return lambda: world.browser(act.who).get(path)
    return lambda: world.browser(act.who).post(path, data)


# -- paths and buttons ----------------------------------------------------------------------------


def test_every_path_that_takes_a_post_has_a_row():
    posts = {name for name, row in rules.ROUTES.items() if row.post is not None} | acts.OPEN_POSTS
    assert posts == {act.route for act in ACTS if act.method == "post"} | set(acts.NO_ACTS)
    assert set(rules.site_routes()) == set(rules.ROUTES) | rules.OPEN


@pytest.mark.parametrize(("route", "words"), [
    ("sandbox_act", {row.action for row in TABLE.values() if row.offered}),
    ("lab_act", set(labs.ACTS)), ("template_act", set(templates.ACTS)), ("roster_act", set(people.ACTS)),
])  # fmt: skip
def test_every_word_of_an_address_has_a_row(route, words):
    assert {act.words["action"] for act in ACTS if act.route == route} == words


@pytest.mark.parametrize(
    ("route", "words"), [("to_many", set(runs.ACTS)), ("course_join", set(joining.ACTS))]
)
def test_every_button_of_a_form_has_a_row(route, words):
    assert {act.data["do"] for act in ACTS if act.route == route} == words


@pytest.mark.parametrize("act", ACTS, ids=str)
def test_it_leaves_its_event(act, world):
    press = do(act, world)
    last = Event.objects.order_by("-id").values_list("pk", flat=True).first() or 0
    answer = press()
    found = [event for event in Event.objects.filter(pk__gt=last) if event.action == act.event]
    assert found, (
        answer.status_code,
        list(Event.objects.filter(pk__gt=last).values_list("action", "reason")),
    )
    actor = act.actor or worlds.NAMES.get(act.who, "")
    assert {event.actor_name for event in found} == {actor} if actor else found[0].actor_name
    assert {event.request_id for event in found} == {answer.headers["X-Request-ID"]}
    assert all(event.action in event_words.words() for event in Event.objects.filter(pk__gt=last))


@pytest.mark.parametrize("act", ACTS, ids=str)
def test_it_is_not_done_where_its_event_cannot_be_written(act, world, monkeypatch):
    press = do(act, world)
    before = rows()

    def broken(self, *args, **options):
        if self.action == act.event:
            raise DatabaseError("no room for events")
        raise DatabaseError("nor for others")

    monkeypatch.setattr(Event, "save", broken)
    with pytest.raises(DatabaseError):
        press()
    assert set(changed(before)) <= {"sandboxes.Brake"}  # a try counts, whatever came of it
