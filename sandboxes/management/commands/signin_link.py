"""`manage.py signin_link <username>`: a new way in for someone who has lost theirs."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from sandboxes.lifecycle import people
from sandboxes.management.commands.bootstrap import BASE_URL
from sandboxes.management.origin import console
from sandboxes.models import User


class Command(BaseCommand):
    """Prints one sign-in link, good once."""

    help = "Print a sign-in link for a user, good once."

    def add_arguments(self, parser: CommandParser) -> None:
        """The username, and --base-url: where people reach the site."""
        parser.add_argument("username")
        parser.add_argument("--base-url", default=BASE_URL, help=f"default: {BASE_URL}")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prints the link alone, so that a script can use it."""
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['username']!r}.")
        if not user.is_active:
            raise CommandError(f"{user.username} is not active: a link would not work.")
        self.stdout.write(options["base_url"] + people.signin_link(user, console()))
