"""The catalogue: seeded once, its presence kept up to date, pulls shared and never left hanging."""

import pytest

from sandboxes.engine.base import LocalImage, Unreachable
from sandboxes.lifecycle import images
from sandboxes.models import Event, Image, Sandbox
from tests.fakes.engine import STARTER
from tests.fakes.processes import wait_until
from tests.lifecycle.helpers import ALICE, moments_ago, trail

pytestmark = pytest.mark.django_db


def test_a_new_install_offers_three_images_with_the_starter_first():
    images.seed_catalogue()
    rows = list(Image.objects.values_list("reference", "title", "enabled", "shell"))
    assert rows == [
        (STARTER, "Starter", True, "sh"),
        ("node:20-alpine", "Node.js 20", True, "sh"),
        ("python:3.13-slim", "Python 3.13", True, "bash"),
    ]


def test_seeding_again_leaves_what_admins_changed():
    images.seed_catalogue()
    Image.objects.filter(title="Node.js 20").update(enabled=False, memory=1 << 30)
    images.seed_catalogue()
    node = Image.objects.get(reference="node:20-alpine")
    assert (node.enabled, node.memory, Image.objects.count()) == (False, 1 << 30, 3)


def test_the_starter_is_built_and_then_here(engine):
    engine.local.clear()
    images.seed_catalogue()
    images.ensure_starter()
    assert Image.objects.get(reference=STARTER).is_here


@pytest.mark.parametrize(
    ("reference", "listed"),
    [
        ("node", "node:latest"),
        ("docker.io/library/node:20", "node:20"),
        ("localhost:5000/x", "localhost:5000/x:latest"),
        ("a/b@sha256:ab", "a/b@sha256:ab"),
    ],
)
def test_a_reference_is_known_in_the_engine_s_way_of_writing_it(reference, listed):
    assert images.canonical(reference) == listed


def test_presence_follows_the_engine(engine, image):
    engine.local["node:20-alpine"] = LocalImage("sha256:1", ("node:20-alpine",), 1234)
    node = Image.objects.create(reference="docker.io/library/node:20-alpine", title="Node")
    images.refresh_presence()
    node.refresh_from_db()
    assert node.size == 1234
    engine.local.clear()
    images.refresh_presence()
    node.refresh_from_db()
    image.refresh_from_db()
    assert not node.is_here
    assert not image.is_here


def test_an_engine_that_is_away_changes_nothing(engine, image):
    engine.away = Unreachable("away")
    with pytest.raises(Unreachable):
        images.refresh_presence()
    image.refresh_from_db()
    assert image.is_here


def test_a_pull_that_fails_says_so_and_can_be_tried_again(engine):
    node = Image.objects.create(reference="node:20-alpine", title="Node")
    future = images.pull(node, ALICE)
    assert str(future.exception()).startswith("The registry cannot be reached")
    engine.pulls["node:20-alpine"] = []
    images.pull(node, ALICE)
    node.refresh_from_db()
    assert (node.is_here, node.pull_error) == (True, "")
    assert [outcome for _, outcome, _ in trail()] == ["requested", "failed", "requested", "ok"]
    assert Event.objects.first().target_name == "node:20-alpine"


def test_a_pull_whose_process_died_is_over(engine, image):
    Image.objects.update(
        pull_since=moments_ago(minutes=1), pull_by="a-dead-process", pull_progress={"done": 1}
    )
    assert images.release_pulls({"me"}) == 1
    image.refresh_from_db()
    assert (image.is_pulling, image.pull_progress, image.pull_error) == (False, {}, images.INTERRUPTED)


@pytest.mark.django_db(transaction=True)
def test_a_starter_image_that_is_gone_is_built_not_pulled(pool, engine, launch):
    engine.local.pop(STARTER)
    sandbox = launch()
    assert wait_until(lambda: Sandbox.objects.get(pk=sandbox.pk).status == "running")
    assert "pull" not in [name for name, _ in engine.calls]
