"""Which sandboxes are past their end and are to go now: not those that somebody has yet to save, nor,
before a second look, a great many at once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils.module_loading import import_string

from sandboxes.models import Sandbox

from .doubt import Doubt

SPARED = timedelta(days=1)
"""For how long after its end a sandbox is left to whoever has to save what is in it."""

doubt = Doubt("are past their end")


def over(now: datetime) -> list[Sandbox]:
    """Those that end now."""
    rows = Sandbox.objects.present().filter(late(now)).exclude(pending="remove")
    rows = rows.exclude(pk__in=spared(rows.order_by().values("pk")), expires_at__gt=now - SPARED)
    found = list(rows)
    believed = doubt.believed([row.pk for row in found])
    return [row for row in found if row.pk in believed]


def late(now: datetime) -> Q:
    return Q(expires_at__lte=now)


def spared(ids: Any) -> Any:
    """Of these ids (or a query of ids), those that SANDBOX_SPARE_RULE names: left for a while to those
    who have something to do with them first."""
    return import_string(settings.SANDBOX_SPARE_RULE)(ids) if settings.SANDBOX_SPARE_RULE else []
