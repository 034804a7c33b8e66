"""What is pressed twice, in two tabs or in one moment, is done once."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.urls import reverse

from sandboxes.labs.models import Lab, Seat
from sandboxes.models import Event
from tests.pages.conftest import browser

pytestmark = pytest.mark.django_db(transaction=True)


def press(many, client, address, data):
    """Where each of many presses at once leads to."""

    def one(_):
        try:
            return client.post(address, data).headers.get("Location")
        finally:
            connection.close()

    with ThreadPoolExecutor(many) as pool:
        return set(pool.map(one, range(many)))


@pytest.fixture
def form(ines, course, version):
    """The form of a new lab as it was shown, filled in."""
    page = browser(ines).get(reverse("lab_new", args=[course.pk])).content.decode()
    token = re.search(r'name="operation" value="(\w+)"', page)
    return {"template": version.template_id, "minutes": "90", "operation": token and token[1]}


def test_see_the_plan_pressed_six_times_is_one_lab(ines, course, form):
    led = press(6, browser(ines), reverse("lab_new", args=[course.pk]), form)
    assert led == {reverse("lab_detail", args=[Lab.objects.get().pk])}
    assert Event.objects.filter(action="lab.create").count() == 1


def test_the_form_opened_anew_makes_another_lab(ines, course, form):
    address = reverse("lab_new", args=[course.pk])
    browser(ines).post(address, form)
    browser(ines).post(address, form | {"operation": "another"})
    browser(ines).post(address, form | {"operation": ""})
    assert Lab.objects.count() == 3


def test_try_it_pressed_six_times_is_one_try(ines, version, engine):
    address = reverse("template_act", args=[version.template_id, "try"])
    led = press(6, browser(ines), address, {})
    assert led == {reverse("seat_detail", args=[Seat.objects.get().pk])}
    assert Lab.objects.filter(is_trial=True).count() == 1
