"""An image that is missing on the day: each seat says so, and once it is there one press makes all ready."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from sandboxes.labs import opening, provision, seats
from sandboxes.labs.models import TemplateVersion
from sandboxes.models import Event, Image, Sandbox
from tests.fakes.processes import wait_until
from tests.pages.conftest import browser, text

from .conftest import PROF, class_of, rounds, statuses

pytestmark = pytest.mark.django_db(transaction=True)

MISSING = "python:3.13-slim"


@pytest.fixture
def without_image(lab, version):
    """A lab whose image is in the catalogue and neither here nor to be had."""
    image = Image.objects.create(reference=MISSING, title="Python", description="Not here.")
    type(version).objects.update(image=image)
    lab.refresh_from_db()
    return lab


def press(user, lab, action, **data):
    return text(browser(user).post(reverse("lab_act", args=[lab.pk, action]), data, follow=True))


def test_the_image_is_missing_on_the_day_and_then_it_is_there(without_image, engine, ines, alice):
    """From the button to the seats: each says why it failed, and one press makes them all ready."""
    lab = without_image
    press(ines, lab, "open")
    rounds()
    assert statuses(lab) == {"failed": 2}
    why = "The registry cannot be reached; is this machine offline?"
    assert set(lab.seats.values_list("reason", flat=True)) == {why}
    page = text(browser(ines).get(reverse("lab_detail", args=[lab.pk])))
    assert page.count(why) == 2
    assert "“Retry the failed” gives each a new sandbox. Where an image is missing" in page
    seat = lab.seats.get(enrollment__user=alice)
    mine = text(browser(alice).get(reverse("seat_detail", args=[seat.pk])))
    assert why in mine
    assert "Try again" in mine
    assert "admin" not in mine, "nothing that a student cannot do"
    assert not engine.containers
    engine.local[MISSING] = engine._image(MISSING)
    assert "2 tried again." in press(ines, lab, "retry")
    rounds()
    assert statuses(lab) == {"ready": 2}
    assert set(lab.seats.values_list("reason", flat=True)) == {""}
    assert len(engine.containers) == 2
    events = Event.objects.filter(action="seat.ready").values_list("outcome", flat=True)
    assert Counter(events) == {"failed": 2, "ok": 2}


def test_a_wave_whose_image_is_missing_asks_the_registry_once_at_a_time(pool, without_image, course, engine):
    """With threads, as in production: the launches share a pull, and none keeps a thread while it lasts."""
    lab = without_image
    class_of(course, 6)
    engine.gate["pull"] = threading.Event()
    opening.open_lab(lab, PROF)
    assert wait_until(
        lambda: provision.run_round() and Sandbox.objects.filter(launch_step="pulling").count() == 4
    )
    assert wait_until(lambda: "pull" in dict(engine.calls)), "the row says so first"
    assert [name for name, _ in engine.calls].count("pull") == 1
    engine.gate["pull"].set()
    assert wait_until(lambda: not provision.run_round(), 60)
    assert statuses(lab) == {"failed": 8}
    engine.pulls[MISSING] = []  # the registry is back
    for seat in lab.seats.all():
        assert seats.retry(seat, PROF)
    assert wait_until(lambda: not provision.run_round(), 60)
    assert statuses(lab) == {"ready": 8}


def test_a_class_that_waits_for_its_image_holds_up_no_other(pool, without_image, course, engine, image):
    """A pull takes minutes; the next room begins on time."""
    class_of(course, 6)
    engine.gate["pull"] = threading.Event()
    opening.open_lab(without_image, PROF)
    pulling = Sandbox.objects.filter(launch_step="pulling")
    assert wait_until(lambda: provision.run_round() and pulling.count() == 4)
    version = TemplateVersion.objects.get()
    version.pk, version.number, version.image, version._state.adding = None, 2, image, True
    version.save()
    other = opening.make(version, "Next door", closes_at=timezone.now() + timedelta(hours=1), by=PROF)
    opening.open_lab(other, PROF)
    try:
        assert wait_until(lambda: provision.run_round() and statuses(other) == {"ready": 8}, 30)
        assert statuses(without_image) == {"starting": 4, "waiting": 4}
    finally:
        engine.gate["pull"].set()
        assert wait_until(lambda: not provision.run_round(), 60)
    assert statuses(without_image) == {"failed": 8}
