"""A seat's sandbox is lent: it eats nothing of its student's own quota, and theirs nothing of it."""

from __future__ import annotations

import pytest

from sandboxes.labs import opening
from sandboxes.labs.models import Seat
from sandboxes.lifecycle import quotas
from sandboxes.lifecycle.refusals import Refused

from .conftest import PROF, rounds

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_full_quota_keeps_nobody_out_of_a_lab(lab, alice, launch):
    alice.quota_sandboxes = 1
    alice.save()
    launch()
    opening.open_lab(lab, PROF)
    rounds()
    assert set(Seat.objects.values_list("status", flat=True)) == {"ready"}


def test_a_seat_takes_no_place_of_the_quota(open_lab, alice, launch):
    alice.quota_sandboxes = 1
    alice.save()
    assert (quotas.usage(alice).sandboxes, quotas.usage(alice).memory) == (0, 0)
    launch()
    with pytest.raises(Refused):
        launch()
