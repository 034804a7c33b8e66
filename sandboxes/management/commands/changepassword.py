"""`manage.py changepassword`: Django's own, with the change on record."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.management.commands import changepassword

from sandboxes.management.accounts import on_record


class Command(changepassword.Command):
    """See Django's."""

    def handle(self, *args: Any, **options: Any) -> str | None:
        """Asks as ever; password and event are written in one transaction."""
        with on_record():
            return super().handle(*args, **options)
