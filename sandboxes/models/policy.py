"""Whether terminals are recorded: the words that images, lab templates and sandboxes share."""

from __future__ import annotations

from django.db import models


class RecordingPolicy(models.TextChoices):
    """From the least to the strictest."""

    OFF = "off", "not recorded"
    OPTIONAL = "optional", "the owner may record"
    ALWAYS = "always", "always recorded"
