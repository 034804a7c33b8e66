"""Reads from the database what changed lately, so that a nudge that was lost costs half a second.

What other processes change is only seen here when no Redis carries their nudges.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from sandboxes.models import Image, Sandbox

OVERLAP = timedelta(seconds=2)
"""How far back each reading goes: what was stamped before the last one may be committed after it."""

Key = tuple[str, str | int]
Change = tuple[Key, int, datetime]
"""("sandbox" | "image", its id), its owner's id (0 for images), and when it changed."""


class Tail:
    """What changed since the last reading, each change once."""

    def __init__(self) -> None:
        self._since: datetime | None = None
        self._seen: set[tuple[Key, datetime]] = set()
        self._told: dict[Key, datetime] = {}

    def note_told(self, key: Key) -> None:
        """Its pages have just been nudged: what changed until now needs no second nudge."""
        self._told[key] = timezone.now()

    def rest(self) -> None:
        """Nobody is there to be told."""
        self._since = None

    def read(self) -> list[Change]:
        """Blocking: two queries. What a page's own first view has is read again, which is harmless."""
        since, self._since = self._since, timezone.now()
        start = (since or self._since) - OVERLAP
        return [*_sandboxes(start), *_images(start)]

    def fresh(self, changes: list[Change]) -> list[Change]:
        """Those that nobody has been told of."""
        found = [each for each in changes if self._is_news(each)]
        self._seen = {(key, at) for key, _, at in changes}
        horizon = timezone.now() - 5 * OVERLAP
        self._told = {key: at for key, at in self._told.items() if at > horizon}
        return found

    def _is_news(self, change: Change) -> bool:
        key, _, at = change
        told = self._told.get(key)
        return (key, at) not in self._seen and not (told and told >= at)


def _sandboxes(start: datetime) -> list[Change]:
    rows = Sandbox.objects.filter(changed_at__gt=start).values_list("pk", "owner_id", "changed_at")
    return [(("sandbox", pk), owner, at) for pk, owner, at in rows.order_by()]


def _images(start: datetime) -> list[Change]:
    rows = Image.objects.filter(changed_at__gt=start).values_list("pk", "changed_at")
    return [(("image", pk), 0, at) for pk, at in rows.order_by()]
