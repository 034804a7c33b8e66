"""The core app."""

from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate


class SandboxesConfig(AppConfig):
    """Core: sandboxes and all that belongs to them."""

    name = "sandboxes"
    verbose_name = "Sandboxes"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks (ids and hints in checks.py)."""
        from . import checks  # noqa: F401

        post_migrate.connect(guard_the_trail, sender=self)


def guard_the_trail(using: str, **facts: Any) -> None:
    """Make the trail's triggers again: SQLite loses them when a migration makes a table anew."""
    from .models import guards

    connection = connections[using]
    if set(guards.TABLES) <= set(connection.introspection.table_names()):
        guards.install(connection)
