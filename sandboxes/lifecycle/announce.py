"""Tell open pages that something changed; what it is they fetch themselves.

A nudge is a hint: losing one costs a moment, since every page's hub also reads what changed from
the database (live.hub). Nothing here waits for a browser.
"""

from __future__ import annotations

from django.db import transaction

from sandboxes.live import nudges
from sandboxes.models import Image, Sandbox


def sandbox(row: Sandbox) -> None:
    """Nudge the pages that show this sandbox, once the transaction is through."""
    pk, owner = row.pk, row.owner_id
    transaction.on_commit(lambda: nudges.send_sandbox(pk, owner))


def image(row: Image) -> None:
    """Nudge the pages that show the catalogue."""
    pk = row.pk
    transaction.on_commit(lambda: nudges.send_image(pk))
