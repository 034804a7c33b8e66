"""Strict beside standard: whoever asks for more gets it, and nobody gets less."""

from __future__ import annotations

import pytest

from sandboxes.lifecycle import actions, strictness
from sandboxes.models import Event, Image, Isolation, Outcome
from tests.fakes.engine import FakeEngine

STANDARD, STRICT = Isolation


def spec(engine: FakeEngine):
    (one,) = engine.containers.values()
    return one.spec


@pytest.mark.parametrize(
    ("of_image", "asked", "holds"),
    [
        (STANDARD, None, STANDARD),
        (STANDARD, STANDARD, STANDARD),
        (STANDARD, STRICT, STRICT),
        (STRICT, None, STRICT),
        (STRICT, STANDARD, STRICT),
    ],
)
def test_the_stricter_of_image_and_launch_holds(launch, image, engine, of_image, asked, holds):
    Image.objects.update(isolation=of_image)
    sandbox = launch(isolation=asked)
    assert (sandbox.isolation, spec(engine).strict) == (holds, holds == STRICT)


def test_a_strict_one_is_never_root(launch, image, engine):
    Image.objects.update(runs_as_root=True)
    assert launch(isolation=STRICT).runs_as_root is False
    assert spec(engine).root is False


def test_a_strict_one_with_a_network_is_refused(launch):
    with pytest.raises(actions.Refused, match="no network") as refused:
        launch(isolation=STRICT, network="internet")
    assert refused.value.field == "network"


def test_another_word_is_refused(launch):
    with pytest.raises(actions.Refused, match="standard or strict"):
        launch(isolation="loose")


def test_it_is_on_record(launch):
    launch(isolation=STRICT)
    asked = Event.objects.get(action="sandbox.launch", outcome=Outcome.REQUESTED)
    assert asked.detail["isolation"] == "strict"


def test_its_disk_is_the_image_s(launch, image, engine):
    Image.objects.update(disk=5 << 20)
    assert launch().disk == spec(engine).disk == 5 << 20


def test_people_are_told_where_their_files_are(launch):
    assert strictness.told(launch()) == ""
    told = strictness.told(launch(isolation=STRICT, memory="512m"))
    assert told == "up to 256 MB in /workspace and 64 MB in /tmp, in memory; gone when it stops"
