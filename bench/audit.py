"""What a long audit trail costs: its pages, its exports and writing one more event.

    python -m bench.audit [--events 1000000] [--rounds 7] [--data FOLDER]

Fills an install of its own with a class's term (SQLite; PostgreSQL with DATABASE_URL, and
`python -m scripts.services run --` starts one), then asks for each page in process and for each export
through the real server, whose memory it watches. With ``--data`` a trail that is there is used again.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

PAGE_TARGET, QUERY_TARGET = 300, 8
BATCH = 5000
DAYS = 90
COURSES = [(f"crs_{n:08x}", name) for n, name in enumerate(("Networks 101", "Web 1", "Databases", "Unix"))]
PEOPLE = [f"student{n:03}" for n in range(240)] + ["prof", "ada"]
# action, its weight, and how often it is refused or fails
ACTS = (
    ("terminal.open", 18, 0.01), ("terminal.end", 18, 0.0), ("command.run", 22, 0.03),
    ("sandbox.launch", 9, 0.04), ("sandbox.pause", 6, 0.01), ("sandbox.resume", 6, 0.01),
    ("sandbox.stop", 5, 0.01), ("sandbox.start", 4, 0.02), ("sandbox.remove", 6, 0.01),
    ("sandbox.extend", 3, 0.02), ("sandbox.view", 0.4, 1.0), ("user.sign_in", 3, 0.06),
    ("user.sign_out", 2, 0.0), ("image.pull", 0.2, 0.2), ("user.change", 0.05, 0.0),
)  # fmt: skip
REASONS = ("That sandbox is not yours.", "You have 20 sandboxes already.", "The engine did not answer.")


def rows(count: int, until: datetime) -> Iterator[Any]:
    """So many made-up events of the last ninety days, the oldest first; the same ones every time."""
    chance = random.Random(4)
    acts = [one[0] for one in ACTS]
    weights = [one[1] for one in ACTS]
    wrong = {one[0]: one[2] for one in ACTS}
    step = timedelta(days=DAYS) / max(count, 1)
    at = until - timedelta(days=DAYS)
    for number in range(count):
        at += step
        action = chance.choices(acts, weights)[0]
        yield event(chance, number, at, action, wrong[action])


def event(chance: random.Random, number: int, at: datetime, action: str, wrong: float) -> Any:
    """One of them; who works in which course and sandbox stays the same."""
    from sandboxes.models import Event, Outcome

    person = min(int(chance.expovariate(1 / 60)), len(PEOPLE) - 1)
    name, course = PEOPLE[person], COURSES[person % len(COURSES)]
    is_bad = chance.random() < wrong
    outcome = chance.choice((Outcome.REFUSED, Outcome.FAILED)) if is_bad else Outcome.OK
    told = Event(
        at=at, action=action, outcome=outcome, operation=f"{number:016x}", actor_id=person + 1,
        actor_name=name, actor_role="staff" if name == "prof" else "user", address=f"192.0.2.{person}",
        user_agent="Firefox", request_id=f"{number // 2:012x}", place_id=course[0],
        place_name=course[1], place_role="student",
        reason=chance.choice(REASONS) if is_bad else "", duration=chance.randrange(20, 900),
    )  # fmt: skip
    if action.partition(".")[0] in ("sandbox", "terminal", "command"):
        sandbox = chance.randrange(40)
        told.sandbox_id, told.sandbox_name = f"sb_{person:04x}{sandbox:04x}", f"web-{sandbox}"
        told.owner_name = name
    if action == "command.run":
        told.detail = {"argv": ["sh", "-c", f"make test-{chance.randrange(99)}"], "exit_code": 0}
    return told


def fill(count: int) -> float:
    """Write them, seal and count them; seconds for the writing."""
    from django.utils import timezone

    from sandboxes.lifecycle import chain
    from sandboxes.lifecycle.feeds import tallies
    from sandboxes.models import Event

    began, batch = time.monotonic(), []
    for one in rows(count, timezone.now().astimezone(UTC)):
        batch.append(one)
        if len(batch) == BATCH:
            Event.objects.bulk_create(batch)
            batch = []
    Event.objects.bulk_create(batch)
    took = time.monotonic() - began
    chain.seal(full=True)
    while tallies.run_round():
        pass
    return took


def set_up(data: Path) -> None:
    """Django on this folder, migrated."""
    os.environ |= {"SANDBOX_DATA": str(data), "DJANGO_SETTINGS_MODULE": "sandboxes.settings"}
    os.environ["SANDBOX_INSTALL"] = "test-bench-audit"
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7, help="times each page is asked for (7)")
    parser.add_argument("--data", type=Path, help="the install's folder, kept afterwards")
    options = parser.parse_args()
    kept = nullcontext(options.data) if options.data else tempfile.TemporaryDirectory(prefix="bench-audit-")
    with kept as folder:
        set_up(Path(folder))
        from sandboxes.models import Event

        if not Event.objects.exists():
            took = fill(options.events)
            print(f"{options.events:,} events written in {took:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
