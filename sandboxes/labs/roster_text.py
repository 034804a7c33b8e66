"""A roster as it comes, pasted or uploaded, made into rows of cells: encodings, separators, header words."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import chain, islice, product, takewhile
from typing import NoReturn

from sandboxes.lifecycle.refusals import Refused

from . import roster_addresses
from .roster_words import COLUMN_OF, plain

MOST_BYTES = 5 << 20
MOST_LINES = 10_000
SEPARATORS = (";", "\t", ",", "|")
TITLES = 10
"""So far down the header is looked for."""
FIELDS = ("name", "email", "student_id", "section", "role")
csv.field_size_limit(MOST_BYTES)  # a cell that is too long is told of by its line, not by an exception


def decode(data: bytes) -> tuple[str, str]:
    """The text of a file, and a sentence where its encoding had to be guessed. Raises Refused."""
    if len(data) > MOST_BYTES:
        too_large()
    for mark, name in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return _strictly(data, name), ""
    wide = _wide(data)
    if wide:
        return _strictly(data, wide), ""
    try:
        return data.decode(), ""
    except UnicodeDecodeError:
        return _western(data), "It is no UTF-8, so it was read as Western European. Look at the accents."


def too_large() -> NoReturn:
    """Refuse a file of more than MOST_BYTES."""
    raise Refused("file", f"The file is larger than {MOST_BYTES >> 20} MB. A roster is small.")


def _strictly(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise Refused("file", "The file is damaged, or no text. Save it as CSV in UTF-8.") from None


def _wide(data: bytes) -> str:
    """UTF-16 without its mark: every other byte of plain letters is zero."""
    start = data[:2000]
    if len(start) < 4 or len(data) % 2:
        return ""
    for offset, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if start[offset::2].count(0) > len(start) * 0.3 and not start[1 - offset :: 2].count(0):
            return name
    return ""


def _western(data: bytes) -> str:
    if data[:4] in (b"PK\x03\x04", b"\xd0\xcf\x11\xe0"):
        raise Refused("file", "This is a workbook. Save it as CSV in your spreadsheet, and upload that.")
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")


Row = tuple[int, list[str]]


def rows_of(text: str) -> tuple[dict[str, list[int]], Iterator[Row], str]:
    """Where each field stands, the rows below the header with their line numbers, and a sentence about
    what was passed over. Raises Refused.

    A title may stand above the header. Without a header the first line has an e-mail in it; what is not
    the e-mail is name, id, section and role, in this order. Addresses of a mail program are read too.
    """
    text = text.removeprefix("\ufeff")
    if roster_addresses.is_list(text):
        places, people = roster_addresses.rows(text, MOST_LINES)
        return places, _at_most(people), ""
    rows = _rows(text, _separator(text))
    first = list(islice(rows, TITLES))
    if not first:
        raise Refused("text", "There is nothing in it. Paste at least one line.")
    if _has_email(first[0]):
        return _by_place(first[0][1]), _at_most(chain(first, rows)), ""
    head = _header(first)
    places, passed = _by_word(first[head][1]), f"What stands above line {first[head][0]} was left out."
    _check(places)
    return places, _at_most(chain(first[head + 1 :], rows)), passed if head else ""


def _has_email(row: Row) -> bool:
    return any("@" in cell for cell in row[1])


def _header(first: list[Row]) -> int:
    """Which of the first rows names the columns: what stands above is a title. Where none does, the first."""
    before = list(takewhile(lambda row: not _has_email(row), first))
    return next((at for at, row in enumerate(before) if _finds_people(_by_word(row[1]))), 0)


def _finds_people(places: dict[str, list[int]]) -> bool:
    return "email" in places or "student_id" in places


def _check(places: dict[str, list[int]]) -> None:
    if not places:
        raise Refused("text", "The first line names no column that is known here. Call them name, e-mail, id,"
                      " section and role.")  # fmt: skip
    if not _finds_people(places):
        raise Refused("text", "There is no column with e-mails, and none with ids. One of them is needed to"
                      " find people again.")  # fmt: skip


def _separator(text: str) -> str:
    """The one that finds most known columns in one of the first lines, or else most columns in the first."""
    first = list(islice((one for one in io.StringIO(text, newline="") if one.strip()), TITLES))
    start = first[0] if first else ""
    if start.lower().startswith("sep=") and len(start.strip()) >= 5:
        return start[4]

    def found(which: tuple[str, str]) -> tuple[bool, int, bool, int]:
        separator, line = which
        cells = next(csv.reader([line], delimiter=separator), [])
        places = _by_word(cells)
        return _finds_people(places), len(places), line == start, len(cells)

    return max(product(SEPARATORS, first or [""]), key=found)[0]


def _rows(text: str, separator: str) -> Iterator[Row]:
    """Rows that hold anything, with the number of the line on which each begins."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    line = 1
    for cells in reader:
        if any(cell.strip() for cell in cells) and not (line == 1 and cells[0].lower().startswith("sep=")):
            yield line, cells
        line = reader.line_num + 1


def _at_most(rows: Iterable[Row]) -> Iterator[Row]:
    for count, row in enumerate(rows, 1):
        if count > MOST_LINES:
            _too_many()
        yield row


def _too_many() -> NoReturn:
    raise Refused("text", f"These are more than {MOST_LINES:,} lines. Is it the right file?")


def _by_word(cells: list[str]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for index, cell in enumerate(cells[:100]):
        field = COLUMN_OF.get(plain(cell[:100]))
        if field:
            places.setdefault(field, []).append(index)
    return _halves(places)


def _halves(places: dict[str, list[int]]) -> dict[str, list[int]]:
    """“Nom” beside “Prénom” and “Name” beside “Vorname” are last names; “Nombre” may be a first."""
    if "name" in places and ("first" in places) != ("last" in places):
        places["last" if "first" in places else "first"] = places.pop("name")
    return places


def _by_place(cells: list[str]) -> dict[str, list[int]]:
    mail = next(index for index, cell in enumerate(cells) if "@" in cell)
    others = [index for index in range(len(cells)) if index != mail]
    names = [name for name in FIELDS if name != "email"]
    return {"email": [mail]} | {name: [index] for name, index in zip(names, others, strict=False)}
