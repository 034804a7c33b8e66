"""A part of the trail as one signed file that can be checked without this program, and here beside the trail.

A zip: the rows as they count for their seals, each with the digest before it and its own; a manifest
with the rows' SHA-256, the head of the trail then, and a signature; how to check it, in words and as a
program. It is written as it is read: nothing is held but one piece of rows.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from sandboxes.models import Seal

from . import bundle_check, chain, heads, verifying
from .bundle_check import KIND, MANIFEST, ROWS, SIGNED, Report

PIECE = 1000
README = """A part of the audit trail of the install {install}, made {made_at} for {by}.

events.jsonl   One event a line, with its number in the trail, the digest before it and its own ("seal").
manifest.json  What was asked for, how many rows there are, their SHA-256, and the head of the trail
               then; signed with Ed25519.
check.py       Recomputes all of it:  python3 check.py this-file.zip PUBLIC-KEY

Take the public key from somebody you trust: `manage.py audit key` prints it. Where the trail itself is
at hand, `manage.py audit verify --bundle this-file.zip` also compares every row with it.

By hand: digest = SHA-256(the digest before, followed by the line without "before" and "seal", as JSON
with sorted keys, no spaces, ASCII). The manifest's signature is over the JSON, written the same way, of
{signed}.
"""


class _Out(io.RawIOBase):
    """A file that can only be written to, whose bytes are taken from it as they come."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        found, self.parts = b"".join(self.parts), []
        return found


class _Rows:
    """What the manifest says of the rows, kept up as they are written."""

    def __init__(self) -> None:
        self.count = self.first = self.last = self.runs = 0
        self.whole = sha256()

    def add(self, number: int, line: bytes) -> None:
        self.runs += not self.count or number != self.last + 1
        self.first = self.first if self.count else number
        self.count, self.last = self.count + 1, number
        self.whole.update(line)


def write(part: dict[str, str], by: str, pieces: Iterable[list[tuple[int, int]]]) -> Iterator[bytes]:
    """The bundle's bytes. ``part`` says what was asked for; ``pieces`` are numbers and ids, in order."""
    out, told = _Out(), _Rows()
    made_at, head = chain.moment(timezone.now()), heads.head()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as bundle:
        with bundle.open(ROWS, "w", force_zip64=True) as file:
            for piece in pieces:
                for number, line in _lines([number for number, _ in piece]):
                    told.add(number, line)
                    file.write(line)
                yield out.take()
        bundle.writestr(MANIFEST, _manifest(part, by, made_at, head, told))
        about = {"install": settings.SANDBOX_INSTALL, "made_at": made_at, "by": by}
        bundle.writestr("README.txt", README.format(**about, signed=", ".join(SIGNED)))
        bundle.writestr("check.py", Path(bundle_check.__file__).read_text())
    yield out.take()


def _lines(numbers: list[int]) -> Iterator[tuple[int, bytes]]:
    """The rows with these numbers, each with the digest before it; what was pruned meanwhile is left out."""
    before = _digests([number - 1 for number in numbers])
    for link in chain.picked(numbers) if numbers else ():
        if not link.text:
            continue
        start = before.get(link.number - 1) or _start(link.number)
        yield link.number, f'{link.text[:-1]},"before":"{start}","seal":"{link.digest}"}}\n'.encode()


def _digests(numbers: list[int]) -> dict[int, str]:
    return dict(Seal.objects.filter(number__in=numbers).values_list("number", "digest"))


def _start(number: int) -> str:
    """The digest before the first row there is, also after a prune."""
    start = verifying.start()  # without a prune: number 0, and the zeros that stand before the first
    return start.digest if start.number == number - 1 else ""


def _manifest(part: dict[str, str], by: str, made_at: str, head: Any, told: _Rows) -> str:
    values = {
        "kind": KIND, "version": 1, "install": settings.SANDBOX_INSTALL, "made_at": made_at, "by": by,
        "part": part, "count": told.count, "first": told.first, "last": told.last, "runs": told.runs,
        "rows_sha256": told.whole.hexdigest(), "head": head or {},
    }  # fmt: skip
    signature = heads.sign(chain.encode(values).encode())
    return json.dumps(values | {"key": heads.public_key(), "signature": signature}, indent=2) + "\n"


# -- beside the trail ---------------------------------------------------------------------------


def verify(path: Path, key: str = "") -> Report:
    """Check a bundle in itself with this install's key, or the one given, and beside the trail."""
    report = bundle_check.check(str(path), key or heads.public_key())
    if not report.wrong:
        _beside(path, report)
    return report


def _beside(path: Path, report: Report) -> None:
    known, piece = 0, {}
    for row in bundle_check.rows(str(path)):
        piece[row["number"]] = row["seal"]
        if len(piece) == PIECE:
            known, piece = known + _compare(piece, report), {}
    known += _compare(piece, report)
    if known < report.count:
        report.notes.append(f"{report.count - known} of its rows are not in this trail any more: pruned.")


def _compare(piece: dict[int, str], report: Report) -> int:
    found = _digests(list(piece))
    for number, digest in found.items():
        if digest != piece[number]:
            report.tell(f"Number {number} has another digest in this trail: one of the two was changed.")
    return len(found)
