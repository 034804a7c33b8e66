"""Another runtime for an image: only what the engine offers, refused in words when it offers it no more."""

from __future__ import annotations

import pytest
from django.contrib.admin import site

from sandboxes.admin.people import ImageAdmin
from sandboxes.engine.base import Unreachable
from sandboxes.lifecycle import actions, host
from sandboxes.models import Image, Status, User
from tests.fakes.engine import FakeEngine


@pytest.fixture(autouse=True)
def told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "KEPT", 0)


@pytest.fixture
def guarded(image: Image, engine: FakeEngine) -> Image:
    """An image that wants gVisor, on an engine that has it."""
    engine.runtimes = ("runsc",)
    image.runtime = "runsc"
    image.save()
    return image


def test_a_sandbox_is_made_with_its_images_runtime(launch, guarded, engine):
    sandbox = launch()
    assert sandbox.status == Status.RUNNING
    assert (sandbox.runtime, engine.containers[sandbox.native_id].spec.runtime) == ("runsc", "runsc")


def test_others_have_the_engines_usual_one(launch, engine):
    assert engine.containers[launch().native_id].spec.runtime == ""


def test_it_is_refused_when_the_engine_offers_it_no_more(launch, guarded, engine):
    engine.runtimes = ()
    with pytest.raises(
        actions.Refused, match="needs the runtime runsc, which the engine does not"
    ) as refused:
        launch()
    assert refused.value.field == "image"
    assert not engine.containers


def test_while_the_engine_does_not_answer_a_launch_waits_for_it(launch, guarded, engine):
    engine.away = Unreachable("away")
    assert launch().status == Status.QUEUED


# -- in the admin -------------------------------------------------------------------------------


@pytest.fixture
def form(rf, root: User):
    """``form(image)``: what the admin's page of an image has, with what was sent."""

    def made(image: Image, runtime: str):
        request = rf.get("/")
        request.user = root
        kind = ImageAdmin(Image, site).get_form(request, image, change=True)
        shown = {one.name: one.value() for one in kind(instance=image)}
        values = {name: value for name, value in shown.items() if value is not None}
        return kind(values | {"runtime": runtime}, instance=image)

    return made


def test_the_admin_offers_what_the_engine_offers_and_says_that_it_is_experimental(form, image, engine):
    engine.runtimes = ("kata", "runsc")
    assert form(image, "").fields["runtime"].choices == [
        ("", "the engine's usual one"), ("kata", "kata (experimental)"), ("runsc", "runsc (experimental)"),
    ]  # fmt: skip
    assert form(image, "kata").is_valid()


def test_another_is_refused_with_a_text(form, image, engine):
    found = form(image, "evil")
    assert not found.is_valid()
    assert found.errors["runtime"] == ["The engine does not offer the runtime evil. Choose one of these."]


def test_while_the_engine_does_not_answer_the_present_one_can_be_kept(form, guarded, engine):
    engine.away = Unreachable("away")
    assert form(guarded, "runsc").is_valid()
    assert not form(guarded, "kata").is_valid()


def test_pages_say_that_it_is_experimental(client, alice, launch, guarded):
    sandbox = launch()
    client.force_login(alice)
    for path in (f"/sandboxes/{sandbox.pk}/", "/sandboxes/new/", "/images/"):
        assert "experimental" in client.get(path).content.decode()
