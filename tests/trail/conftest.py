"""What is on record, newest last; and browsers for the cast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from sandboxes.models import Event, User
from tests.pages.conftest import browser


@pytest.fixture(autouse=True)
def no_memory_of_tries() -> None:
    cache.clear()


@pytest.fixture
def as_root(root: User, engine: Any) -> Client:
    return browser(root)


@pytest.fixture
def the(db: None) -> Callable[[str], Event]:
    """``the("image.change")``: the one event of this action; fails where there is none or more."""

    def found(action: str) -> Event:
        return Event.objects.get(action=action)

    return found
