"""What Django's own commands do to accounts, on record in the transaction of the account's save."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.models.signals import post_save

from sandboxes.lifecycle import people
from sandboxes.models import User

from .origin import console


@contextmanager
def on_record() -> Iterator[None]:
    """Within it, every account that is made, or saved with another password, leaves an event."""
    post_save.connect(_saved, sender=User)
    try:
        yield
    finally:
        post_save.disconnect(_saved, sender=User)


def _saved(sender: Any, instance: User, created: bool, **facts: Any) -> None:
    if created:
        people.note("add", instance, {}, console())
    else:
        people.password_set(instance, console())
