"""The look that ends each test of this folder, and what the report says of a run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sandboxes.models import Sandbox
from tests.browser.product import Product
from tests.lifecycle.helpers import older

from . import afterwards
from .conftest import commit


@pytest.mark.django_db
def test_a_test_that_leaves_something_wrong_fails(
    running: Sandbox, request: pytest.FixtureRequest, engine: Any
) -> None:
    assert "in_order" in request.fixturenames
    assert afterwards.has_records(request)
    older(running, seconds=5)
    afterwards.records_are_in_order()
    engine.pause(running.native_id)
    with pytest.raises(AssertionError, match="same status"):
        afterwards.records_are_in_order()
    engine.resume(running.native_id)


def test_without_records_there_is_nothing_to_look_at(request: pytest.FixtureRequest) -> None:
    assert not afterwards.has_records(request)


def test_a_product_is_found_wherever_a_fixture_has_it(tmp_path: Path) -> None:
    one, other = Product(tmp_path), Product(tmp_path)
    assert [*afterwards.products([3, one, (other, "x"), one])] == [one, other]
    for made in (one, other):
        made.engine.close()


def test_a_product_in_which_something_is_wrong_fails_its_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = iter(["an end: sb_1: it has no end", "", "wrong", "wrong"])
    monkeypatch.setattr(afterwards, "breaches", lambda product: next(said, "wrong"))
    made = Product(tmp_path)
    made.engine.close()
    afterwards.is_in_order(made)  # it had something under way
    monkeypatch.setattr(afterwards, "PATIENCE", 0.2)
    with pytest.raises(AssertionError, match="wrong"):
        afterwards.is_in_order(made)


def test_the_report_names_the_commit_where_there_is_one(tmp_path: Path) -> None:
    assert commit(tmp_path) == ""
    if shutil.which("git"):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        for words in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "first"]):
            subprocess.run(["git", *words], cwd=tmp_path, check=True)
        assert len(commit(tmp_path)) == 40
