"""`manage.py serve`: the web server and the cleanup loop, kept running until Ctrl-C."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from sandboxes.management.supervisor import Child, Supervisor

SERVER = "sandboxes.management.web_server"  # named, not imported: this process needs nothing of it
APPLICATION = "sandboxes.asgi:application"
LARGEST = str(4 << 20)
FRAMES = ("--websocket-max-message-size", LARGEST, "--websocket-max-frame-size", LARGEST,
          "--ping-interval", "20", "--ping-timeout", "30")  # fmt: skip
"""Larger frames are cut off without a word; what is smaller than that and too big for us gets a sentence. Who
says nothing is asked every 20 seconds, and gone 30 seconds later where no answer came."""

LATER = ["--skip-checks"]
"""Of every loop but the first: they all have the same settings."""
HEAD_START = 1.0
"""Seconds that the web server has the processors for itself: somebody waits for the first page."""


class Command(BaseCommand):
    """Runs daphne and the loops as children; what dies is restarted with growing pauses."""

    help = "Serve the site and run the cleanup loop; Ctrl-C ends both, sandboxes keep running."
    requires_system_checks = []  # bootstrap ran them, and the first loop does again

    def add_arguments(self, parser: CommandParser) -> None:
        """--host and --port of the web server."""
        parser.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1")
        parser.add_argument("--port", type=int, default=8000, help="default: 8000")

    def handle(self, *args: Any, **options: Any) -> None:
        """Serves until SIGINT or SIGTERM and then ends cleanly (exit code 0)."""
        host, port = options["host"], options["port"]
        require_free(host, port)
        os.chdir(settings.BASE_DIR)
        greeter = Greeter(host, port, self.say)
        Supervisor(children(host, port, options["verbosity"]), self.say, greeter).run()
        self.say("stopped; sandboxes keep running")

    def say(self, text: str) -> None:
        """One line about what happens."""
        self.stdout.write(f"serve: {text}")
        self.stdout.flush()


def children(host: str, port: int, verbosity: int) -> list[Child]:
    """The web server and the loops that settings name. The access log needs verbosity 2."""
    manage = str(Path(settings.BASE_DIR) / "manage.py")
    options = ["-b", host, "-p", str(port), "-v", str(verbosity - 1), *FRAMES]
    web = [sys.executable, "-m", SERVER, *options]
    later = time.monotonic() + HEAD_START
    loops = [
        Child(name, [sys.executable, manage, name, *(LATER if at else [])], due=later)
        for at, name in enumerate(settings.SANDBOX_LOOPS)
    ]
    return [Child("web", [*web, APPLICATION]), *loops]


def require_free(host: str, port: int) -> None:
    """Raises CommandError when this address cannot be listened on: restarting would not help."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise CommandError(
                f"Cannot listen on {host}:{port}: {error}. Choose another with --port."
            ) from error


class Greeter:
    """Says once where the site is, as soon as it can be reached there."""

    def __init__(self, host: str, port: int, say: Any) -> None:
        self.address = (host.replace("0.0.0.0", "127.0.0.1"), port)
        self.say = say
        self.is_done = False

    def __call__(self) -> None:
        """Tries to connect, unless it has said it already."""
        if self.is_done:
            return
        try:
            socket.create_connection(self.address, timeout=0.2).close()
        except OSError:
            return
        self.is_done = True
        host, port = self.address
        self.say(f"Sandboxes is at http://{host}:{port}/ (Ctrl-C ends it; sandboxes keep running)")
