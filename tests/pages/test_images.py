"""The catalogue: what is here, pulling with progress, who may."""

from __future__ import annotations

import pytest
from django.utils import timezone

from sandboxes.engine.base import PullProgress
from sandboxes.models import Event, Image

from .conftest import HTMX, text

pytestmark = pytest.mark.django_db
URL = "/images/"


@pytest.fixture
def node(db):
    return Image.objects.create(reference="node:20", title="Node", description="Node and npm.")


def test_what_is_here_is_shown_with_its_size(image, node, as_alice, engine):
    page = text(as_alice.get(URL))
    assert "here</span>" in page
    assert "2 MB" in page
    assert "not here</span>" in page
    assert engine.calls == []


def test_only_staff_see_what_is_switched_off_and_may_pull(image, as_alice, as_prof):
    Image.objects.create(reference="old", title="Old one", enabled=False)
    assert "Old one" not in text(as_alice.get(URL))
    assert "Pull again" not in text(as_alice.get(URL))
    assert "switched off" in text(as_prof.get(URL))
    assert "Pull again" in text(as_prof.get(URL))


def test_pull(node, engine, as_prof):
    engine.pulls["node:20"] = [PullProgress(1, 2, {"a": ("Downloading", 1, 2)})]
    page = text(as_prof.post(f"{URL}{node.pk}/pull/", follow=True))
    assert "Node is here." in page
    assert Event.objects.filter(action="image.pull", outcome="ok", actor_name="prof").exists()


def test_a_pull_that_fails_says_why(node, engine, as_prof):
    page = text(as_prof.post(f"{URL}{node.pk}/pull/", follow=True))
    assert page.count("The registry cannot be reached; is this machine offline?") == 2  # the note, the card
    assert "Try again" in page


def test_by_htmx_the_catalogue_comes_back(node, engine, as_prof):
    response = as_prof.post(f"{URL}{node.pk}/pull/", **HTMX)
    assert response.content.decode().strip().startswith('<section class="catalogue" id="catalogue"')
    assert '"toast"' in response.headers["HX-Trigger"]


def test_a_pull_under_way_shows_its_layers_and_asks_again(node, as_alice):
    node.pull_since, node.pull_by = timezone.now(), "host-17-ab12"
    node.pull_progress = {
        "done": 3 << 20,
        "wanted": 9 << 20,
        "layers": {"a1": ["Downloading", 1 << 20, 4 << 20]},
    }
    node.save()
    page = text(as_alice.get(f"{URL}part/"))
    assert "every 2s" in page
    assert "3 MB of 9 MB" in page
    assert f'aria-label="Layer a1" value="{1 << 20}" max="{4 << 20}"' in page
    assert "host-17" not in page


def test_an_image_that_is_not_there(as_prof):
    assert as_prof.post(f"{URL}99/pull/").status_code == 404
    assert as_prof.post(f"{URL}{'9' * 30}/pull/").status_code == 404


def test_an_empty_catalogue_says_what_to_do(as_alice):
    assert "The catalogue is empty" in text(as_alice.get(URL))
