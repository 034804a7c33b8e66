"""What is pressed twice is done once."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from sandboxes.models import Sandbox, User

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
