"""What a launch form lets through is launched on the real engine: it runs, or says why not in a sentence."""

from __future__ import annotations

import random
import re
from collections import Counter
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils.datastructures import MultiValueDict

from sandboxes.forms import LaunchForm
from sandboxes.lifecycle import actions, audit
from sandboxes.models import Image, Sandbox, Status, User

from .rubbish import rubbish
from .test_forms import BY_HAND, PLACES, TOLD, Sender

pytestmark = [pytest.mark.engine, pytest.mark.django_db(transaction=True)]
Given = dict[str, Any]
SENTENCE = re.compile(r"[A-Z].*[.?!]", re.S)


@pytest.fixture
def sender(alice: User, image: Image, settings: Any) -> Sender:
    """Alice's form with what would be right in it."""
    settings.SANDBOX_STOP_GRACE = 0
    User.objects.update(quota_sandboxes=100_000, quota_memory=1 << 60)
    client = Client(raise_request_exception=False)
    client.force_login(alice)
    right = PLACES["LaunchForm"][2] | {"image": str(image.pk)}
    return Sender(client, reverse("sandbox_new"), right, random.Random(1))


def is_let_through(given: Given) -> bool:
    return LaunchForm(MultiValueDict({name: [value] for name, value in given.items()})).is_valid()


def harmless(right: Given) -> list[Given]:
    """Of what was made by hand to hurt, that which does not."""
    return [given for field, value in BY_HAND if is_let_through(given := right | {field: value})]


def generated(right: Given, count: int, dice: random.Random) -> list[Given]:
    """So many with rubbish in one to four fields that are let through."""
    found: list[Given] = []
    fields = sorted(LaunchForm.base_fields)
    while len(found) < count:
        wrong = dice.sample(fields, dice.choice((1, 1, 2, 4)))
        given = right | {name: rubbish(dice) for name in wrong}
        found += [given] if is_let_through(given) else []
    return found


def test_what_is_let_through_runs_or_says_why_not(
    sender: Sender, engine: Any, dice: random.Random, scale: Any, told: Any
) -> None:
    by_hand, ends = harmless(sender.right), Counter[str]()
    assert len(by_hand) >= 25
    chosen = dice.sample(by_hand, scale(8, len(by_hand)))
    made = generated(sender.right, scale(6, 100), dice)
    for given in chosen + made:
        before = set(Sandbox.objects.values_list("pk", flat=True))
        sender.send(given)
        for sandbox in Sandbox.objects.exclude(pk__in=before):
            ends[tried(sender.client, sandbox, given)] += 1
        cache.clear()
    told(by_hand=len(chosen), generated=len(made), answers=dict(sender.answers), ends=dict(ends), left_over=0)
    assert engine.list() == []
    assert ends[Status.RUNNING] > 0
    assert sum(ends.values()) >= len(chosen)


def tried(client: Client, sandbox: Sandbox, given: Given) -> str:
    """How it ended up, told in a way that is for people; then it is removed."""
    page = client.get(reverse("sandbox_detail", args=[sandbox.pk])).content.decode()
    for text in (sandbox.status_reason, page):
        assert not TOLD.search(text), (given, TOLD.search(text))
    end, reason = Status(sandbox.status), sandbox.status_reason
    assert end in (Status.RUNNING, Status.FAILED), (given, end)
    assert not sandbox.pending, given
    assert end == Status.RUNNING or SENTENCE.fullmatch(reason), (given, reason)
    assert actions.remove(sandbox, by=audit.SYSTEM, wait=None).done
    return end.value
