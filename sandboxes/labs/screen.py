"""The last lines of a terminal as text, from the last bytes of its output: a small screen, drawn from tokens.

It knows what shells and editors do to a line and to a screen: carriage return, backspace, tab, moving,
erasing, the alternate screen. Colours and everything else are left out. It is no terminal.
"""

from __future__ import annotations

import re
from collections.abc import Callable

BYTES = 4096
"""Bytes of output that are looked at."""
LINES = 6
WIDE, CUT = 200, 120
"""Columns of the small screen where the tty's are not known, and characters that are shown of a line."""
TOKENS = re.compile(
    r"\x1b\[([0-9;:<=>?]*)[ -/]*([@-~])"
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"
    r"|\x1b[ -/]*[0-~]?"
    r"|([\r\n\b\t])"
    r"|([^\x00-\x1f\x7f-\x9f]+)"
    r"|[\x00-\x1f\x7f-\x9f]"
)
CURSOR = "▮"


def last_lines(data: bytes, size: tuple[int, int] = (0, 0), is_cut: bool = False) -> list[str]:
    """At most LINES lines that show where it is now. ``is_cut``: the bytes begin in the middle."""
    text = data.decode("utf-8", "replace")
    if is_cut:
        text = text.partition("\n")[2] or text
    screen = Screen(*size)
    for match in TOKENS.finditer(text):
        screen.take(*match.groups())
    return screen.last()


class Screen:
    """Lines, a cursor, and what the few sequences do to them. Rows and columns count from 0."""

    def __init__(self, cols: int = 0, rows: int = 0) -> None:
        self.cols, self.rows = cols or WIDE, rows or 24
        self.lines: list[str] = [""]
        self.top = self.row = self.col = 0
        self._kept: tuple[list[str], int, int, int] | None = None

    def take(self, numbers: str | None, final: str | None, control: str | None, text: str | None) -> None:
        """One token."""
        if text is not None:
            self._write(text)
        elif control is not None:
            self._control(control)
        elif final is not None:
            act = ACTS.get(final)
            if act is not None:
                act(self, numbers or "")

    def last(self) -> list[str]:
        """The last lines with the cursor where it stands at the end of its line."""
        self.lines += [""] * (self.row + 1 - len(self.lines))
        line = self.lines[self.row]
        shown = list(self.lines)
        if self.col >= len(line.rstrip()):
            shown[self.row] = line[: self.col].ljust(self.col) + CURSOR
        while len(shown) > 1 and not shown[-1].strip():
            shown.pop()
        last = [one.rstrip()[:CUT] for one in shown[-LINES:]]
        while len(last) > 1 and not last[0]:
            del last[0]
        return last

    # -- writing ----------------------------------------------------------------------------------

    def _write(self, text: str) -> None:
        while text:
            if self.col >= self.cols:
                self._next_line()
                self.col = 0
            piece, text = text[: self.cols - self.col], text[self.cols - self.col :]
            line = self.lines[self.row].ljust(self.col)
            self.lines[self.row] = line[: self.col] + piece + line[self.col + len(piece) :]
            self.col += len(piece)

    def _control(self, control: str) -> None:
        if control == "\n":
            self._next_line()
        elif control == "\r":
            self.col = 0
        elif control == "\b":
            self.col = max(min(self.col, self.cols) - 1, 0)
        else:
            self.col = min((self.col // 8 + 1) * 8, self.cols - 1)

    def _next_line(self) -> None:
        self._go(self.row + 1, self.col)
        self.top = max(self.top, self.row - self.rows + 1)

    def _go(self, row: int, col: int) -> None:
        self.row, self.col = max(row, self.top), min(max(col, 0), self.cols)
        self.lines += [""] * (self.row + 1 - len(self.lines))

    # -- what sequences do ------------------------------------------------------------------------

    def place(self, numbers: str) -> None:
        """To a row and a column of the screen."""
        row, col = [*_numbers(numbers), 0, 0][:2]
        self._go(self.top + min(max(row, 1), self.rows) - 1, max(col, 1) - 1)

    def step(self, rows: int, cols: int) -> None:
        """So many rows and columns from here, within the screen."""
        self._go(min(self.row + rows, self.top + self.rows - 1), self.col + cols)

    def column(self, numbers: str) -> None:
        self._go(self.row, _first(numbers) - 1)

    def line(self, numbers: str) -> None:
        self._go(self.top + min(_first(numbers), self.rows) - 1, self.col)

    def erase_line(self, numbers: str) -> None:
        """To its end, from its beginning, or all of it."""
        kind, line = (_numbers(numbers) or [0])[0], self.lines[self.row]
        kept = {0: line[: self.col], 1: " " * self.col + line[self.col :]}
        self.lines[self.row] = kept.get(kind, "")

    def erase(self, numbers: str) -> None:
        """What is below, or everything."""
        if (_numbers(numbers) or [0])[0] == 0:
            del self.lines[self.row + 1 :]
            self.erase_line("0")
        else:
            row = self.row - self.top
            self.lines, self.top, self.row = [""] * (row + 1), 0, row

    def take_out(self, numbers: str) -> None:
        """Characters; those behind move up."""
        line = self.lines[self.row]
        self.lines[self.row] = line[: self.col] + line[self.col + _first(numbers) :]

    def make_room(self, numbers: str) -> None:
        """Blanks are put in."""
        line = self.lines[self.row].ljust(self.col)
        self.lines[self.row] = (line[: self.col] + " " * _first(numbers) + line[self.col :])[: self.cols]

    def mode(self, numbers: str, on: bool) -> None:
        """The alternate screen, and back."""
        if numbers not in ("?1049", "?47", "?1047"):
            return
        if on:
            self._kept = self.lines, self.top, self.row, self.col
            self.lines, self.top, self.row, self.col = [""], 0, 0, 0
        elif self._kept is not None:
            self.lines, self.top, self.row, self.col = self._kept
            self._kept = None
        else:
            self.lines, self.top, self.row, self.col = [""], 0, 0, 0


def _numbers(text: str) -> list[int]:
    return [min(int(one), 9999) if one.isdigit() else 0 for one in text[:40].split(";")] if text else []


def _first(text: str) -> int:
    """The first number; 1 where there is none."""
    return max((_numbers(text) or [1])[0], 1)


ACTS: dict[str, Callable[[Screen, str], None]] = {
    "H": Screen.place, "f": Screen.place, "G": Screen.column, "d": Screen.line, "K": Screen.erase_line,
    "J": Screen.erase, "P": Screen.take_out, "@": Screen.make_room,
    "A": lambda screen, text: screen.step(-_first(text), 0),
    "B": lambda screen, text: screen.step(_first(text), 0),
    "C": lambda screen, text: screen.step(0, _first(text)),
    "D": lambda screen, text: screen.step(0, -_first(text)),
    "h": lambda screen, text: screen.mode(text, True),
    "l": lambda screen, text: screen.mode(text, False),
}  # fmt: skip
