"""The lines of a roster: each one good, or at fault with a reason that names what is wrong."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from sandboxes.lifecycle.refusals import Refused

from . import roster_text
from .roster_text import FIELDS
from .roster_words import ROLE_OF, plain

MOST = {"name": 120, "email": 254, "student_id": 60, "section": 40, "role": 40}
"""Characters, as the columns of Enrollment have them."""
CALLED = {"name": "name", "email": "e-mail", "student_id": "id", "section": "section", "role": "role"}
UNSEEN = dict.fromkeys(map(ord, "\u200b\u200e\u200f\ufeff\u2060\u00ad"))
TURNING = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
NOTHING = {"-", "–", "—", "n/a", "na", "null", "none"}


@dataclass(frozen=True)
class Line:
    """A good line. None: the roster has no such column, so nothing is said about it."""

    number: int
    name: str | None = None
    email: str | None = None
    student_id: str | None = None
    section: str | None = None
    role: str | None = None

    @property
    def label(self) -> str:
        """Whom it is about."""
        return self.name or self.email or self.student_id or ""


@dataclass(frozen=True)
class Fault:
    """A line that is not taken, and why. ``email`` and ``student_id`` as far as they can be read."""

    number: int
    reason: str
    label: str = ""
    email: str = ""
    student_id: str = ""


@dataclass(frozen=True)
class Reading:
    """What was read: good lines, faults, which fields it tells of, and a sentence about the encoding."""

    lines: list[Line] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    note: str = ""

    def as_columns(self) -> dict[str, Any]:
        """For a RosterDraft."""
        lines, faults = [asdict(one) for one in self.lines], [asdict(one) for one in self.faults]
        return {"lines": lines, "faults": faults, "columns": self.columns, "note": self.note}


def read(text: str, note: str = "") -> Reading:
    """Read a whole roster. Raises Refused where nothing of it can be read."""
    places, rows, passed = roster_text.rows_of(text)
    lines: list[Line] = []
    faults: list[Fault] = []
    for number, cells in rows:
        found = read_line(number, cells, places)
        (lines if isinstance(found, Line) else faults).append(found)  # type: ignore[arg-type]
    if not lines and not faults:
        raise Refused("text", "There is a header and nothing below it. Paste the people’s lines too.")
    good, doubled = _once(lines)
    known = set(places) | ({"name"} if {"first", "last"} & set(places) else set())
    columns = [name for name in FIELDS if name in known]
    told = " ".join(filter(None, (note, passed)))
    return Reading(good, sorted(faults + doubled, key=lambda one: one.number), columns, told)


def read_line(number: int, cells: list[str], places: dict[str, list[int]]) -> Line | Fault:
    """One line of cells."""
    values: dict[str, str | None] = {}
    problem = ""
    for name in FIELDS:
        try:
            values[name] = _value(name, cells, places)
        except ValueError as error:
            values[name], problem = "", problem or str(error)
    problem = problem or _missing(values)
    return Line(number, **values) if not problem else _fault(number, problem, values, cells)


def _value(name: str, cells: list[str], places: dict[str, list[int]]) -> str | None:
    """A field, cleaned; None where no column is about it. A name may be in two halves, each a cell."""
    halves = [half for half in ("first", "last") if half in places]
    if name == "name" and halves:
        parts = [clean("name", _cell(cells, places[half])) for half in halves]
        return clean("name", " ".join(filter(None, parts)))
    return clean(name, _cell(cells, places[name])) if name in places else None


def _cell(cells: list[str], indices: list[int]) -> str:
    """The first of these columns that holds anything."""
    found = (cells[index] for index in indices if index < len(cells) and cells[index].strip())
    return next(found, "")


def _missing(values: dict[str, str | None]) -> str:
    if not values["email"] and not values["student_id"]:
        return "It has neither an e-mail nor an id, so this person could not be found again."
    if values["name"] == "" and not values["email"]:
        return "It has no name."
    return ""


def _fault(number: int, problem: str, values: dict[str, str | None], cells: list[str]) -> Fault:
    label = values["name"] or values["email"] or values["student_id"] or next(filter(None, cells), "")
    shown = "".join(one for one in label[:60] if one.isprintable())
    return Fault(number, problem, shown, values["email"] or "", values["student_id"] or "")


def fault_of(line: Line, reason: str) -> Fault:
    """A good line that is not taken after all."""
    return Fault(line.number, reason, line.label[:60], line.email or "", line.student_id or "")


def _once(lines: list[Line]) -> tuple[list[Line], list[Fault]]:
    """Lines whose e-mail and id no earlier line has; the others are faults."""
    good: list[Line] = []
    faults: list[Fault] = []
    seen: dict[tuple[str, str], int] = {}
    for line in lines:
        keys = [("e-mail", (line.email or "").casefold()), ("id", (line.student_id or "").casefold())]
        keys = [key for key in keys if key[1]]
        before = next(((key[0], seen[key]) for key in keys if key in seen), None)
        if before:
            reason = f"It has the same {before[0]} as line {before[1]}; that line counts."
            faults.append(fault_of(line, reason))
            continue
        seen |= dict.fromkeys(keys, line.number)
        good.append(line)
    return good, faults


def clean(name: str, text: str) -> str:
    """A cell as it is kept. Raises ValueError with a sentence that says what is wrong with it."""
    called = CALLED[name]
    value = text.translate(UNSEEN).strip()
    if any(one in value for one in "\r\n\x0b\x0c\x85\u2028\u2029"):
        raise ValueError(f"The {called} holds a line break. Is a quotation mark missing or too many?")
    if len(value) > MOST[name]:
        raise ValueError(f"The {called} is {len(value):,} characters long; at most {MOST[name]} are taken.")
    if any(unicodedata.category(one) in ("Cc", "Cs", "Co") or one in TURNING for one in value):
        raise ValueError(f"The {called} holds a control character.")
    if value.casefold() in NOTHING:
        return ""
    if value[:1] in "=+-@" and value:
        raise ValueError(f"The {called} begins with “{value[0]}”, like a spreadsheet’s formula.")
    return CLEANERS.get(name, _squeezed)(value)


def odd(line: Line) -> str:
    """What looks as if it had been read in the wrong encoding, as a sentence; empty where nothing does."""
    for value in filter(None, (line.name, line.section, line.student_id)):
        if "\ufffd" in value:
            return "A letter was lost (�) before it came here. Save the file as UTF-8, or write the letter."
        meant = _twice(value)
        if meant != value:
            return f"“{value}” looks like “{meant}”, read in another encoding than it was saved in."
    return ""


def _twice(value: str) -> str:
    """The text as it was before UTF-8 was read as Western European; itself where that was not so."""
    for encoding in ("cp1252", "latin-1"):
        try:
            return value.encode(encoding).decode()
        except UnicodeError:
            continue
    return value


def _squeezed(value: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", value))


def _email(value: str) -> str:
    value = value.removeprefix("mailto:")
    try:
        if value:
            validate_email(value)
    except ValidationError:
        raise ValueError("The e-mail is none: it needs the form name@example.org.") from None
    return value


def _role(value: str) -> str:
    role = ROLE_OF.get(plain(value))
    if value and role is None:
        raise ValueError(f"“{value}” is no role here. Write instructor, assistant or student.")
    return str(role or "")


CLEANERS = {"email": _email, "role": _role}


def lines_of(rows: list[dict[str, Any]]) -> Iterator[Line]:
    """Good lines out of a RosterDraft."""
    return (Line(**row) for row in rows)


def faults_of(rows: list[dict[str, Any]]) -> Iterator[Fault]:
    """Faults out of a RosterDraft."""
    return (Fault(**row) for row in rows)
