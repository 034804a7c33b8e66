"""A command's words as they go on record: escaped, shortened, and without what looks like a secret.

It knows the usual shapes only (``--password x``, ``TOKEN=x``, headers, URLs with a password, ``-px`` of
MySQL's programs and sshpass, ``curl -u name:x``): whoever types a secret in another shape has typed it on
record, as into a shell's history.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from . import escaping

MOST = 600
"""Characters of a command that go on record."""
MASK = "•••"
_WORDS = "passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|cookie"
_NAME = rf"(?<![\w-])[\w-]{{0,40}}?(?:{_WORDS})\w{{0,20}}"
_QUOTES, _VALUE = r"[\\'\"]*", r"[^\s\\'\"]+"
_ATTACHED = r"(?:mysql\w*|mariadb[\w-]*|sshpass)"
"""Programs whose -p takes its value without a blank; elsewhere it is a port, or something else."""
_SHAPES = (
    re.compile(rf"(?i)(authorization{_QUOTES}\s*[:=]\s*{_QUOTES}(?:(?:basic|bearer|token)\s+)?){_VALUE}"),
    re.compile(rf"(?i)({_NAME}{_QUOTES}(?:\s*[:=]\s*|\s+){_QUOTES}){_VALUE}"),
    re.compile(r"(://[^/\s:@]*:)[^@\s/]+(?=@)"),
    re.compile(rf"(\b{_ATTACHED}\b[^;&|\n]{{0,200}}?\s{_QUOTES}-p{_QUOTES}){_VALUE}"),
    re.compile(rf"(\bcurl\b[^;&|\n]{{0,200}}?\s{_QUOTES}(?:-u|--user)[\s='\"\\]*[^\s:'\"\\]*:){_VALUE}"),
)
_ALONE = re.compile(rf"(?i)-{{1,2}}[\w-]{{0,40}}?(?:{_WORDS})\w{{0,20}}")


def kept(argv: Iterable[str]) -> list[str]:
    """As many words as fit into MOST characters; the last is shortened, "…" says that there were more."""
    found: list[str] = []
    left, before = MOST, ""
    program = ""
    for word in argv:
        if left <= 0:
            return [*found, "…"]
        told = escaping.text(MASK if _ALONE.fullmatch(before) else _in_place(program, before, word), left)
        found.append(told)
        left -= len(told) + 1
        program, before = program or word.rpartition("/")[2], word
    return found


def _in_place(program: str, before: str, word: str) -> str:
    """One word, which some programs take for a secret because of where it stands."""
    if word.startswith("-p") and re.fullmatch(_ATTACHED, program):
        return f"-p{MASK}"
    if before in ("-u", "--user") and program == "curl" and ":" in word:
        return word.partition(":")[0] + ":" + MASK
    return masked(word)


def masked(text: str) -> str:
    """The text with what looks like a secret's value covered; the rest of a long one is left."""
    text = text[: 2 * MOST]
    for shape in _SHAPES:
        text = shape.sub(rf"\g<1>{MASK}", text)
    return text
