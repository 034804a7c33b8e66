"""Raised hands as staff share them: who waits how long, who has taken one on, when it was done."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from sandboxes.lifecycle import audit
from sandboxes.models import User

from . import trail
from .models import Hand, Lab, Seat


def waiting(lab: Lab) -> list[Hand]:
    """The open hands of a lab, the one that waits longest first."""
    rows = Hand.objects.filter(seat__lab=lab, resolved_at=None)
    return list(rows.select_related("seat__enrollment", "seat__lab", "claimed_by"))


def open_of(seat: Seat) -> Hand | None:
    """The seat's open hand, if it is up."""
    return Hand.objects.filter(seat=seat, resolved_at=None).select_related("claimed_by").first()


def claim(hand: Hand, user: User, by: audit.Origin) -> bool:
    """Take it on; False when a colleague was faster, or it is down."""
    now = timezone.now()
    return _change(hand, "hand.claim", by, {"claimed_by": None}, {"claimed_by": user, "claimed_at": now})


def release(hand: Hand, user: User, by: audit.Origin) -> bool:
    """Give it back to the queue; False when it is not theirs."""
    nobody = {"claimed_by": None, "claimed_at": None}
    return _change(hand, "hand.release", by, {"claimed_by": user}, nobody)


def resolve(hand: Hand, by: audit.Origin, reason: str = "") -> bool:
    """It was helped with, by whoever; False when it is down already."""
    return _change(hand, "hand.resolve", by, {}, {"resolved_at": timezone.now()}, reason)


def _change(hand: Hand, action: str, by: audit.Origin, was: dict[str, Any], to: dict[str, Any],
            reason: str = "") -> bool:  # fmt: skip
    """One conditional UPDATE: of two colleagues one wins."""
    waited = round((timezone.now() - hand.raised_at).total_seconds())
    with transaction.atomic():
        if not Hand.objects.filter(pk=hand.pk, resolved_at=None, **was).update(**to):
            return False
        Seat.objects.filter(pk=hand.seat_id).update(changed_at=timezone.now())
        trail.record(action, by, hand.seat, reason=reason, waited=waited)
        trail.nudge(hand.seat)
    return True
