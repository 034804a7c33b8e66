"""Events with their seals, as the chain makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db.models import Max
from django.utils import timezone

from sandboxes.lifecycle import audit
from sandboxes.models import Event, Seal, Webhook

from .receiver import Receiver, receiving


def sealed(*events: Event) -> None:
    """Give these events their seals, in this order."""
    number = Seal.objects.aggregate(last=Max("number"))["last"] or 0
    Seal.objects.bulk_create(
        Seal(number=number + count, event_id=event.pk, digest="0" * 64, sealed_at=timezone.now())
        for count, event in enumerate(events, 1)
    )


@pytest.fixture
def happen(db: None) -> Callable[..., Event]:
    """``happen("sandbox.pause", ...)``: an event with its seal."""

    def happened(action: str = "sandbox.pause", origin: audit.Origin = audit.SYSTEM, **facts: Any) -> Event:
        event = audit.record(action, origin, **facts)
        assert event is not None
        sealed(event)
        return event

    return happened


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    """A receiver on this machine, which may be posted to."""
    settings.SANDBOX_WEBHOOK_REACH = "local"
    with receiving() as made:
        yield made


@pytest.fixture
def hook(db: None, receiver: Receiver) -> Webhook:
    """A webhook for everything, to the receiver."""
    return Webhook.objects.create(name="siem", url=receiver.url)
