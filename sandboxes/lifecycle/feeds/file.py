"""The trail as lines of JSON in a file or on standard output (SANDBOX_FEED_FILE), from its first event.

The file is opened anew each time, so that it may be renamed and taken away at any moment. A line is
written before the cursor moves; after a crash in between the file's own end says what it has.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path

from django.conf import settings

from . import cursor, lines

log = logging.getLogger(__name__)

NAME = "file"
STDOUT = "-"
TAIL = 1 << 18
"""Bytes at the end of the file in which its last line is looked for."""


def run_round() -> bool:
    """Write the next piece of the trail; whether more is waiting. Raises OSError when it cannot."""
    where = settings.SANDBOX_FEED_FILE
    if not where:
        return False
    piece = cursor.after(cursor.of(NAME))
    if piece.end == piece.start:
        return False
    rows = [
        (number, lines.dump({"number": number, **lines.shared(event)})) for number, event in piece.numbered
    ]
    if where == STDOUT:
        _say([text for _, text in rows])
    else:
        _append(Path(where), rows)
    if not cursor.move(NAME, piece):
        log.warning("Two processes wrote the feed at once: some of its lines may be there twice")
    return piece.is_full


def _say(rows: list[str]) -> None:
    sys.stdout.write("".join(f"{row}\n" for row in rows))
    sys.stdout.flush()


def _append(path: Path, rows: list[tuple[int, str]]) -> None:
    """Add the lines that are not there yet, and see them on disk."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640), "r+b", buffering=0) as file:
        end = _tail(file.fileno())
        last = _last_of(rows, end)
        torn = b"\n" if end and not end.endswith(b"\n") else b""
        text = torn + "".join(f"{row}\n" for number, row in rows if number > last).encode()
        while text:
            text = text[file.write(text) or 0 :]
        os.fsync(file.fileno())


def _tail(file: int) -> bytes:
    size = os.fstat(file).st_size
    return os.pread(file, TAIL, max(size - TAIL, 0))


def _last_of(rows: list[tuple[int, str]], end: bytes) -> int:
    """The last of these that the file has, 0 for none: of a trail that was restored since, it has others."""
    last = _last_number(end)
    return last if dict(rows).get(last, "\0").encode() in end.split(b"\n") else 0


def _last_number(end: bytes) -> int:
    """The number in the last whole line, 0 where there is none: what is torn is written again."""
    for row in reversed(end.split(b"\n")[:-1]):
        try:
            return int(json.loads(row)["number"])
        except (ValueError, KeyError, TypeError):
            continue
    return 0
