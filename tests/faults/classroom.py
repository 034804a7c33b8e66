"""A lab of a running product with two students in it, and every request that has to do with the engine."""

from __future__ import annotations

import http.client
import random
import re
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from bench.person import Person
from tests.browser.product import Product
from tests.fakes.processes import wait_until

from .house import House
from .site import query

OPEN = """
from datetime import timedelta
from django.utils import timezone
from sandboxes.labs import members, opening
from sandboxes.labs.models import Enrollment, LabTemplate, TemplateVersion
from sandboxes.lifecycle import audit
from sandboxes.models import Image, User
prof, _ = User.objects.get_or_create(username="prof")
values = {"title": "Faults", "typing": "always", "assistants_act": True, "guests_allowed": False}
course = members.create(prof, audit.Origin.of(prof), values)
for name in ("alice", "bob"):
    Enrollment.objects.create(course=course, user=User.objects.get(username=name), name=name)
template = LabTemplate.objects.create(course=course, title="Shell")
version = TemplateVersion.objects.create(
    template=template, number=1, image=Image.objects.get(title="Starter"), memory=64 << 20, pids=128,
    sheet="# S\\n\\n## One\\n\\nA.\\n")
lab = opening.make(version, "Shell", closes_at=timezone.now() + timedelta(hours=3), by=audit.SYSTEM)
opening.open_lab(lab, audit.SYSTEM)
print(course.pk, lab.pk)
"""
Route = tuple[str, str, dict[str, str] | None]
"""Who, where, and what is sent (None: GET)."""
ROUTES: tuple[Route, ...] = (
    ("alice", "/sandboxes/", None),
    ("alice", "/sandboxes/rows/", None),
    ("alice", "/sandboxes/new/", None),
    ("alice", "/sandboxes/{busy}/", None),
    ("alice", "/sandboxes/{played}/part/header/", None),
    ("alice", "/sandboxes/{played}/part/stage/", None),
    ("alice", "/sandboxes/{played}/part/commands/", None),
    ("alice", "/images/", None),
    ("alice", "/readyz", None),
    ("prof", "/system/", None),
    ("prof", "/courses/{course}/labs/new/", None),
    ("prof", "/labs/{lab}/", None),
    ("prof", "/labs/{lab}/wall/", None),
    ("prof", "/labs/{lab}/overview/", None),
    ("alice", "/seats/{seat}/", None),
    ("alice", "/seats/{seat}/part/stage/", None),
    ("alice", "/sandboxes/new/", {"name": "made", "image": "{image}", "memory": "32m", "pids": "64"}),
    ("alice", "/sandboxes/{played}/pause/", {}),
    ("alice", "/sandboxes/{played}/resume/", {}),
    ("alice", "/sandboxes/{played}/stop/", {}),
    ("alice", "/sandboxes/{played}/start/", {}),
    ("alice", "/sandboxes/{played}/restart/", {}),
    ("alice", "/sandboxes/{played}/extend/", {}),
    ("alice", "/sandboxes/{made}/remove/", {}),
    ("alice", "/sandboxes/act/", {"action": "resume", "ids": "{played}"}),
    ("alice", "/sandboxes/{worked}/commands/", {"command": "true"}),
    ("alice", "/sandboxes/{worked}/commands/{command}/cancel/", {}),
    ("alice", "/sandboxes/{worked}/commands/{command}/rerun/", {}),
    ("alice", "/seats/{seat}/start-over/", {}),
    ("alice", "/seats/{seat}/retry/", {}),
    ("prof", "/images/1/pull/", {}),
    ("prof", "/labs/{lab}/do/pull/", {}),
    ("prof", "/labs/{lab}/all/", {"do": "command", "command": "true", "all": "1"}),
    ("prof", "/labs/{lab}/all/", {"do": "message", "text": "x", "all": "1"}),
    ("prof", "/seats/{watched}/save/", {}),
    ("prof", "/seats/{watched}/extend/", {}),
)


@dataclass(frozen=True)
class Answer:
    """What came of one request. ``status`` 0: nothing within half a minute."""

    route: str
    status: int
    seconds: float


class Classroom:
    """The house, a lab with alice and bob, and prof who teaches it."""

    def __init__(self, house: House) -> None:
        self.house, self.product = house, house.product
        made = self.product.tell(OPEN).split()
        self.names = {"course": made[-2], "lab": made[-1], "busy": house.busy}
        self.people = {"alice": house.alice, "prof": Person(self.product, "prof")}
        self.tokens = {name: person.token("/sandboxes/new/") for name, person in self.people.items()}
        page = house.alice.page("/sandboxes/new/")
        found = re.search(r'name="image" value="([^"]+)"', page)
        assert found
        self.names["image"] = found[1]
        assert wait_until(lambda: len(self.seats()) == 2, 60), self.product.log()[-2000:]
        self.names |= {"seat": self.seats()["alice"][0], "watched": self.seats()["bob"][0]}
        self.bystander = self.seats()["bob"][1]
        self.names |= {"played": house.launch("played"), "worked": house.launch("worked")}
        house.alice.post(f"/sandboxes/{self.names['worked']}/commands/", command="true")
        sql = "SELECT id FROM sandboxes_command WHERE sandbox_id = ?"
        self.names["command"] = str(query(self.product, sql, self.names["worked"])[0][0])

    def seats(self) -> dict[str, tuple[str, str]]:
        """Seat and sandbox by the student's name, of those that are ready."""
        rows = query(
            self.product,
            "SELECT e.name, s.id, s.sandbox_id FROM labs_seat s JOIN labs_enrollment e "
            "ON e.id = s.enrollment_id WHERE s.status = 'ready'",
        )
        return {name: (seat, sandbox) for name, seat, sandbox in rows}

    def made(self) -> str:
        """A sandbox that is there to be removed."""
        rows = query(
            self.product, "SELECT id FROM sandboxes_sandbox WHERE name = 'made' AND status != 'removed'"
        )
        return str(random.choice(rows)[0]) if rows else self.names["played"]

    def ask(self, route: Route) -> Answer:
        """One request, without following where it leads."""
        who, path, data = route
        names = self.names | {"made": self.made() if "{made}" in path else ""}
        sent = None if data is None else {key: value.format(**names) for key, value in data.items()}
        return ask(
            self.product, self.people[who].cookies(), path.format(**names), path, sent, self.tokens[who]
        )


def ask(
    product: Product, cookies: str, path: str, name: str, data: dict[str, str] | None, token: str = ""
) -> Answer:
    headers = {"Cookie": cookies, "X-CSRFToken": token, "Referer": product.url + path}
    body = None if data is None else urlencode(data)
    if body is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", product.port, timeout=30)
    try:
        connection.request("GET" if data is None else "POST", path, body, headers)
        answer = connection.getresponse()
        answer.read()
        return Answer(name, answer.status, time.monotonic() - began)
    except (OSError, http.client.HTTPException):
        return Answer(name, 0, time.monotonic() - began)
    finally:
        connection.close()


@dataclass
class Crowd:
    """Threads that ask all the time: some for everything, one for a file that needs no engine."""

    room: Classroom
    dice: random.Random
    answers: list[Answer] = field(default_factory=list)
    files: list[float] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Crowd:
        seeds = [self.dice.randrange(1 << 30) for _ in range(3)]
        works: list[Any] = [(self._press, [random.Random(seed)]) for seed in seeds] + [(self._fetch, [])]
        self._threads = [threading.Thread(target=work, args=args) for work, args in works]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join(60)

    def _press(self, dice: random.Random) -> None:
        """Every route in an order of one's own, again and again."""
        while not self.over.is_set():
            for route in dice.sample(ROUTES, len(ROUTES)):
                if self.over.wait(0.05):
                    return
                self.answers.append(self.room.ask(route))

    def _fetch(self) -> None:
        while not self.over.wait(0.1):
            self.files.append(ask(self.room.product, "", "/static/css/admin-audit.css", "file", None).seconds)

    def p95(self) -> float:
        return sorted(self.files)[int(len(self.files) * 0.95)]
