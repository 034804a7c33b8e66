"""An engine in front of which every worker stops, so that a test says who goes on, and who dies there.

    turnstile = Turnstile(FakeEngine())
    set_engine(turnstile)
    actions.pause(sandbox, wait=0)          # claimed; its worker stands before the engine's pause
    turnstile.quiet()                       # until all who can move have moved
    turnstile.let_go(0)                     # it is paused; its worker stands behind that, not settled
    turnstile.let_go(0, Died())             # there it dies, as by kill -9

Only worker threads stop, and rounds that were begun in a thread of their own. Whoever calls from the
test itself walks through.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandboxes.lifecycle import work
from sandboxes.lifecycle.transitions import Claim
from tests.fakes.processes import wait_until

WORKERS, ROUNDS = ("actions-", "commands-"), "round-"
STOPS = {"create", "start", "stop", "pause", "resume", "remove", "exec"}
LOOKS = {"list", "inspect"}
"""What a round saw may be old when it goes on: it stops behind these."""


class Died(BaseException):
    """The process is gone here: nothing of ours may catch it and tidy up."""


@dataclass
class Standing:
    """One who stands before or behind a call."""

    call: str
    claim: Claim | None
    marker: str
    end: BaseException | None = None
    gate: threading.Event = field(default_factory=threading.Event)


class Turnstile:
    """See the module. ``fail["stop"] = [error]``: the next call of that name fails."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.fail: dict[str, list[Exception]] = {}
        self.standing: list[Standing] = []
        self.rounds: list[threading.Thread] = []
        self.is_open = False
        self.mine = threading.local()
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.engine, name)
        if name not in STOPS | LOOKS:
            return real

        def call(*args: Any, **options: Any) -> Any:
            marker = str(options.get("marker", ""))
            if name in STOPS:
                self._stand(f"before {name}", marker)
            if self.fail.get(name):
                raise self.fail[name].pop(0)
            result = real(*args, **options)
            self._stand(f"behind {name}", marker)
            return result

        return call

    def _stand(self, call: str, marker: str) -> None:
        who = threading.current_thread().name
        looks = call.rpartition(" ")[2] in LOOKS
        if self.is_open or not who.startswith(ROUNDS if looks else (*WORKERS, ROUNDS)):
            return
        one = Standing(call, getattr(self.mine, "claim", None), marker)
        with self._lock:
            self.standing.append(one)
            self.standing.sort(
                key=lambda each: (each.claim.asked_at.timestamp() if each.claim else 0, each.call)
            )
        assert one.gate.wait(120)
        if one.end is not None:
            raise one.end

    def running(self, real: Callable[[Claim], Any]) -> Callable[[Claim], Any]:
        """For steps.run: notes whose claim a worker has in hand."""

        def run(mine: Claim) -> Any:
            self.mine.claim = mine
            return real(mine)

        return run

    def begin_round(self, fn: Callable[[], Any]) -> None:
        """Let a round of the loop go on by itself, and stop like a worker."""
        name = f"{ROUNDS}{len(self.rounds)}"
        self.rounds.append(threading.Thread(target=fn, name=name, daemon=True))
        self.rounds[-1].start()

    def let_go(self, number: int, end: BaseException | None = None) -> Standing:
        """Let one go on to the next stop, or to its end."""
        with self._lock:
            one = self.standing.pop(number % len(self.standing))
        one.end = end
        one.gate.set()
        return one

    def open(self) -> None:
        """Let all go, and nobody stops any more."""
        self.is_open = True
        while self.standing:
            self.let_go(0)

    def quiet(self) -> None:
        """Wait until whoever is not through stands here."""
        assert wait_until(lambda: self._under_way() == len(self.standing), 60), self.standing

    def _under_way(self) -> int:
        pools = sum(pool._unfinished for pool in list(work._pools.values()))
        return pools + sum(one.is_alive() for one in self.rounds)
