"""Twenty people at work at once, each of whom writes down what they did and what has to stand on record."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connections
from django.test import Client

from sandboxes.models import Image, Sandbox, User

PASSWORD = "correct horse battery"
AT_ONCE = threading.Semaphore(4)
"""Requests in flight: SQLite lets its writers in one by one, and is not fair to those who wait."""
Line = tuple[str, str, str, str]
"""Who, the action, its outcome, and the request's id."""
MOVES: dict[str, dict[str, tuple[str, tuple[str, ...]]]] = {
    "running": {"pause": ("paused", ("requested", "ok")), "stop": ("stopped", ("requested", "ok")),
                "restart": ("running", ("requested", "ok")), "start": ("running", ())},
    "paused": {"resume": ("running", ("requested", "ok")), "stop": ("stopped", ("requested", "ok")),
               "start": ("paused", ("refused",))},
    "stopped": {"start": ("running", ("requested", "ok")), "resume": ("stopped", ("refused",)),
                "pause": ("stopped", ("refused",)), "stop": ("stopped", ())},
}  # fmt: skip
"""From a status, by an act: the status then, and the outcomes that go on record. Once more is no act."""


class Person:
    """One of them: a browser, a sandbox, and a log of their own."""

    def __init__(self, user: User, image: Image, others: list[str]) -> None:
        self.user, self.image, self.others = user, image, others
        self.random = random.Random(user.username)
        self.client = Client()
        self.log: list[Line] = []
        self.done = 0
        self.sandbox, self.status = "", "gone"

    def work(self, count: int) -> None:
        """Sign in, do so many things, sign out."""
        try:
            self.sign_in()
            while self.done < count - 1:
                self.once()
            self.sign_out()
        finally:
            connections.close_all()

    def once(self) -> None:
        """One thing, whatever comes to mind."""
        if self.status == "gone":
            return self.launch()
        ways: list[Callable[[], None]] = [
            *(6 * [self.move]), *(3 * [self.run]), self.extend, self.profile, self.peep, self.press_theirs,
            self.empty_command,
        ]  # fmt: skip
        if self.done % 60 == 59:
            ways = [self.remove]
        if self.done % 80 == 79:
            ways = [self.sign_out_and_in]
        self.random.choice(ways)()
        return None

    # -- what they do -----------------------------------------------------------------------------

    def post(self, path: str, *expected: tuple[str, str], **data: Any) -> Any:
        """Press a button; write down what has to be on record because of it."""
        with AT_ONCE:
            answer = self.client.post(path, data)
        return self.noted(answer, *expected)

    def noted(self, answer: Any, *expected: tuple[str, str]) -> Any:
        assert answer.status_code < 500
        number = answer.headers["X-Request-ID"]
        self.log += [(self.user.username, action, outcome, number) for action, outcome in expected]
        self.done += 1
        return answer

    def sign_in(self) -> None:
        self.post("/sign-in/", ("user.sign_in", "ok"), username=self.user.username, password=PASSWORD)

    def sign_out(self) -> None:
        self.post("/sign-out/", ("user.sign_out", "ok"))

    def sign_out_and_in(self) -> None:
        self.sign_out()
        self.post("/sign-in/", ("user.sign_in", "refused"), username=self.user.username, password="guess")
        self.sign_in()

    def launch(self) -> None:
        both = [("sandbox.launch", "requested"), ("sandbox.launch", "ok")]
        answer = self.post("/sandboxes/new/", *both, image=self.image.pk, name="work", memory="32m")
        self.sandbox, self.status = answer.headers["Location"].rstrip("/").rpartition("/")[2], "running"

    def move(self) -> None:
        act = self.random.choice(list(MOVES[self.status]))
        self.status, outcomes = MOVES[self.status][act]
        self.post(f"/sandboxes/{self.sandbox}/{act}/", *[(f"sandbox.{act}", one) for one in outcomes])

    def extend(self) -> None:
        """The lifetime is an hour of eight at most: sixteen half hours later it is as long as can be."""
        end = Sandbox.objects.values_list("expires_at", flat=True).get(pk=self.sandbox)
        answer = self.post(f"/sandboxes/{self.sandbox}/extend/")
        if Sandbox.objects.values_list("expires_at", flat=True).get(pk=self.sandbox) != end:
            self.log.append((self.user.username, "sandbox.extend", "ok", answer.headers["X-Request-ID"]))

    def remove(self) -> None:
        self.status = "gone"
        both = [("sandbox.remove", "requested"), ("sandbox.remove", "ok")]
        self.post(f"/sandboxes/{self.sandbox}/remove/", *both)

    def run(self) -> None:
        outcomes = ("requested", "ok") if self.status == "running" else ("refused",)
        self.post(f"/sandboxes/{self.sandbox}/commands/", *[("command.run", one) for one in outcomes],
                  command=f"echo {self.done}")  # fmt: skip

    def empty_command(self) -> None:
        self.post(f"/sandboxes/{self.sandbox}/commands/", ("command.run", "refused"), command=" ")

    def profile(self) -> None:
        self.post("/profile/", ("user.profile", "ok"), form="about", first_name=f"Number {self.done}")

    def peep(self) -> None:
        """Somebody else's page: as if missing, and on record."""
        other = self.random.choice(self.others)
        with AT_ONCE:
            answer = self.client.get(f"/sandboxes/{other}/")
        self.noted(answer, ("sandbox.view", "refused"))

    def press_theirs(self) -> None:
        other = self.random.choice(self.others)
        self.post(f"/sandboxes/{other}/pause/", ("sandbox.pause", "refused"))


def drive(people: list[Person], each: int) -> Counter[Line]:
    """Let them all work at once; what they wrote down."""
    start = threading.Barrier(len(people))

    def go(one: Person) -> None:
        start.wait()
        one.work(each)

    with ThreadPoolExecutor(len(people)) as pool:
        for job in [pool.submit(go, one) for one in people]:
            job.result()
    return Counter(line for one in people for line in one.log)
