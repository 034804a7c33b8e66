"""Sandboxes of one person in a running product, one of each kind of rest, with work under way in one."""

from __future__ import annotations

from bench.person import Person
from tests.browser.product import Product
from tests.fakes.processes import wait_until

from .site import Shell, act, settled, statuses

LEFT = "54321"
"""Marks what a shell or a command has begun."""


class House:
    """Three sandboxes, one of each kind of rest, and a shell and a command at work in the first."""

    def __init__(self, product: Product) -> None:
        self.product, self.alice = product, Person(product)
        self.busy, self.paused, self.stopped = map(self.launch, ("busy", "paused", "stopped"))
        self.arrange()
        act(self.alice, self.stopped, "stop")
        settled(product, {self.stopped: "stopped"}, 60)

    def launch(self, name: str) -> str:
        """One more that runs, by its record too."""
        pk = self.alice.launch(name)
        settled(self.product, {pk: "running"}, 60)
        return pk

    def arrange(self) -> None:
        """As it was before the last fault."""
        down = [pk for pk in (self.busy, self.paused) if statuses(self.product)[pk] == "stopped"]
        for pk in down:
            act(self.alice, pk, "start")
        settled(self.product, dict.fromkeys([self.busy, *down], "running"), 60)
        if statuses(self.product)[self.paused] == "running":
            act(self.alice, self.paused, "pause")
        settled(self.product, {self.paused: "paused"}, 60)

    def work(self) -> Shell:
        """A shell with something behind it, and a command."""
        self.alice.post(f"/sandboxes/{self.busy}/commands/", command=f"sleep {LEFT}1")
        shell = Shell(self.alice, self.busy)
        shell.type(f"sleep {LEFT} &\n")
        assert wait_until(lambda: self.left() == 2, 20), self.product.processes(self.busy)
        return shell

    def left(self) -> int:
        """How much of what shells and commands have begun is there."""
        return self.product.processes(self.busy).count(f"sleep {LEFT}")
