"""`manage.py audit`: seals the trail again and again; `audit verify`, `head`, `key` and `prune` beside it."""

from __future__ import annotations

import signal
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from sandboxes.lifecycle import archives, audit, bundles, chain, heads, pruning, sealing, verifying
from sandboxes.lifecycle.bundle_check import summary
from sandboxes.management.origin import console
from sandboxes.models import Outcome

from .cleanup import told_to_stop


class Command(BaseCommand):
    """A few lines around lifecycle's chain, verifying, heads and pruning."""

    help = "Seal the audit trail (the loop), or verify, sign or prune it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Without a further word: the loop."""
        words = parser.add_subparsers(dest="what", metavar="{seal,verify,head,key,prune}")
        words.add_parser("seal", help="seal what has no seal, once")
        verify = words.add_parser("verify", help="recompute every digest; exit code 1 when something differs")
        verify.add_argument("--head", type=Path, help="compare with this signed head")
        verify.add_argument("--key", default="", help="the public key (hex) that signed it; default: ours")
        verify.add_argument("--archive", type=Path, nargs="+", default=[], help="check these archives too")
        verify.add_argument(
            "--bundle", type=Path, help="check this exported bundle instead, and beside the trail"
        )
        head = words.add_parser("head", help="print the signed head, or write it to a file")
        head.add_argument("--file", type=Path, help="write it here")
        words.add_parser("key", help="print the public key that checks heads")
        prune = words.add_parser("prune", help="archive the oldest events, then delete them")
        prune.add_argument("--before", required=True, help="a date (2026-01-31, UTC) or 90d: older than that")
        prune.add_argument("--archive", type=Path, required=True, help="the file to make, .jsonl.gz")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit code 0; 1 for a trail that is not whole and for what cannot be done."""
        act = getattr(self, f"do_{options['what'] or 'loop'}")
        act(options)

    def do_loop(self, options: Any) -> None:
        """Until SIGTERM or SIGINT."""
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: told_to_stop(stop))
        sealing.loop(stop)

    def do_seal(self, options: Any) -> None:
        self.stdout.write(f"{chain.seal(full=True)} events sealed.")

    def do_key(self, options: Any) -> None:
        self.stdout.write(heads.public_key())

    def do_head(self, options: Any) -> None:
        """Seal first: the head is of what there is now."""
        chain.seal(full=True)
        told = heads.head()
        if told is None:
            raise CommandError("The trail is empty.")
        audit.record("audit.head", console(), detail={"number": told["number"]})
        if options["file"]:
            heads.write(told, options["file"])
        else:
            self.stdout.write(chain.encode(told))

    def do_verify(self, options: Any) -> None:
        """What was passed by is looked for; nothing is sealed by it."""
        if options["bundle"]:
            self.check_bundle(options["bundle"], options["key"])
            return
        verdict = verifying.verify()
        for path in filter(None, [options["head"] or kept_head()]):
            self.compare(verdict, path, options["key"])
        for one in pruning.check(options["archive"]) if options["archive"] else []:
            verdict.tell(one)
        unsealed = waiting()
        note_verified(verdict)
        for note in verdict.notes:
            self.stdout.write(note)
        if not verdict.is_whole:
            raise CommandError("\n".join(verifying.findings(verdict)))
        numbers = f"numbers {verdict.start.number + 1} to {verdict.number}, last digest {verdict.digest}"
        self.stdout.write(f"The trail is whole: {verdict.count} events, {numbers}. {unsealed}".rstrip())

    def check_bundle(self, path: Path, key: str) -> None:
        """A signed export, in itself and row by row beside the trail that is here."""
        report = bundles.verify(path, key)
        for note in report.notes:
            self.stdout.write(note)
        if report.wrong:
            raise CommandError("\n".join(report.wrong))
        self.stdout.write(summary(report))

    def compare(self, verdict: verifying.Verdict, path: Path, key: str) -> None:
        """Whether the trail has all that this head knows."""
        try:
            told = heads.read(path)
            heads.check(told, key)
        except heads.Wrong as error:
            verdict.tell(str(error))
            return
        for one in heads.compare(told, verdict):
            verdict.tell(one)

    def do_prune(self, options: Any) -> None:
        """Says what it does, step by step."""
        before = cut_off(options["before"])
        try:
            found = pruning.prune(before, options["archive"], console(), self.stdout.write)
        except (archives.Broken, OSError) as error:
            raise CommandError(str(error)) from None
        if found is None:
            self.stdout.write(f"Nothing happened before {before:%Y-%m-%d %H:%M} UTC.")
            return
        span = found.span
        self.stdout.write(f"Numbers {span.first} to {span.last} are in {options['archive']} (SHA-256 "
                          f"{found.sha256}) and no longer in the database.")  # fmt: skip


def note_verified(verdict: verifying.Verdict) -> None:
    """Put on record that somebody looked, and what they found."""
    reason = "" if verdict.is_whole else " ".join(verifying.findings(verdict))
    audit.record("audit.verify", console(), outcome=Outcome.OK if verdict.is_whole else Outcome.FAILED,
                 reason=reason, detail={"count": verdict.count, "number": verdict.number})  # fmt: skip


def kept_head() -> Path | None:
    """The head that the loop wrote last, where it is."""
    path = Path(settings.SANDBOX_AUDIT_HEAD_FILE or ".")
    return path if path.is_file() else None


def waiting() -> str:
    """How many events have no seal yet."""
    count = verifying.unsealed()
    return f"{count} wait for their seal." if count else ""


def cut_off(text: str) -> datetime:
    """A date, a time in ISO 8601 (UTC unless it says otherwise), or a number of days ago."""
    try:
        if text.endswith("d"):
            return timezone.now() - timedelta(days=int(text[:-1]))
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise CommandError(f"{text!r} is no date: write 2026-01-31 or 90d.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
