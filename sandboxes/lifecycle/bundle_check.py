"""Checks a signed bundle of an audit trail: `python3 check.py bundle.zip [public key in hex]`.

It needs Python 3.10 or later, and for the signature the package `cryptography`; nothing of the program
that made the bundle. Every row holds the digest before it and its own, so it can be recomputed; the
manifest holds the rows' SHA-256 and is signed. Without a key of your own the one in the bundle is used,
which shows that nothing was changed since, and not who signed it.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

KIND = "sandboxes-bundle"
ROWS, MANIFEST = "events.jsonl", "manifest.json"
SIGNED = (
    "kind", "version", "install", "made_at", "by", "part", "count", "first", "last", "runs",
    "rows_sha256", "head",
)  # fmt: skip
MOST = 20


@dataclass
class Report:
    """What is wrong, in sentences, and what is to be known."""

    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    manifest: dict[str, Any] = field(default_factory=dict)
    count: int = 0
    first: int = 0
    last: int = 0
    runs: int = 0
    digest: str = ""

    def tell(self, sentence: str) -> None:
        """Put it down, unless enough is known to be wrong."""
        if len(self.wrong) < MOST:
            self.wrong.append(sentence)


def encode(value: Any) -> str:
    """The one text that stands for data, as it was signed and sealed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def rows(path: str) -> Iterator[dict[str, Any]]:
    """The rows of a bundle, one at a time."""
    with zipfile.ZipFile(path) as bundle, bundle.open(ROWS) as file:
        for line in file:
            yield json.loads(line)


def check(path: str, key: str = "") -> Report:
    """Recompute everything that can be; never raises for a file that is no bundle."""
    report = Report()
    try:
        _check(path, key, report)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, EOFError) as error:
        report.tell(f"This is no whole bundle: {error}")
    return report


def _check(path: str, key: str, report: Report) -> None:
    with zipfile.ZipFile(path) as bundle:
        report.manifest = told = json.loads(bundle.read(MANIFEST))
        whole = sha256()
        with bundle.open(ROWS) as file:
            for line in file:
                whole.update(line)
                _row(json.loads(line), report)
    found = {"count": report.count, "first": report.first, "last": report.last, "runs": report.runs,
             "rows_sha256": whole.hexdigest(), "kind": KIND}  # fmt: skip
    for name, value in found.items():
        if told[name] != value:
            report.tell(f"The manifest says {name} {told[name]!r}, the bundle has {value!r}.")
    _signature(told, key, report)
    _head(told, key, report)


def _row(row: dict[str, Any], report: Report) -> None:
    """One row: its digest, and whether it goes on from the row before where that is its neighbour."""
    before, seal, number = row.pop("before"), row.pop("seal"), row["number"]
    if sha256(f"{before}{encode(row)}".encode()).hexdigest() != seal:
        report.tell(f"Number {number} was changed: its digest is another.")
    goes_on = report.count and number == report.last + 1
    if goes_on and before != report.digest:
        report.tell(f"Number {number} does not go on from number {report.last}.")
    if report.count and number <= report.last:
        report.tell(f"Number {number} comes after number {report.last}.")
    report.runs += not goes_on
    report.first = report.first if report.count else number
    report.count, report.last, report.digest = report.count + 1, number, seal


def _signature(told: dict[str, Any], key: str, report: Report) -> None:
    text = encode({name: told[name] for name in SIGNED}).encode()
    _signed(text, told["signature"], key or told["key"], "The manifest", report)
    if key and key != told["key"]:
        report.tell("The bundle names another key than yours.")
    if not key:
        report.notes.append("Checked with the key in the bundle itself; compare it with one you trust.")


def _head(told: dict[str, Any], key: str, report: Report) -> None:
    """The head of the trail when the bundle was made: signed too, and where the rows reach it, theirs."""
    head = told["head"]
    if not head:
        return
    signed = {name: value for name, value in head.items() if name not in ("key", "signature")}
    _signed(encode(signed).encode(), head["signature"], key or told["key"], "The head", report)
    if report.last == head["number"] and report.digest != head["digest"]:
        report.tell(f"The last row is number {report.last}, and the head knows it by another digest.")


def _signed(text: bytes, signature: str, key: str, what: str, report: Report) -> None:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        report.notes.append(f"{what}'s signature was not checked: install the package cryptography for it.")
        return
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(bytes.fromhex(signature), text)
    except (InvalidSignature, ValueError):
        report.tell(f"{what} is not signed by this key, or was changed.")


def summary(report: Report) -> str:
    """What a good bundle holds, in a sentence."""
    told = report.manifest
    part = ", ".join(f"{name} {value}" for name, value in told["part"].items()) or "the whole trail"
    rows = f"{report.count} events, numbers {report.first} to {report.last} in {report.runs} unbroken runs"
    return f"The bundle is good: {rows}; {part}; made {told['made_at']} for {told['by']}."


def main(arguments: list[str]) -> int:
    """Print what was found; 1 when something is wrong."""
    if not arguments:
        print(__doc__)
        return 2
    report = check(arguments[0], arguments[1] if len(arguments) > 1 else "")
    for one in [*report.wrong, *report.notes]:
        print(one)
    if not report.wrong:
        print(summary(report))
    return int(bool(report.wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
