"""`manage.py cleanup`: ends what is over and puts right what differs, again and again."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from sandboxes.lifecycle import cleanup


class Command(BaseCommand):
    """A few lines around lifecycle.cleanup; SIGTERM ends it after what is under way."""

    help = "End expired sandboxes, finish what was left half done, accept what the engine says."

    def add_arguments(self, parser: CommandParser) -> None:
        """--once, and --interval in seconds."""
        parser.add_argument("--once", action="store_true", help="one round, then its report")
        interval = settings.SANDBOX_CLEANUP_INTERVAL
        parser.add_argument(
            "--interval", type=float, default=interval, help=f"seconds; default: {interval:g}"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit code 0 after --once and after SIGTERM or SIGINT."""
        if options["once"]:
            self.say(cleanup.once())
            return
        if options["interval"] > cleanup.LONGEST:
            raise CommandError(f"--interval must be at most {cleanup.LONGEST:g} seconds.")
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: told_to_stop(stop))
        cleanup.loop(max(options["interval"], 0.2), stop)

    def say(self, report: cleanup.Report) -> None:
        """The report in a line."""
        counts = ", ".join(f"{name} {count}" for name, count in sorted(report.counts.items()) if count)
        self.stdout.write(f"cleanup: {counts or 'nothing to do'} ({report.seconds:.2f} s)")
        if report.error:
            self.stderr.write(f"cleanup: {report.error}")


def told_to_stop(stop: threading.Event) -> None:
    """Sets it from another thread: the one that the signal interrupts may hold the event's lock."""
    threading.Thread(target=stop.set).start()
