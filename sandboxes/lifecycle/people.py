"""Accounts as the server's command line makes and opens them; each on record in the same transaction."""

from __future__ import annotations

from sandboxes.access import signin_path
from sandboxes.models import User

from . import audit, snapshots


def target(user: User) -> audit.Target:
    """An account as what an event is about."""
    return audit.Target("user", str(user.pk), user.get_username())


def note(word: str, user: User, before: snapshots.Values, by: audit.Origin) -> None:
    """Put on record what was done to an account: ``add`` or ``change``."""
    facts = snapshots.changes(before, snapshots.of(user))
    audit.record(f"user.{word}", by, target=target(user), changes=facts)


def signin_link(user: User, by: audit.Origin) -> str:
    """The path of a link for this user, good once; that it was made is on record, never the link."""
    audit.record("user.link", by, target=target(user))
    return signin_path(user)


def password_set(user: User, by: audit.Origin) -> None:
    """Put on record that somebody set their password."""
    audit.record("user.password", by, target=target(user))
