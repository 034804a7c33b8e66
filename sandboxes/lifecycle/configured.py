"""Whether this install runs with other settings than before: on record once, never with a secret's value.

What the environment said last time is kept in a lease's row: secrets as a keyed digest, so that a new
one shows and none can be read or guessed from it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from sandboxes.models import Lease

from . import audit, process, snapshots

NAME = "settings"
KEY = "SANDBOX_AUDIT_KEY"
SECRET = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|URL")
Known = dict[str, dict[str, str]]


def note() -> bool:
    """Compare with last time; whether there was something to put on record. The first time is none."""
    with transaction.atomic():
        row = Lease.objects.select_for_update().filter(name=NAME).first()
        known, now = (row.report if row else {}), read(os.environ)
        facts = differences(known, now) if known else {}
        if facts:
            audit.record("settings.change", audit.SYSTEM, changes=facts)
        if known != now:
            values = {"owner": process.process_id(), "until": timezone.now(), "report": now}
            Lease.objects.update_or_create(name=NAME, defaults=values)
    return bool(facts)


def read(environment: Any) -> Known:
    """What it says: plain values that may be shown, digests of the others, and of the key for those."""
    environment = {**environment, **settings.SANDBOX_FROM_FILES}
    names = {one for one in environment if one.startswith("SANDBOX_") or one in settings.SANDBOX_READ}
    plain = {one: environment[one] for one in sorted(names) if is_plain(one)}
    hidden = {one: digest(one, environment[one]) for one in sorted(names) if not is_plain(one)}
    return {"plain": plain, "hidden": hidden, "key": {KEY: digest(KEY, settings.SANDBOX_AUDIT_KEY)}}


def is_plain(name: str) -> bool:
    """Whether a value may be shown: ours, and no secret by its name. URLs can hold passwords."""
    return name in settings.SANDBOX_READ and not SECRET.search(name)


def digest(name: str, value: str) -> str:
    """Says only whether two values are the same."""
    key = bytes.fromhex(settings.SANDBOX_AUDIT_KEY)
    return hmac.new(key, f"{name}={value}".encode(), hashlib.sha256).hexdigest()


def differences(before: Known, now: Known) -> dict[str, list[Any]]:
    """What changed, each [before, after]; with another audit key, of secrets only which are set."""
    found = snapshots.changes(before["plain"], now["plain"])
    old, new = before["hidden"], now["hidden"]
    if before["key"] != now["key"]:
        found[KEY] = [snapshots.HIDDEN, snapshots.HIDDEN]
        old, new = dict.fromkeys(old, "set"), dict.fromkeys(new, "set")
    for name in sorted({*old, *new}):
        pair = [old.get(name), new.get(name)]
        if pair[0] != pair[1]:
            found[name] = [snapshots.HIDDEN if one else one for one in pair]
    return found
