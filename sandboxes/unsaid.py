"""Paths that hold secrets (links that let people in) are written down without them, in logs and on record."""

from __future__ import annotations

import logging
import re
from typing import Any

SECRET = ("secret", "signature", "token")
"""What a path's secret part is called in urls."""


def path_of(request: Any) -> str:
    """The path of a request as it may be written down, at most 200 characters."""
    return without(request, request.path)[:200]


def without(request: Any, text: str) -> str:
    """A text without the secrets that the request's path holds."""
    match = getattr(request, "resolver_match", None)
    for name, value in (match.kwargs if match else {}).items():
        if name in SECRET:
            text = text.replace(str(value), "...")
    return text


class Unsaid(logging.Filter):
    """What Django says about a request that was refused or failed.

    A database that is away is no fault of ours: one line a request, not the hundred of a traceback.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        if getattr(record, "status_code", None) == 503:
            record.exc_info = record.exc_text = None
        if request is not None and isinstance(record.args, tuple):
            record.args = tuple(without(request, one) if isinstance(one, str) else one for one in record.args)
        return True


class Line(logging.Formatter):
    """A line of the log, tracebacks too, without the values that PostgreSQL quotes of a row it refused."""

    VALUES = re.compile(r"^(DETAIL: ).*", re.M)

    def format(self, record: logging.LogRecord) -> str:
        return self.VALUES.sub(r"\1...", super().format(record))
