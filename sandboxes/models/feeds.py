"""What leaves the audit trail for others: how far each feed has come, and counters kept beside the trail."""

from __future__ import annotations

from django.db import models


class Cursor(models.Model):
    """How far one feed of the trail has come: the number of the last seal it has dealt with."""

    name = models.CharField(primary_key=True, max_length=60)
    number = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name} at {self.number}"


class Tally(models.Model):
    """A counter over the whole trail, so that nobody has to count its rows.

    ``name`` is what is counted, ``label`` which of it; both are words of the code and never of people.
    """

    name = models.CharField(max_length=80)
    label = models.CharField(max_length=20, blank=True)
    count = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "label"], name="one_tally_a_label")]

    def __str__(self) -> str:
        return f"{self.name} {self.label}: {self.count}"
