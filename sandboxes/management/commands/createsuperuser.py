"""`manage.py createsuperuser`: Django's own, with the new account on record."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.management.commands import createsuperuser

from sandboxes.management.accounts import on_record


class Command(createsuperuser.Command):
    """See Django's."""

    def handle(self, *args: Any, **options: Any) -> str | None:
        """Asks as ever; account and event are written in one transaction."""
        with on_record():
            return super().handle(*args, **options)
