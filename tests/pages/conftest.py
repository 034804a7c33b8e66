"""Browsers for the cast, and the two ways a page is asked for: plainly, and by htmx."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from sandboxes.models import Event, Image, Outcome, Sandbox, User

HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture(autouse=True)
def no_memory_of_tries() -> None:
    cache.clear()


def browser(user: User | None = None, **options: Any) -> Client:
    """A browser in which this person is signed in."""
    client = Client(**options)
    if user is not None:
        client.force_login(user)
    return client


@pytest.fixture
def as_alice(alice: User, engine: Any) -> Client:
    return browser(alice)


@pytest.fixture
def as_bob(bob: User, engine: Any) -> Client:
    return browser(bob)


@pytest.fixture
def as_prof(prof: User, engine: Any) -> Client:
    return browser(prof)


@pytest.fixture
def anonymous(db: None, engine: Any) -> Client:
    return browser()


@pytest.fixture
def row(alice: User, image: Image) -> Callable[..., Sandbox]:
    """``row(status="paused", ...)``: a sandbox's record as it is, without an engine's doing."""

    def made(owner: User = alice, **columns: Any) -> Sandbox:
        plain = {
            "name": "quiet-otter", "image": image, "image_reference": image.reference, "memory": 512 << 20,
            "cpus": 1, "pids": 64, "lifetime": 3600, "status": "running", "native_id": "n1",
            "expires_at": timezone.now() + timedelta(hours=1),
        }  # fmt: skip
        return Sandbox.objects.create(owner=owner, **plain | columns)

    return made


def refusals(action: str) -> list[Event]:
    """What is on record as refused."""
    return list(Event.objects.filter(action=action, outcome=Outcome.REFUSED))


def text(response: Any) -> str:
    """The page's text with single blanks."""
    return " ".join(response.content.decode().split())
