"""Recording in labs: what a lab asks for, what its students are told, and the recordings of a seat."""

from __future__ import annotations

from django.db.models import QuerySet

from sandboxes.lifecycle import recording_policy
from sandboxes.lifecycle.recording_policy import Policy
from sandboxes.models import Recording

from .models import Seat, TemplateVersion


def asked(version: TemplateVersion) -> Policy:
    """What the template asks for; install and image may ask for more."""
    return Policy(version.recording, version.recording_keystrokes)


def policy(version: TemplateVersion) -> Policy:
    """What a seat that is started now gets."""
    image = version.image
    of_image = recording_policy.of_image(image) if image else recording_policy.installed()
    return recording_policy.strictest(of_image, asked(version))


def told(version: TemplateVersion, what: str = "The terminals of this lab") -> str:
    """The sentence for who joins or plans; empty where nothing is recorded."""
    return recording_policy.told(policy(version), what)


def told_in(seat: Seat) -> str:
    """The sentence beside a seat's terminal: as its sandbox was launched, whatever holds by now."""
    if seat.sandbox is None:
        return told(seat.lab.version, "Terminals here")
    return recording_policy.told(recording_policy.of_sandbox(seat.sandbox), "Terminals here")


def of_seat(seat: Seat) -> QuerySet[Recording]:
    """Of all its sandboxes, also those before it was started over; the newest first."""
    return Recording.objects.filter(sandbox_id__in=seat.sandboxes.values("pk")).order_by("-started_at")
