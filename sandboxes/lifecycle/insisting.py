"""Writing down what is known nowhere else, though the database refuses just then."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.db import DatabaseError, connection

log = logging.getLogger(__name__)

TRIES = 60
LONGEST = 10.0
"""Seconds between two tries at most: some eight minutes in all."""


def write(what: Callable[[], object]) -> None:
    """Do it, again and again; for a thread that may wait. Raises what the last try raised."""
    for attempt in range(TRIES):
        try:
            what()
        except DatabaseError as error:
            if connection.in_atomic_block:  # nothing comes of it any more
                raise
            log.warning("An end is not on record yet: %s", error)
            connection.close_if_unusable_or_obsolete()
            time.sleep(min(2**attempt / 10, LONGEST))
        else:
            return
    what()
