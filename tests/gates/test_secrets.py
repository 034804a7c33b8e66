"""Secrets that were put in are nowhere but where they belong: not in logs, the trail, pages or exports."""

from __future__ import annotations

import csv
import io
import logging
from typing import Any

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse

from sandboxes import access
from sandboxes.labs import joining, links
from sandboxes.models import Event, Sandbox

from . import world as worlds
from .rules import ROUTES, address
from .test_admin import addresses
from .world import HERE, World

pytestmark = pytest.mark.django_db
ENVIRONMENT = [f"canary-env-{number}" for number in range(12)]
GUESSES = [f"canary-guess-{number}" for number in range(8)]
CHANGES = [f"canary-change-{number}" for number in range(5)]
HEADERS = ["canary-cookie", "canary-bearer", "canary-csrf"]
CANARIES = [*ENVIRONMENT, *GUESSES, *CHANGES, *HEADERS]
INTENDED = {("sandboxes.Sandbox", "environment")}
"""Where a value has to be kept: its container is made with it."""


def put_in(world: World) -> list[str]:
    """Secrets by every way in; gives all of them, links that let people in among them."""
    student = world.browser("student")
    given = "\n".join(f"NAME_{number}={value}" for number, value in enumerate(ENVIRONMENT))
    form = {"name": "with-secrets", "image": world.image.pk, "memory": "64m", "cpus": "1", "pids": "64",
            "lifetime": "1h", "network": "none", "workdir": "/workspace", "environment": given,
            "disk": "1g", "isolation": "standard"}  # fmt: skip
    assert student.post(reverse("sandbox_new"), form).status_code == 303
    student.post(reverse("sandbox_new"), form | {"memory": "nothing"})
    for number, guess in enumerate(GUESSES):
        Client().post(reverse("sign_in"), {"username": ("alice", "nobody")[number % 2], "password": guess})
    for old in CHANGES:
        more = {"new_password1": old, "new_password2": "other"}
        student.post(reverse("profile"), {"form": "password", "old_password": old} | more)
    Client().get(reverse("metrics"), headers={"authorization": f"Bearer {HEADERS[1]}"})
    Client(enforce_csrf_checks=True).post(
        reverse("sign_in"), headers={"cookie": f"sessionid={HEADERS[0]}", "x-csrftoken": HEADERS[2]}
    )
    return CANARIES + use_links(world)


def use_links(world: World) -> list[str]:
    """Each way in by a link: without the form's token, and with what it does not take."""
    person = world.places[HERE].person
    invite = joining.new_invite(person.course, worlds.NOBODY)
    paths = [
        access.signin_path(world.users["student"]),
        reverse("join_invite", args=[invite]),
        links.path(person),
    ]
    for path in paths:
        Client(enforce_csrf_checks=True).post(path)
        Client().post(path, {"name": "x"})  # too short a name: refused
        Client().put(path)
        Client().get(path[:-2] + "/")  # nearly right
    return [path.rstrip("/").rpartition("/")[2][:-1] for path in paths]


@pytest.fixture
def secrets(world: World, caplog: pytest.LogCaptureFixture) -> list[str]:
    with caplog.at_level(logging.DEBUG):
        return put_in(world)


def kept_in(secrets: list[str], text: str) -> list[str]:
    return [one for one in secrets if one in text]


def test_none_is_in_the_log(secrets: list[str], caplog: pytest.LogCaptureFixture) -> None:
    said = [one for one in caplog.get_records("setup") if not one.name.startswith("django.db")]
    assert len(secrets) >= 30
    assert kept_in(secrets, "\n".join(record.getMessage() for record in said)) == []
    assert any("..." in record.getMessage() for record in said)


def test_none_is_in_the_database_but_where_it_belongs(secrets: list[str]) -> None:
    """Sessions and the columns that links are made from apart: they are what is checked against."""
    found = []
    for model in apps.get_models():
        columns = [field.attname for field in model._meta.concrete_fields]
        for row in model._default_manager.values(*columns):
            found += [
                (model._meta.label, name) for name, value in row.items() if kept_in(secrets, str(value))
            ]
    assert set(found) <= INTENDED | {("labs.Course", "invite")}
    assert ("sandboxes.Sandbox", "environment") in found


def test_none_is_on_record(secrets: list[str]) -> None:
    rows = "\n".join(str(row) for row in Event.objects.values())
    assert kept_in(secrets, rows) == []
    assert Event.objects.count() > 20


@pytest.mark.parametrize("role", ["student", "instructor", "auditor"])
def test_none_is_on_any_page_or_in_an_export(secrets: list[str], world: World, role: str) -> None:
    place, client, told = world.places[HERE], world.browser(role), []
    sandbox = Sandbox.objects.get(name="with-secrets")
    paths = [address(name, world, place, place) for name in ROUTES if name not in MAKES_LINKS]
    paths += [
        reverse("sandbox_detail", args=[sandbox.pk]),
        f"/admin/sandboxes/sandbox/{quoted(sandbox.pk)}/change/",
    ]
    paths += [path for _, path in addresses(world)]
    for path in paths:
        if found := kept_in(secrets, content(client.get(path))):
            told.append((path, found))
    assert told == []


MAKES_LINKS = {"course_join", "course_cards", "roster_person", "course_code"}
"""What these pages are for is handing out links."""


def quoted(pk: str) -> str:
    return pk.replace("_", "_5F")


def content(answer: Any) -> str:
    if answer.streaming:
        return "" if answer.is_async else b"".join(answer.streaming_content).decode(errors="replace")
    return str(answer.content.decode(errors="replace"))


def test_none_is_in_the_exported_trail(secrets: list[str], world: World) -> None:
    path = reverse("admin:sandboxes_event_export", args=["csv"])
    text = content(world.browser("auditor").post(path))
    assert kept_in(secrets, text) == []
    assert len(list(csv.reader(io.StringIO(text)))) > 20
