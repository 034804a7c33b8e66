"""`manage.py check_invariants`: is what we remember what is, and is nothing left lying about?"""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from sandboxes.engine.base import EngineError
from sandboxes.lifecycle import invariants


class Command(BaseCommand):
    """A few lines around lifecycle.invariants."""

    help = "Check what must be true at any moment; one line a breach. Changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        """--again in seconds."""
        help_ = f"seconds before what was found is looked at again; default: {invariants.AGAIN:g}"
        parser.add_argument("--again", type=float, default=invariants.AGAIN, help=help_)

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit code 0: all is as it must be; 1: it is not; 2: the engine does not answer."""
        try:
            found = invariants.breaches(max(options["again"], 0))
        except EngineError as error:
            self.stderr.write(f"check_invariants: {error}")
            sys.exit(2)
        for breach in found:
            self.stdout.write(str(breach))
        if found:
            sys.exit(1)
        self.stdout.write("check_invariants: all is as it must be")
