"""Whether terminals are recorded, of what there is more than one word for: the strictest holds.

The install, the image and (through the wing above) the lab each have a policy. What holds is copied
to the sandbox at launch, so that a policy changed later never changes what people were told.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from sandboxes.models import Image, RecordingPolicy, Sandbox

ORDER = list(RecordingPolicy)
KEYS = "What you type is kept too, also passwords."


@dataclass(frozen=True)
class Policy:
    """What is recorded, and whether keystrokes are kept too; ``off`` says nothing about keystrokes."""

    recording: str = RecordingPolicy.OFF
    keystrokes: bool = False

    @property
    def is_off(self) -> bool:
        return self.recording == RecordingPolicy.OFF

    @property
    def is_optional(self) -> bool:
        return self.recording == RecordingPolicy.OPTIONAL


def strictest(*policies: Policy) -> Policy:
    """Always before optional before off; keystrokes where any that records wants them."""
    wanted = [one for one in policies if not one.is_off]
    if not wanted:
        return Policy()
    recording = max((one.recording for one in wanted), key=lambda word: ORDER.index(RecordingPolicy(word)))
    return Policy(recording, any(one.keystrokes for one in wanted))


def installed() -> Policy:
    """The least of this install (SANDBOX_RECORDING)."""
    return Policy(settings.SANDBOX_RECORDING, settings.SANDBOX_RECORDING_KEYSTROKES)


def of_image(image: Image) -> Policy:
    """What a sandbox of this image gets when nothing else asks for more."""
    return strictest(installed(), Policy(image.recording, image.recording_keystrokes))


def of_sandbox(sandbox: Sandbox) -> Policy:
    """What holds for this sandbox, from its launch on."""
    return Policy(sandbox.recording, sandbox.recording_keystrokes)


def told(policy: Policy, what: str = "Terminals of this image") -> str:
    """The sentence that people read before they type; empty where nothing is recorded.

    ``what`` is the plural that it is about.
    """
    if policy.is_off:
        return ""
    if policy.is_optional:
        text = f"{what} can be recorded: the owner starts and stops it, and everybody who looks sees it."
    else:
        text = f"{what} are recorded: what they show is kept and can be replayed."
    keys = KEYS if not policy.is_optional else "While it runs, what you type is kept too, also passwords."
    return f"{text} {keys}" if policy.keystrokes else text


def running(keystrokes: bool) -> str:
    """What everybody who looks at a terminal is told while it is recorded."""
    text = "This terminal is recorded: what it shows is kept and can be replayed."
    return f"{text} {KEYS}" if keystrokes else text
