"""What is pressed twice is done once."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from bench.person import Person
from sandboxes.models import Sandbox, User
from tests.browser.product import Product
from tests.fakes.processes import wait_until

from .classroom import ask
from .site import query, settled

pytestmark = pytest.mark.django_db(transaction=True)


def press(client: Client, data: dict[str, Any], gate: threading.Barrier, answers: list[int]) -> None:
    gate.wait(20)
    answers.append(client.post(reverse("sandbox_new"), data).status_code)
    connection.close()


def test_a_form_sent_twice_at_once_makes_one_sandbox(
    pool: None, engine: Any, alice: User, image: Any, scale: Any, told: Any
) -> None:
    User.objects.update(quota_sandboxes=10_000, quota_memory=1 << 50)
    clients = [Client(), Client()]
    for client in clients:
        client.force_login(alice)
    count, answers = scale(15, 200), []
    for number in range(count):
        data = {"name": f"twice-{number}", "image": image.pk, "memory": "32m", "cpus": "1", "pids": "64",
                "lifetime": "1h", "network": "none", "workdir": "/workspace", "launch_key": f"{number:024x}",
                "disk": "1g", "isolation": "standard"}  # fmt: skip
        gate = threading.Barrier(2)
        threads = [threading.Thread(target=press, args=(one, data, gate, answers)) for one in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    names = list(Sandbox.objects.values_list("name", flat=True))
    told(double_submits=count, sandboxes=len(names), answers=sorted(set(answers)))
    assert sorted(names) == sorted(f"twice-{number}" for number in range(count))
    assert set(answers) == {303}
    assert len(answers) == 2 * count


@pytest.mark.engine
def test_the_same_against_what_people_run_makes_one_container(
    plain_product: Product, scale: Any, told: Any
) -> None:
    """Two browsers of hers, a served product, the real engine."""
    product, count = plain_product, scale(4, 40)
    browsers = [Person(product), Person(product)]
    page = browsers[0].page("/sandboxes/new/")
    image = page.split('name="image" value="')[1].split('"')[0]
    right = {"image": image, "memory": "16m", "pids": "16", "network": "none", "isolation": "standard"}
    answers: list[int] = []
    for number in range(count):
        data = right | {"name": f"double-{number}", "launch_key": f"{number:024x}"}
        answers += pressed_twice(product, browsers, data)
    made = dict(query(product, "SELECT id, name FROM sandboxes_sandbox WHERE name LIKE 'double-%'"))
    try:
        settled(product, dict.fromkeys(made, "running"), 120)
        names = product.names()
    finally:
        product.manage("shutdown", "--yes")
    told(double_submits=count, sandboxes=len(made), containers=len(names), answers=sorted(set(answers)))
    assert Counter(answers) == {303: 2 * count}
    assert sorted(made.values()) == sorted(f"double-{number}" for number in range(count))
    assert sorted(names) == sorted(f"sandbox-{pk}" for pk in made)
    assert wait_until(lambda: not product.names(), 60)


def pressed_twice(product: Product, browsers: list[Person], data: dict[str, str]) -> list[int]:
    """The answers to one form that two browsers send at the same moment."""
    gate = threading.Barrier(2)
    tokens = [one.token("/sandboxes/new/") for one in browsers]

    def once(person: Person, token: str) -> int:
        gate.wait(20)
        return ask(product, person.cookies(), "/sandboxes/new/", "double", data, token).status

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(once, browsers, tokens))
