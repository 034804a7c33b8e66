"""What people are told about recording, before they type and where they look it up."""

from __future__ import annotations

from sandboxes.lifecycle import recording_policy
from sandboxes.lifecycle.recording_policy import Policy
from sandboxes.models import Image, Sandbox


def recording_told(image: Image | None) -> str:
    """For the launch form and the catalogue; empty where nothing is recorded."""
    return recording_policy.told(recording_policy.of_image(image)) if image else ""


def told(policy: Policy | None, what: str = "Terminals") -> str:
    """The sentence about a policy, of whose plural it is."""
    return recording_policy.told(policy, what) if policy else ""


def recorded(sandbox: Sandbox) -> str:
    """A few words for the facts of a sandbox; empty where nothing is recorded."""
    policy = recording_policy.of_sandbox(sandbox)
    if policy.is_off:
        return ""
    return f"{sandbox.get_recording_display()}{', with keystrokes' if policy.keystrokes else ''}"
