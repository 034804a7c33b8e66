"""A roster as a mail program copies it: ``Ada Lund <ada@example.org>``, in lines, or parted by , or ;"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from itertools import islice

Entry = tuple[str, str]
"""A name, empty where there is none, and an e-mail."""


def entries(line: str) -> list[Entry] | None:
    """The people of a line; None where anything else stands in it."""
    *named, rest = line.split(">")
    found: list[Entry] = []
    for piece in named:
        before, _, mail = piece.partition("<")
        bare, name = _bare(before)
        if "@" not in mail:
            return None
        found += [*bare, (name, mail.strip())]
    bare, left = _bare(rest)
    return None if left else [*found, *bare]


def _bare(text: str) -> tuple[list[Entry], str]:
    """Addresses without a name at its beginning, and what comes after them."""
    parts = [part.strip() for part in re.split("[,;]", text)]
    count = next((at for at, part in enumerate(parts) if part and not _is_address(part)), len(parts))
    return [("", part) for part in parts[:count] if part], ", ".join(parts[count:]).strip("\"' ")


def _is_address(text: str) -> bool:
    return "@" in text and not re.search(r"[\s\"<>]", text)


def is_list(text: str) -> bool:
    """Whether its first line that holds anything is one of addresses, and not of a table's cells."""
    line = next((one for one in _lines(text) if one[1].strip()), (0, ""))[1]
    found = entries(line) or []
    return bool(found) and ("<" in line or len(found) > 1)


def rows(text: str, most: int) -> tuple[dict[str, list[int]], Iterator[tuple[int, list[str]]]]:
    """Where name and e-mail stand, and the people with their line's number; at most so many and one."""
    found = list(islice(_people(text), most + 1))
    places = {"name": [0], "email": [1]} if any(cells[0] for _, cells in found) else {"email": [1]}
    return places, iter(found)


def _people(text: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in _lines(text):
        found = entries(line)
        for name, mail in [(line.strip(), "")] if found is None else found:
            yield number, [name, mail]


def _lines(text: str) -> Iterator[tuple[int, str]]:
    return enumerate(io.StringIO(text, newline=None), 1)
