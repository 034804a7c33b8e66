"""Counts that all processes share: everybody gets a number of their own, and after a while it begins anew."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from sandboxes.lifecycle import brakes
from sandboxes.models import Brake

pytestmark = pytest.mark.django_db


def test_it_counts_by_key():
    assert [brakes.add("a", 60) for _ in range(3)] == [1, 2, 3]
    assert brakes.add("b", 60) == 1


def test_after_its_time_it_begins_anew():
    brakes.add("a", 60)
    Brake.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert brakes.add("a", 60, -1) == 0
    assert brakes.add("a", 60) == 1
    assert Brake.objects.get().until > timezone.now()


def test_what_is_given_back_counts_no_more_and_begins_none():
    assert brakes.add("a", 60, -1) == 0
    assert not Brake.objects.exists()
    brakes.add("a", 60)
    assert brakes.add("a", 60, -1) == 0


def test_forgotten_it_begins_anew():
    brakes.add("a", 60)
    brakes.forget("a")
    assert brakes.add("a", 60) == 1


def test_what_is_over_is_let_go():
    brakes.add("a", 60)
    brakes.add("b", -1)
    assert brakes.prune() == 1
    assert Brake.objects.get().key == "a"


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_no_two_get_the_same_number():
    def count(_: int) -> int:
        try:
            return brakes.add("a", 60)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(count, range(40))) == list(range(1, 41))
