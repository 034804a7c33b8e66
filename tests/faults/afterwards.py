"""After each test: what must be true at any moment is true, of the records at hand and of each product."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from sandboxes.lifecycle import invariants
from tests.browser.product import Product
from tests.fakes.processes import wait_until

from .site import breaches

PATIENCE = 30.0
"""Seconds for what a running product has under way: its loop goes round every ten in the full form."""
OF_A_DATABASE = {"db", "transactional_db", "django_db_reset_sequences", "django_db_serialized_rollback"}


def fixtures(request: pytest.FixtureRequest) -> dict[str, Any]:
    """All of a test's fixtures, made by now: whoever asks for them first is put away before them."""
    names = [name for name in request.fixturenames if name not in ("request", request.fixturename)]
    return {name: request.getfixturevalue(name) for name in names}


def has_records(request: pytest.FixtureRequest) -> bool:
    """Whether the test has a database and an engine of its own."""
    marked = request.node.get_closest_marker("django_db") is not None
    return (marked or bool(OF_A_DATABASE & {*request.fixturenames})) and "engine" in request.fixturenames


def products(values: Iterable[Any]) -> Iterator[Product]:
    """Those among a test's fixtures, also where one gives several things."""
    flat = [one for value in values for one in (value if isinstance(value, tuple) else [value])]
    yield from {id(one): one for one in flat if isinstance(one, Product)}.values()


def records_are_in_order() -> None:
    """By the same look as `manage.py check_invariants`."""
    found = invariants.breaches(0.1)
    assert found == [], "\n".join(map(str, found))


def is_in_order(product: Product) -> None:
    """By `manage.py check_invariants`, once what is under way has settled."""
    said = [""]

    def settled() -> bool:
        said[0] = breaches(product)
        return not said[0]

    assert wait_until(settled, PATIENCE), said[0]
