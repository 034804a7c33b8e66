"""A thread of its own for what would block a test."""

from __future__ import annotations

import threading
from collections.abc import Callable

from django.db import connection


def apart(do: Callable[..., object], *args: object) -> threading.Thread:
    """``do(*args)`` in a thread that has begun, and that leaves no connection to the database behind."""

    def run() -> None:
        try:
            do(*args)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread
