"""Secrets that were put in are nowhere but where they belong: not in logs, the trail, pages or exports."""

from __future__ import annotations

import csv
import io
import logging
import sys
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.test import Client
from django.urls import reverse

from sandboxes import access
from sandboxes import settings as project
from sandboxes.engine import get_engine
from sandboxes.labs import broadcast, joining, links
from sandboxes.models import Event, Sandbox
from sandboxes.unsaid import Line

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
INTENDED = {("sandboxes_sandbox", "environment")}
"""Where a value has to be kept: its container is made with it."""
TYPED = [
    "mysql --password={}", "mysql -u root -p{} -e 'select 1'", "TOKEN={} ./run", "curl https://alice:{}@example.org/x",
    "mysql --password {}", "curl -H 'Authorization: Bearer {}' x", "export AWS_SECRET_ACCESS_KEY={}; run",
    "curl -u alice:{} https://example.org", "sshpass -p{} ssh host", "git clone https://oauth2:{}@example.org/x",
]  # fmt: skip
"""The usual shapes in which people type a secret."""
ARGV = [f"canary-argv-{number}" for number in range(2 * len(TYPED))]
RECORDS = {("sandboxes_command", "argv"), ("sandboxes_command", "text"), ("labs_labrun", "text")}
"""What was typed is the record of a command itself, for whoever may see the sandbox; nowhere else."""


def put_in(world: World) -> list[str]:
    """Secrets by every way in; gives all of them, links that let people in among them."""
    student = world.browser("student")
    given = "\n".join(f"NAME_{number}={value}" for number, value in enumerate(ENVIRONMENT))
    form = {"name": "with-secrets", "image": world.image.pk, "memory": "64m", "cpus": "1", "pids": "64",
            "lifetime": "1h", "network": "none", "workdir": "/workspace", "environment": given,
            "disk": "1g", "isolation": "standard"}  # fmt: skip
    assert student.post(reverse("sandbox_new"), form).status_code == 303
    type_commands(world)
    break_things(world, form)
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


def type_commands(world: World) -> None:
    """By their student, with and without a shell, refused ones too; and by an instructor for all seats."""
    place, student = world.places[HERE], world.browser("student")
    path = reverse("command_run", args=[place.sandbox.pk])
    for number, shape in enumerate(TYPED):
        student.post(path, {"command": shape.format(ARGV[number]), "shell": "on" if number % 2 else ""})
        student.post(path, {"command": shape.format(ARGV[number]), "shell": "on", "time_limit": "0"})
        world.browser("instructor").post(
            reverse("to_many", args=[place.lab.pk]),
            {"do": "command", "all": "1", "command": shape.format(ARGV[len(TYPED) + number])},
        )
    while broadcast.go_on():
        pass


def break_things(world: World, form: dict[str, Any]) -> None:
    """Faults of ours, each with a traceback in the log, while secrets are in our hands."""
    engine: Any = get_engine()
    engine.fail["create"] = engine.fail["exec"] = RuntimeError("broken")
    world.browser("student").post(reverse("sandbox_new"), form | {"name": "broken"})
    world.browser("student").post(
        reverse("command_run", args=[world.places[HERE].sandbox.pk]), {"command": TYPED[0].format(ARGV[0])}
    )
    del engine.fail["create"], engine.fail["exec"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.contrib.auth.forms.authenticate", broken)
        Client(raise_request_exception=False).post(
            reverse("sign_in"), {"username": "alice", "password": GUESSES[0]}
        )


def broken(*args: Any, **facts: Any) -> None:
    raise RuntimeError("broken")


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
    """As it is written: with its tracebacks."""
    said = [one for one in caplog.get_records("setup") if not one.name.startswith("django.db")]
    lines = [Line().format(record) for record in said]
    assert len(secrets) >= 30
    assert kept_in([*secrets, *ARGV], "\n".join(lines)) == []
    assert any("..." in line for line in lines)
    assert sum("Traceback" in line and "RuntimeError: broken" in line for line in lines) >= 3


def test_a_row_that_the_database_refused_is_not_quoted_in_the_log() -> None:
    """PostgreSQL's own words, which hold all values of the row."""
    refusal = 'new row for relation "x" violates check\nDETAIL:  Failing row contains (1, canary-env-1).'
    line = Line(project.LOGGING["formatters"]["line"]["fmt"].replace("%(request_note)s", ""))
    try:
        raise IntegrityError(refusal)
    except IntegrityError as error:
        record = logging.LogRecord("x", logging.ERROR, "x", 1, "It broke: %s", (error,), sys.exc_info())
    assert "Failing row" not in line.format(record)
    assert line.format(record).count("violates check\nDETAIL: ...") == 2


def test_none_is_in_the_database_but_where_it_belongs(secrets: list[str]) -> None:
    """Every table there is, the search's own too. Columns that links are made from are checked against."""
    found = set()
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            columns = [column[0] for column in cursor.description]
            found |= {
                (table, name)
                for row in cursor.fetchall()
                for name, value in zip(columns, row, strict=True)
                if kept_in([*secrets, *ARGV], str(value))
            }
    said = {("sandboxes_command", "stdout"), ("sandboxes_command", "stderr")}
    assert found <= INTENDED | RECORDS | said | {("labs_course", "invite")}
    assert found >= INTENDED | RECORDS


def test_none_is_on_record(secrets: list[str]) -> None:
    rows = "\n".join(str(row) for row in Event.objects.values())
    assert kept_in([*secrets, *ARGV], rows) == []
    assert Event.objects.filter(action="command.run").count() >= len(ARGV)
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


@pytest.mark.parametrize("role", ["student", "instructor", "auditor"])
def test_what_was_typed_is_on_the_pages_of_commands_only(secrets: list[str], world: World, role: str) -> None:
    place, client = world.places[HERE], world.browser(role)
    paths = [(name, address(name, world, place, place)) for name in ROUTES]
    shown = {name for name, path in [*paths, *addresses(world)] if kept_in(ARGV, content(client.get(path)))}
    assert shown <= SHOW_COMMANDS


SHOW_COMMANDS = {"sandbox_detail", "wall", "seat_story"} | {
    f"{model}_{page}"
    for model in ("sandboxes_command", "labs_labrun", "labs_labrunresult")
    for page in ("changelist", "change", "history")
}
"""A sandbox's page, what was done for many, a seat's own story, and their records in the admin."""
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
    assert kept_in([*secrets, *ARGV], text) == []
    assert len(list(csv.reader(io.StringIO(text)))) > 20
