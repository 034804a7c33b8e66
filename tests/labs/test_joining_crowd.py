"""A hundred press "join" within seconds: everybody is in once, and nobody waits long."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from sandboxes.labs import joining
from sandboxes.labs.models import Course, Enrollment
from sandboxes.models import Event, User

from .conftest import PROF, enroll

LONGEST = 60
"""Seconds; how long it takes is printed, and on a busy machine it is many times that of an idle one."""
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def code(course: Course) -> str:
    Course.objects.update(guests_allowed=True)
    return joining.new_code(course, PROF, 60)


def press(client: Client, form: dict[str, str], path: str = "/join/") -> tuple[int, float]:
    """The status, and how long it took."""
    begin = time.monotonic()
    try:
        return client.post(path, form).status_code, time.monotonic() - begin
    finally:
        connection.close()


def crowd(
    clients: list[Client], forms: list[dict[str, str]], path: str = "/join/"
) -> tuple[Counter[int], float]:
    with ThreadPoolExecutor(25) as pool:
        answers = list(pool.map(press, clients, forms, [path] * len(clients)))
    return Counter(status for status, _ in answers), max(took for _, took in answers)


def test_a_hundred_guests_at_once(code, course):
    forms = [{"code": code, "name": f"Guest {n}"} for n in range(100)]
    statuses, longest = crowd([Client() for _ in forms], forms)
    print(f"100 guests, the slowest waited {longest:.2f} s")
    assert statuses == {303: 100}
    assert course.enrollments.filter(is_guest=True).count() == 100
    assert longest < LONGEST


def hundred() -> tuple[list[User], list[Client]]:
    """A hundred people with accounts, each in a browser."""
    users = User.objects.bulk_create(User(username=f"u{n}") for n in range(100))
    clients = [Client() for _ in users]
    for client, user in zip(clients, users, strict=True):
        client.force_login(user)
    return users, clients


def test_a_hundred_accounts_at_once_each_twice(code, course):
    users, clients = hundred()
    statuses, longest = crowd(clients * 2, [{"code": code}] * 200)
    print(f"200 presses of 100 people, the slowest waited {longest:.2f} s")
    assert statuses == {303: 200}
    assert course.enrollments.filter(user__in=users).count() == 100


def test_many_want_the_same_name_and_one_has_it(code):
    statuses, _ = crowd([Client() for _ in range(12)], [{"code": code, "name": "Greta"}] * 12)
    assert statuses == {303: 1, 422: 11}
    assert Enrollment.objects.filter(name="Greta").count() == 1
    assert User.objects.filter(username__startswith="guest").count() == 1


def test_a_hundred_take_their_seats_at_once_each_twice(open_lab, course):
    """A hundred who came late press "Take my seat", and press again."""
    users, clients = hundred()
    for user in users:
        enroll(course, user)
    statuses, longest = crowd(clients * 2, [{}] * 200, reverse("seat_join", args=[open_lab.pk]))
    print(f"200 presses for 100 seats, the slowest waited {longest:.2f} s")
    assert statuses == {303: 200}
    assert open_lab.seats.filter(enrollment__user__in=users, status="waiting").count() == 100
    assert open_lab.seats.count() == 102
    assert Event.objects.filter(action="seat.take").count() == 100
    assert longest < LONGEST
    assert sorted(seat.place for seat in open_lab.seats.filter(status="waiting")) == list(range(1, 101))
