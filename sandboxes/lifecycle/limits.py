"""What people may ask for, value by value: each function returns it cleaned or raises ValueError.

The ValueError's text is a sentence for people. Nothing here knows a form, a request or a sandbox, so
that the page, the POST paths and other programs are held to the same. Whole users are quotas.py.
"""

from __future__ import annotations

import posixpath
import re
import threading
import time
import unicodedata
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from django.conf import settings

from sandboxes.engine import get_engine
from sandboxes.engine.base import MARKER_VARIABLE
from sandboxes.units import format_duration, format_size, parse_duration, parse_size

from . import host

NAME_LENGTH = 63
WORKDIR_LENGTH = 255
MIN_PIDS = 8
"""Init, the shells of a terminal and of a command, and what they run; with fewer nothing can be done."""
NO_TIME_LIMIT = "Write the time limit in seconds, like 30, or as 5 min."
NO_NUMBER = "Write a number of CPUs, like 1 or 0.5."
UNKNOWN = Decimal(999)
"""CPUs of a host that has not told yet, where no setting says less."""
MIN_DISK, MAX_DISK = 1 << 20, 1 << 50
VARIABLES = 100
ENVIRONMENT_SIZE = 32 * 1024
"""Characters of all names and values together; far below what the kernel passes to a program."""
FORBIDDEN_FOLDERS = ("/proc", "/sys", "/dev")

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_INFO_AGE = 60.0


def _has_invisible(text: str) -> bool:
    """Control characters, zero-width ones, those that turn the direction of writing, half characters."""
    return any(unicodedata.category(character) in _INVISIBLE for character in text)


def visible(text: str) -> str:
    """The text without what cannot be seen in it, as a name may be."""
    return "".join(one for one in text if unicodedata.category(one) not in _INVISIBLE)


def clean_name(value: str) -> str:
    """A name without blanks around it; empty stays empty."""
    name = value.strip()
    if len(name) > NAME_LENGTH:
        raise ValueError(f"A name has at most {NAME_LENGTH} characters; this one has {len(name)}.")
    if _has_invisible(name):
        raise ValueError("A name holds visible characters only: no line breaks, controls or zero-width ones.")
    return name


def clean_memory(value: int | str) -> int:
    """Bytes, from bytes or from text like ``512m`` or ``1.5g``; within the install's limits."""
    memory = _size(value)
    least, most = settings.SANDBOX_MIN_MEMORY, settings.SANDBOX_MAX_MEMORY
    if memory < least:
        raise ValueError(f"Memory is at least {format_size(least)}.")
    if memory > most:
        raise ValueError(f"Memory is at most {format_size(most)}.")
    return memory


def _size(value: int | str) -> int:
    if isinstance(value, int):
        return value
    try:
        return parse_size(value)
    except (ValueError, OverflowError) as error:
        raise ValueError(_sentence(error)) from None


def clean_cpus(value: Any) -> Decimal:
    """Cores in steps of 0.01: at least the install's minimum, at most its maximum or what the host has."""
    try:
        cpus = Decimal(str(value).strip())
    except InvalidOperation:
        raise ValueError(NO_NUMBER) from None
    if not cpus.is_finite():
        raise ValueError(NO_NUMBER)
    least, most = Decimal(str(settings.SANDBOX_MIN_CPUS)), max_cpus()
    if cpus < least:
        raise ValueError(f"A sandbox has at least {least:f} CPUs.")
    if cpus > most:
        raise ValueError(f"A sandbox has at most {most:f} CPU{'' if most == 1 else 's'}.")
    return cpus.quantize(Decimal("0.01"), ROUND_HALF_UP)


def max_cpus() -> Decimal:
    """The most CPUs one sandbox may have: the setting's, and never more than the host has.

    While the engine is away the host's number may be unknown; then the engine itself refuses later.
    """
    limit = Decimal(str(settings.SANDBOX_MAX_CPUS)) or UNKNOWN
    host = _host.cpus()
    return min(limit, Decimal(host)) if host else limit


def clean_pids(value: int | str) -> int:
    """A count of processes. Never 0 or less: the engine takes those as unlimited."""
    pids = _whole(value, "Write a whole number of processes.")
    if pids < MIN_PIDS:
        raise ValueError(f"Allow at least {MIN_PIDS} processes.")
    if pids > settings.SANDBOX_MAX_PIDS:
        raise ValueError(f"Allow at most {settings.SANDBOX_MAX_PIDS} processes.")
    return pids


def clean_lifetime(value: int | str) -> int:
    """Seconds, from seconds (int) or from text like ``45 min``, where a bare number is minutes."""
    return _seconds(value, "Lifetime", settings.SANDBOX_MAX_LIFETIME)


def clean_idle(value: int | str) -> int:
    """Seconds without use after which a sandbox is stopped, as ``clean_lifetime`` has them; 0: never."""
    never = value == 0 or (isinstance(value, str) and value.strip().lower() in ("0", "never"))
    return 0 if never else _seconds(value, "An idle limit", settings.SANDBOX_MAX_LIFETIME)


def clean_disk(value: int | str) -> int:
    """Bytes that a sandbox may write, from bytes or from text like ``2g``."""
    disk = _size(value)
    if not MIN_DISK <= disk <= MAX_DISK:
        raise ValueError(f"A disk limit is {format_size(MIN_DISK)} to {format_size(MAX_DISK)}.")
    return disk


def clean_time_limit(value: int | str) -> int:
    """Seconds that a command may run; a number is seconds, in text too."""
    text = f"{value}s" if isinstance(value, str) and value.strip().isdecimal() else value
    return _seconds(text, "A time limit", settings.SANDBOX_MAX_LIFETIME, NO_TIME_LIMIT)


def _seconds(value: int | str, what: str, most: int, like: str = "") -> int:
    """``like`` is said to what is no time; else how all times may be written."""
    try:
        seconds = value if isinstance(value, int) else parse_duration(value)
    except ValueError as error:
        raise ValueError(like or _sentence(error)) from None
    except OverflowError as error:
        raise ValueError(_sentence(error)) from None
    if seconds < 1:
        raise ValueError(f"{what} is at least one second.")
    if seconds > most:
        raise ValueError(f"{what} is at most {format_duration(most)}.")
    return seconds


def clean_environment(value: str | Mapping[str, Any] | None) -> dict[str, str]:
    """Variables, from a mapping or from text with one ``NAME=value`` a line; blank lines are skipped."""
    pairs = _lines(value) if isinstance(value, str) else (value or {}).items()
    found: dict[str, str] = {}
    size = 0
    for name, text in pairs:
        _check_variable(name, text, found)
        found[name] = text
        size += len(name) + len(text)
        if len(found) > VARIABLES:
            raise ValueError(f"At most {VARIABLES} variables.")
        if size > ENVIRONMENT_SIZE:
            raise ValueError(f"All variables together hold at most {ENVIRONMENT_SIZE // 1024} kB.")
    return found


def _lines(text: str) -> Iterable[tuple[str, str]]:
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if line.strip():
            name, equals, value = line.partition("=")
            if not equals:
                raise ValueError(f"Line {number}: write NAME=value.")
            yield name.strip(), value


def _check_variable(name: Any, value: Any, known: dict[str, str]) -> None:
    if not isinstance(name, str) or not _VARIABLE.fullmatch(name) or len(name) > 200:
        raise ValueError("A variable's name has letters, digits and _ only, and begins with no digit.")
    if name == MARKER_VARIABLE:
        raise ValueError(f"{name} is used by Sandboxes itself. Choose another name.")
    if name in known:
        raise ValueError(f"{name} is there twice.")
    if not isinstance(value, str):
        raise ValueError(f"{name}: the value must be text.")
    if any(character in value for character in "\0\n\r") or any("\ud800" <= one <= "\udfff" for one in value):
        raise ValueError(f"{name}: a value holds no line break and no NUL.")


def clean_workdir(value: str) -> str:
    """An absolute path, normalised, that is not under /proc, /sys or /dev."""
    text = value.strip()
    if len(text) > WORKDIR_LENGTH:
        raise ValueError(f"A working directory has at most {WORKDIR_LENGTH} characters.")
    if _has_invisible(text):
        raise ValueError("A working directory holds visible characters only.")
    if not text.startswith("/"):
        raise ValueError("A working directory begins with a slash, like /workspace.")
    path = posixpath.normpath("/" + text.lstrip("/"))
    if any(path == folder or path.startswith(folder + "/") for folder in FORBIDDEN_FOLDERS):
        raise ValueError("A working directory cannot be under /proc, /sys or /dev.")
    return path


def _whole(value: int | str, sentence: str) -> int:
    try:
        return value if isinstance(value, int) else int(value.strip())
    except ValueError:
        raise ValueError(sentence) from None


def _sentence(error: Exception) -> str:
    text = str(error) if isinstance(error, ValueError) else "that number is too large"
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


class _Host:
    """How many CPUs the engine's host has, asked once a minute at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: tuple[Any, float, int | None] = (None, 0.0, None)

    def cpus(self) -> int | None:
        """The number, or None while it is unknown."""
        engine = get_engine()
        whose, at, cpus = self._known
        if whose is engine and time.monotonic() - at < _INFO_AGE:
            return cpus
        found = host.info()
        if found is None:  # asked again by the next page
            return cpus if whose is engine else None
        cpus = found.cpus
        with self._lock:
            self._known = (engine, time.monotonic(), cpus)
        return cpus


_host = _Host()
