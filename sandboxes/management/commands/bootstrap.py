"""`manage.py bootstrap`: everything a new install needs before it can serve; harmless to repeat."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction

from sandboxes.engine.base import EngineError
from sandboxes.lifecycle import images, people, reconcile, snapshots
from sandboxes.management.origin import console
from sandboxes.models import User

BASE_URL = "http://127.0.0.1:8000"
MANAGE = ".venv/bin/python manage.py"
"""As it is typed in a checkout and in the container alike."""


class Command(BaseCommand):
    """Database, catalogue, starter image, records as the engine has it, first admin."""

    help = "Prepare the database, the image catalogue, the starter image and the first admin."

    def add_arguments(self, parser: CommandParser) -> None:
        """--base-url: where people reach the site."""
        parser.add_argument("--base-url", default=BASE_URL, help=f"default: {BASE_URL}")

    def handle(self, *args: Any, **options: Any) -> None:
        """Does it all; an engine that is away only costs a warning."""
        call_command("migrate", interactive=False, verbosity=0)
        images.seed_catalogue(console())
        self.build_starter(images.ensure_starter)
        self.look_at_the_engine()
        self.say_the_way_in(first_admin(), options["base_url"])

    def say_the_way_in(self, admin: User, base_url: str) -> None:
        """A link for an admin who has nothing else; else the command that makes one."""
        if admin.has_usable_password():
            command = f"{MANAGE} signin_link {shlex.quote(admin.username)}"
            where = "" if base_url == BASE_URL else f" --base-url {base_url}"
            self.stdout.write(f"\nLost your way in? {command}{where}\n\n")
            return
        path = people.signin_link(admin, console())
        self.stdout.write("\nSign in as the first admin with this link (good once):\n")
        self.stdout.write(f"\n    {base_url}{path}\n\n")

    def build_starter(self, ensure: Callable[[], Any]) -> None:
        """Builds the starter image, or says why there is none; the site runs without it."""
        try:
            ensure()
        except EngineError as error:
            self.stderr.write(f"bootstrap: no starter image yet: {error}")

    def look_at_the_engine(self) -> None:
        """Nobody is shown as running what ended while the host was down; without an engine pages say so."""
        try:
            found = reconcile.before_serving()
        except EngineError as error:
            self.stderr.write(f"bootstrap: records are not compared with the engine yet: {error}")
            return
        if found:
            counts = ", ".join(f"{name} {count}" for name, count in sorted(found.items()))
            self.stdout.write(f"bootstrap: records put right by what the engine has: {counts}")


@transaction.atomic
def first_admin() -> User:
    """The admin whom the sign-in link is for: made when the install has no superuser.

    An admin without a password signs in by links only, until they choose one.
    """
    admin = User.objects.filter(is_superuser=True).order_by("-is_active", "pk").first()
    if admin is None:
        before = User.objects.filter(username="admin").first()
        admin = before or User(username="admin")
        known = snapshots.of(before) if before else {}
        admin.is_staff = admin.is_superuser = True
        admin.set_unusable_password()
        admin.save()
        people.note("change" if before else "add", admin, known, console())
    return admin
