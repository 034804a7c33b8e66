"""`manage.py network_guard`: sets the host's rules for the bridge of sandboxes with internet; as root."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from sandboxes.engine import firewall
from sandboxes.engine.base import Unsupported
from sandboxes.engine.containers import bridge_name


class Command(BaseCommand):
    """Sets, checks or removes the rules; may be run as often as one likes."""

    help = "Keep sandboxes with internet from the host and from metadata addresses (run as root)."
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """One of them at most."""
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--check", action="store_true", help="only say what is missing; exit code 1 then")
        what.add_argument("--remove", action="store_true", help="take the rules away")
        what.add_argument(
            "--print", action="store_true", help="only print the commands, to run them on the engine's host"
        )
        what.add_argument(
            "--if-root", action="store_true", help="for `make run`: say so and go on if it cannot"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Says what was done in a line."""
        if options["if_root"] and os.geteuid() != 0:
            self.stdout.write(
                "Network guard: not set, for this is not root. Run manage.py network_guard as root."
            )
            return
        try:
            self._do(options)
        except Unsupported as error:
            if not options["if_root"]:
                raise CommandError(str(error)) from error
            self.stdout.write(f"Network guard: not set. {error}")

    def _do(self, options: dict[str, Any]) -> None:
        bridge = bridge_name(settings.SANDBOX_NETWORK_NAME)
        wanted = firewall.rules(bridge, settings.SANDBOX_NETWORK_REFUSED)
        if options["print"]:
            everywhere = firewall.rules(bridge, settings.SANDBOX_NETWORK_REFUSED, everywhere=True)
            self.stdout.write(firewall.script(everywhere))
        elif options["check"]:
            lost = firewall.missing(wanted)
            if lost:
                raise CommandError(
                    f"{len(lost)} of {len(wanted)} rules for {bridge} are missing.", returncode=1
                )
            self.stdout.write(f"Network guard: all {len(wanted)} rules for {bridge} are set.")
        elif options["remove"]:
            self.stdout.write(f"Network guard: {len(firewall.remove(wanted))} rules for {bridge} removed.")
        else:
            added = len(firewall.apply(wanted))
            self.stdout.write(
                f"Network guard: {added} rules for {bridge} added, {len(wanted) - added} were there."
            )
