"""What a long audit trail costs: its pages, its exports and writing one more event.

    python -m bench.audit [--events 1000000] [--rounds 7] [--data FOLDER] [--parts pages record exports]

Fills an install of its own with a class's term (SQLite; PostgreSQL with DATABASE_URL, and
`python -m scripts.services run --` starts one), then asks for each page in process and for each export
through the real server, whose memory it watches. With ``--data`` a trail that is there is used again.
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.browser.product import free_port

PAGE_TARGET, QUERY_TARGET, GROWTH_TARGET = 300, 8, 32
LIST = "/admin/sandboxes/event/"
FORMS = ("csv", "jsonl", "bundle")
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


# -- pages ----------------------------------------------------------------------------------------


def auditor() -> Any:
    """Staff with the permission to read the trail and no other."""
    from django.contrib.auth.models import Permission

    from sandboxes.models import User

    user, _ = User.objects.get_or_create(username="audra", defaults={"is_staff": True})
    user.user_permissions.add(Permission.objects.get(codename="view_event"))
    return user


def asked() -> list[dict[str, str]]:
    """The views that are measured: all, each filter with much and with little, searches, and mixtures."""
    from sandboxes.models import Event

    some = Event.objects.exclude(sandbox_id="").order_by("-id")[1000]
    day = f"{some.at - timedelta(days=20):%Y-%m-%d}"
    return [
        {}, {"order": "old"}, {"who": "student003"}, {"who": "student200"}, {"sandbox": "web-3"},
        {"sandbox": some.sandbox_id}, {"place": "Web 1"}, {"place": COURSES[2][0]}, {"action": "command.run"},
        {"action": "user.change"}, {"outcome": "ok"}, {"outcome": "refused"}, {"address": "192.0.2.3"},
        {"on": day[:4]}, {"on": day[:7]}, {"on": day}, {"on": f"{day}T12"}, {"since": f"{day}T12:00"},
        {"q": "student003"}, {"q": "paused"}, {"q": "make*"}, {"q": "student003 paused web-3"},
        {"q": "nothing"}, {"who": "student003", "outcome": "refused"}, {"who": "student003", "on": day},
        {"q": "make*", "outcome": "refused", "place": "Web 1"},
    ]  # fmt: skip


def pages(rounds: int) -> bool:
    """Time and queries of each; whether all are within their targets."""
    from django.test import Client

    client, worst, most = Client(headers={"host": "localhost"}), 0.0, 0
    client.force_login(auditor())
    print(f"{'the list, ms':<58}{'p50':>7}{'max':>7}{'queries':>9}")
    for query in asked():
        times, queries = one_page(client, query, rounds)
        name = " ".join(f"{key}={value}" for key, value in query.items()) or "all"
        p50 = statistics.median(times)
        print(f"  {name:<56}{p50:>7.0f}{max(times):>7.0f}{queries:>9}", flush=True)
        worst, most = max(worst, p50), max(most, queries)
    print(
        f"  worst p50 {worst:.0f} ms (target {PAGE_TARGET}), at most {most} queries (target {QUERY_TARGET})"
    )
    return worst <= PAGE_TARGET and most <= QUERY_TARGET


def one_page(client: Any, query: dict[str, str], rounds: int) -> tuple[list[float], int]:
    """Milliseconds of each round, the first one left out, and how many queries one takes."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    times = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        assert client.get(LIST, query).status_code == 200
        times.append((time.perf_counter() - began) * 1000)
    with CaptureQueriesContext(connection) as caught:
        client.get(LIST, query)
    return times[1:], len(caught)


def record_cost(count: int = 500) -> None:
    """What one more event costs in a transaction that has something else to write anyway."""
    from django.db import transaction

    from sandboxes.lifecycle import audit

    who, times = audit.Origin("user", 7, "student003", "192.0.2.3", "user", user_agent="Firefox"), []
    for number in range(count):
        with transaction.atomic():
            began = time.perf_counter()
            audit.record("sandbox.pause", who, reason=f"number {number}", detail={"a": number})
            times.append((time.perf_counter() - began) * 1000)
    p95 = sorted(times)[int(count * 0.95)]
    print(f"audit.record, ms: p50 {statistics.median(times):.2f} (target 2), p95 {p95:.2f}", flush=True)


# -- exports through the server ---------------------------------------------------------------------


class Server:
    """daphne on this install, and how much memory it has."""

    def __init__(self) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen([*command, "sandboxes.asgi:application"], stderr=subprocess.DEVNULL)
        self.token = "t" * 32

    def wait(self) -> None:
        """Until it answers."""
        for _ in range(600):
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            time.sleep(0.1)
        raise RuntimeError("daphne did not start")

    def rss(self) -> float:
        """MiB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) / 1024

    def export(self, form: str, session: str, query: str = "", stall: float = 0) -> tuple[int, float, float]:
        """Bytes, seconds, and by how many MiB the server grew; ``stall`` seconds nothing is read."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        cookies = f"sessionid={session}; csrftoken={self.token}"
        headers = {"Cookie": cookies, "X-CSRFToken": self.token, "Host": f"localhost:{self.port}"}
        before, peak, size, began = self.rss(), 0.0, 0, time.monotonic()
        connection.request("POST", f"{LIST}export/{form}/?{query}", headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200, answer.status
        while piece := answer.read(1 << 18):
            size += len(piece)
            if stall and size > 1 << 20:
                time.sleep(stall)
                stall = 0
            peak = max(peak, self.rss())
        connection.close()
        return size, time.monotonic() - began, peak - before


def exports() -> bool:
    """Each form of the whole trail, and one whose reader stops for ten seconds."""
    from django.test import Client

    client = Client()
    client.force_login(auditor())
    session, server, grown = client.cookies["sessionid"].value, Server(), 0.0
    try:
        server.wait()
        for form in FORMS:  # what is loaded once is no growth
            server.export(form, session, "q=nothing")
        for form, query, stall in (*((form, "", 0.0) for form in FORMS), ("jsonl", "", 10.0),
                                   ("csv", "who=student003", 0.0), ("bundle", "q=make*", 0.0)):  # fmt: skip
            size, took, more = server.export(form, session, query, stall)
            name = f"{form} {query or 'all'}{', read with a pause' if stall else ''}"
            print(f"export {name}: {size / 1e6:.0f} MB in {took:.0f} s, +{more:.1f} MiB", flush=True)
            grown = max(grown, more)
    finally:
        server.process.terminate()
        server.process.wait()
    print(f"exports: the server grew by {grown:.1f} MiB at most (target {GROWTH_TARGET})")
    return grown <= GROWTH_TARGET


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7, help="times each page is asked for (7)")
    parser.add_argument("--data", type=Path, help="the install's folder, kept afterwards")
    parser.add_argument("--parts", nargs="+", default=["pages", "record", "exports"])
    options = parser.parse_args()
    kept = nullcontext(options.data) if options.data else tempfile.TemporaryDirectory(prefix="bench-audit-")
    with kept as folder:
        set_up(Path(folder))
        from sandboxes.models import Event

        if not Event.objects.exists():
            took = fill(options.events)
            print(f"{options.events:,} events written in {took:.0f} s", flush=True)
        good = pages(options.rounds) if "pages" in options.parts else True
        if "record" in options.parts:
            record_cost()
        good = exports() and good if "exports" in options.parts else good
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
