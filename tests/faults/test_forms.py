"""Every form is sent nonsense: an answer for people each time, never a fault, and nothing is left over."""

from __future__ import annotations

import importlib
import pkgutil
import random
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django import forms
from django.contrib.admin.sites import site
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, RequestFactory
from django.urls import get_resolver, reverse

import sandboxes
from sandboxes.engine.base import EngineError, ImageMissing, NoCapacity
from sandboxes.forms import LaunchForm
from sandboxes.lifecycle import invariants
from sandboxes.models import Command, Sandbox, User, Webhook
from tests.gates import world as worlds
from tests.gates.rules import ROUTES, address
from tests.gates.world import HERE, World

from .rubbish import (
    BAD_ENVIRONMENTS,
    BAD_NUMBERS,
    BAD_PATHS,
    BAD_SIZES,
    BAD_TIMES,
    BAD_WORDS,
    file_name,
    plain,
    rubbish,
    sendable,
)

pytestmark = pytest.mark.django_db
SECRET = "/var/lib/docker/overlay2/abc: OCI runtime create failed"
"""What an engine says of itself, and nobody but an admin is to read."""
TOLD = re.compile(r"/var/lib/docker|OCI runtime|Traceback|site-packages|docker\.sock|HTTPConnectionPool")


# -- which forms there are ------------------------------------------------------------------------


def every_form() -> set[str]:
    """The names of all form classes of the product."""
    get_resolver().url_patterns  # noqa: B018  # reads all paths, in their order
    for module in pkgutil.walk_packages(sandboxes.__path__, "sandboxes."):
        if "migrations" not in module.name and not module.name.endswith("asgi"):
            importlib.import_module(module.name)
    return {one.__name__ for one in below(forms.BaseForm) if one.__module__.startswith("sandboxes.")}


def below(kind: type) -> Iterator[type]:
    for one in kind.__subclasses__():
        yield one
        yield from below(one)


PLACES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "LaunchForm": ("sandbox_new", "student", {"name": "fuzz", "memory": "32m", "cpus": "1", "pids": "64",
                                              "lifetime": "1h", "network": "none"}),
    "CommandForm": ("command_run", "student", {"command": "echo a", "shell": "on", "time_limit": "5"}),
    "ProfileForm": ("profile", "student", {"form": "about", "first_name": "A", "email": "a@example.org"}),
    "CourseForm": ("course_settings", "instructor", {"title": "Here", "typing": "ask"}),
    "RosterForm": ("roster_paste", "instructor", {"text": "name,email\nAn,an@example.org\n"}),
    "PersonForm": ("roster_person", "instructor", {"name": "An", "role": "student", "email": ""}),
    "LabForm": ("lab_new", "instructor", {"title": "L", "minutes": "30", "late": "open"}),
    "RecipeForm": ("template_edit", "instructor", {"title": "T", "sheet": "# A\n\n## B\n", "memory": "64m",
                                                   "cpus": "1", "pids": "64", "lasts": "30", "base": "1"}),
    "SignInForm": ("sign_in", "anonymous", {"username": "alice", "password": "no"}),
    "WebhookForm": ("admin:sandboxes_webhook_add", "root", {"name": "w", "url": "https://e.org/x",
                                                            "actions": "*"}),
    "ImageForm": ("admin:sandboxes_image_add", "root", {"reference": "some/image:1", "title": "Some",
                                                          "shell": "sh", "position": "1"}),
}  # fmt: skip
"""Each form of ours: where it is sent to, by whom, and what would be right."""
FILES = {"RosterForm": ("file",), "RecipeForm": ("upload",)}


def test_every_form_of_the_product_has_a_row() -> None:
    assert every_form() == set(PLACES)


def admin_places() -> list[tuple[str, str]]:
    """The admin's own forms: the model, and where one is added or changed."""
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_staff=True, is_active=True)
    return [(model.__name__, f"admin:{model._meta.app_label}_{model._meta.model_name}_{verb}")
            for model, page in site._registry.items() if page.has_add_permission(request)
            for verb in ("add", "change")]  # fmt: skip


# -- sending --------------------------------------------------------------------------------------


class Sender:
    """Sends one form again and again, and looks at each answer."""

    def __init__(self, client: Client, path: str, right: dict[str, Any], dice: random.Random) -> None:
        self.client, self.path, self.right, self.dice = client, path, right, dice
        self.names = sorted(right)
        self.answers: Counter[int] = Counter()

    def send(self, data: dict[str, Any]) -> None:
        cache.clear()  # how often one may try is told elsewhere
        answer = self.posted(data)
        text = answer.content.decode() if not answer.streaming else ""
        assert answer.status_code < 500, (self.path, data, answer.status_code)
        assert not TOLD.search(text), (self.path, data, TOLD.search(text))
        self.answers[answer.status_code] += 1

    def posted(self, data: dict[str, Any]) -> Any:
        """As a browser sends it; with a file as parts, whose names and values are text."""
        if any(isinstance(value, SimpleUploadedFile) for value in data.values()):
            return self.client.post(
                self.path, {name: plain(one) if isinstance(one, str) else one for name, one in data.items()}
            )
        body = urlencode({name: sendable(value) for name, value in data.items()})
        return self.client.post(self.path, body, content_type="application/x-www-form-urlencoded")

    def any(self, count: int, files: tuple[str, ...] = ()) -> None:
        """One to four fields are wrong, or not there, or there is one too many."""
        for _ in range(count):
            data = dict(self.right)
            wrong = min(self.dice.choice((1, 1, 2, 4)), len(self.names))
            for name in self.dice.sample(self.names, wrong):
                data[name] = rubbish(self.dice)
            if self.dice.random() < 0.1:
                data.pop(self.dice.choice(self.names), None)
            for name in files if self.dice.random() < 0.5 else ():
                content = self.dice.choice((b"", self.dice.randbytes(200), rubbish(self.dice).encode(
                    "utf-8", "replace")))  # fmt: skip
                data[name] = SimpleUploadedFile(file_name(self.dice), content)
            self.send({name: value for name, value in data.items() if value is not None})


@pytest.fixture
def world(engine: Any, db: None, settings: Any) -> World:
    settings.SANDBOX_QUOTA_SANDBOXES = 100_000
    settings.SANDBOX_QUOTA_MEMORY = 1 << 60
    made = worlds.laid_down(engine)
    Command.objects.update(status="exited")  # those of that world never ran
    User.objects.update(quota_sandboxes=100_000, quota_memory=1 << 60)
    root = User.objects.create_superuser("root", "root@example.org", worlds.PASSWORD)
    made.browsers["root"] = worlds.signed_in(root)
    for one in made.browsers.values():
        one.raise_request_exception = False
    return made


def where(world: World, name: str) -> str:
    place = world.places[HERE]
    if name in ROUTES:
        return address(name, world, place, place)
    return reverse(name)


def fields_of(name: str) -> list[str]:
    found = next(one for one in below(forms.BaseForm) if one.__name__ == name)
    return list(found.base_fields)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", sorted(PLACES))
def test_no_input_is_a_fault(
    world: World, engine: Any, dice: random.Random, scale: Any, told: Any, name: str
) -> None:
    route, role, right = PLACES[name]
    if name in ("LaunchForm", "RecipeForm"):
        right = right | {"image": str(world.image.pk)}
    if name == "LabForm":
        right = right | {"template": str(world.places[HERE].template.pk)}
    sender = Sender(world.browser(role), where(world, route), right, dice)
    sender.names = sorted({*right, *fields_of(name)} - {"form"})
    sender.any(scale(25, 2000), FILES.get(name, ()))
    told(inputs=sum(sender.answers.values()), answers=dict(sender.answers), server_errors=0)
    nothing_left_over(engine)


@pytest.mark.parametrize(("model", "route"), admin_places())
def test_no_input_in_the_admin_is_a_fault(
    world: World, dice: random.Random, scale: Any, told: Any, model: str, route: str
) -> None:
    client = world.browser("root")
    path = reverse(route, args=[subject(world, model).pk] if route.endswith("change") else [])
    form = client.get(path).context["adminform"].form
    right = {name: form[name].value() for name in form.fields}
    sender = Sender(client, path, {name: shown(value) for name, value in right.items()}, dice)
    sender.any(scale(12, 2000))
    told(inputs=sum(sender.answers.values()), answers=dict(sender.answers), server_errors=0)


def subject(world: World, model: str) -> Any:
    """A row to be changed."""
    if model == "Group":
        return Group.objects.create(name="some")
    if model == "Webhook":
        return Webhook.objects.create(name="some", url="https://example.org/x", actions="*")
    return {"User": world.users["stranger"], "Image": world.image}[model]


def shown(value: Any) -> str:
    return "on" if value is True else "" if value in (None, False, []) else str(value)


def test_no_input_of_a_path_without_a_form_is_a_fault(
    world: World, engine: Any, dice: random.Random, scale: Any, told: Any
) -> None:
    """What other paths read of a request, they read as carefully."""
    words = ("do", "action", "minutes", "text", "all", "seat", "step", "code", "name", "seen", "who", "ids",
             "next", "command", "template", "remove_all", "sheet")  # fmt: skip
    paths = [(name, row) for name, row in sorted(ROUTES.items()) if row.post]
    tally: Counter[int] = Counter()
    for _ in range(scale(1, 50)):
        for name, row in paths:
            role = "instructor" if ("instructor", HERE) in (row.post or ()) else "student"
            right = {word: row.data.get(word, "1") for word in words} | row.data
            sender = Sender(world.browser(role), where(world, name), right, dice)
            sender.any(1)
            tally += sender.answers
    told(paths=len(paths), inputs=sum(tally.values()), server_errors=0)
    nothing_left_over(engine)


def nothing_left_over(engine: Any) -> None:
    """As many containers as there are sandboxes that have one, and each as demanded."""
    have = Sandbox.objects.filter(status__in=("running", "paused", "stopped")).exclude(native_id="")
    assert set(have.values_list("native_id", flat=True)) == set(engine.containers)
    assert invariants.breaches(0.01) == []


# -- a sandbox to be ------------------------------------------------------------------------------

BY_HAND: list[tuple[str, str]] = [
    *(("memory", one) for one in (*BAD_SIZES, *BAD_NUMBERS)),
    *(("cpus", one) for one in BAD_NUMBERS),
    *(("pids", one) for one in BAD_NUMBERS),
    *(("lifetime", one) for one in (*BAD_TIMES, *BAD_NUMBERS)),
    *(("workdir", one) for one in BAD_PATHS),
    *(("environment", one) for one in BAD_ENVIRONMENTS),
    *(("name", one) for one in BAD_WORDS),
    *((field, one) for field in ("network", "isolation", "image") for one in ("host", "\0", "-1", "9" * 30)),
    ("network", "container:abc"), ("network", "bridge"), ("isolation", "privileged"), ("image", "alpine"),
    ("launch_key", "\0"), ("launch_key", "k" * 5000), ("auto_remove", "\0"),
]  # fmt: skip


def test_hand_made_input_at_fault_is_told_at_its_field(world: World, engine: Any, told: Any) -> None:
    sender = launcher(world)
    for field, value in BY_HAND:
        sender.send(sender.right | {field: value})
    assert len(BY_HAND) >= 120
    assert sender.answers[422] > len(BY_HAND) // 2
    for pk, memory, pids in Sandbox.objects.values_list("pk", "memory", "pids"):
        assert 6 << 20 <= memory <= 2 << 30, pk
        assert 8 <= pids <= 4096, pk
    told(by_hand=len(BY_HAND), answers=dict(sender.answers), left_over=0)
    nothing_left_over(engine)


def launcher(world: World) -> Sender:
    right = PLACES["LaunchForm"][2] | {"image": str(world.image.pk)}
    path = where(world, "sandbox_new")
    return Sender(world.browser("student"), path, right, random.Random(1))


@pytest.mark.parametrize("call", ["create", "start"])
@pytest.mark.parametrize("kind", [EngineError, NoCapacity, ImageMissing])
def test_what_the_engine_says_of_a_launch_is_for_admins(
    world: World, engine: Any, call: str, kind: type[EngineError]
) -> None:
    """Its own text, with a host's path, is on no page of the one who launched, and nothing is left."""
    client = world.browser("student")
    engine.fail[call] = kind("It could not be made.", SECRET)
    sender = launcher(world)
    sender.send(sender.right)
    made = Sandbox.objects.get(name="fuzz")
    assert made.status == "failed"
    for path in (reverse("sandbox_detail", args=[made.pk]), "/sandboxes/"):
        assert not TOLD.search(client.get(path).content.decode()), path
    engine.fail.clear()
    nothing_left_over(engine)


def test_the_form_knows_no_field_that_is_not_fuzzed() -> None:
    assert set(LaunchForm.base_fields) <= {field for field, _ in BY_HAND}
