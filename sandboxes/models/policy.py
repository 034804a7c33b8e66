"""Rules in words that images, lab templates and sandboxes share: recording, and how closed a sandbox is."""

from __future__ import annotations

from django.db import models


class RecordingPolicy(models.TextChoices):
    """From the least to the strictest."""

    OFF = "off", "not recorded"
    OPTIONAL = "optional", "the owner may record"
    ALWAYS = "always", "always recorded"


class Isolation(models.TextChoices):
    """How closed a sandbox is; the stricter of image and launch holds."""

    STANDARD = "standard", "standard"
    STRICT = "strict", "strict: for exams and strangers"


DISK = 2 << 30
"""Bytes that a sandbox may write where an image says nothing else."""
