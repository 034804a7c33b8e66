"""`manage.py provision`: starts seats of open labs in waves, saves and removes those of closed ones."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from sandboxes.labs import provision
from sandboxes.management.commands.cleanup import told_to_stop


class Command(BaseCommand):
    """A few lines around labs.provision; SIGTERM ends it after what is under way."""

    help = "Start the seats of open labs in waves, save and remove those of closed ones."

    def add_arguments(self, parser: CommandParser) -> None:
        """--once."""
        parser.add_argument("--once", action="store_true", help="one round")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit code 0 after --once and after SIGTERM or SIGINT."""
        if options["once"]:
            provision.run_round()
            return
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: told_to_stop(stop))
        provision.loop(stop)
