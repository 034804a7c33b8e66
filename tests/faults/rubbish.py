"""What hurts when it is typed into a field, and more of the kind."""

from __future__ import annotations

import random
from typing import Any

BAD_NUMBERS = (
    "-1",
    "0",
    "1e9",
    "1e999",
    "-1e999",
    "NaN",
    "Infinity",
    "0x10",
    "1_000",
    "٣",
    "½",
    "1,5",
    "9" * 400,
    "1.0000000000000000001",
    "0.001",
    "--1",
    "+5",
    "1 2",
    "2147483648",
    "1e-400",
    "9223372036854775808",
    "١٢m",
)
BAD_SIZES = ("0m", "-5g", "1q", "m", "9e9g", "1.5.5m", "64 mb\n", "1Z", "1e3m", "inf m", "9" * 300 + "g")
BAD_TIMES = ("0s", "-1h", "1y", "99999999h", "h", "1h-1m", "1:2:3", "P1D", "9" * 300 + "s", "24:00:01")
BAD_PATHS = (
    "/proc/self",
    "/../proc",
    "/./sys//x",
    "//dev/null",
    "relative",
    "~",
    "/a\0b",
    "/a\nb",
    "/" + "a/" * 200,
    "/\u202ecod",
    "/proc/../proc/1",
    "/workspace/../../dev",
    "\\\\host\\c$",
)
BAD_ENVIRONMENTS = (
    "A",
    "=x",
    "A=1\nA=2",
    "1A=2",
    "A B=1",
    "A=\0",
    "PATH\0=x",
    "É=1",
    "A=" + "x" * 40_000,
    "\n".join(f"V{n}=1" for n in range(150)),
    "SANDBOX_MARKER=x",
    "LD_PRELOAD=/workspace/mine.so",
    "PATH=/nowhere",
    "A=\ud800",
    "{}",
)
BAD_WORDS = (
    "",
    " ",
    "\0",
    "\x1b[2J",
    "\u202eevil",
    "a" * 64,
    "a" * 100_000,
    "<script>alert(1)</script>",
    "'; --",
    "{{ 7*7 }}",
    "%s%n",
    "\ud800",
    "\ufeff",
    "e\u0301" * 40,
    "../../etc/passwd",
    "\r\nSet-Cookie: a=b",
    "none; rm -rf /",
    "__proto__",
    "None",
    "true",
    "[]",
    "null",
    "🦦" * 63,
    "\u2028",
)
BAD = (
    *BAD_NUMBERS,
    *BAD_SIZES,
    *BAD_TIMES,
    *BAD_PATHS,
    *BAD_ENVIRONMENTS,
    *BAD_WORDS,
    "2026-02-30 25:61",
    "0000-00-00",
    "9999-12-31 23:59",
    "a@b",
    "http://[::1",
    "file:///etc/passwd",
    "http://169.254.169.254/",
)


def rubbish(dice: random.Random) -> str:
    """One value: one that is known to hurt, one of any characters, or a piece of one."""
    kind = dice.randrange(4)
    if kind < 2:
        return dice.choice(BAD)
    if kind == 2:
        top = dice.choice((0x7F, 0x2FFF, 0x10FFFF))
        return (
            "".join(chr(dice.randrange(top)) for _ in range(dice.randrange(80)))
            .encode("utf-8", "replace")
            .decode()
        )
    word = dice.choice(BAD)[:200]
    at = dice.randrange(len(word) + 1)
    return word[:at] + dice.choice(BAD)[:50] + word[at:]


def sendable(value: Any) -> Any:
    """As a browser could send it: half characters go as bytes that are no UTF-8."""
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value


def plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def file_name(dice: random.Random) -> str:
    """A name that a file may be sent under; a browser sends no folders."""
    name = plain(rubbish(dice)).replace("/", "x").replace("\0", "x")[:200]
    return name if name.strip(" .") else "x"
