"""Anything that may happen to one or two sandboxes, in any order, with work half done in between.

Rules have no preconditions: what there is to go on with is a matter of threads, and hypothesis has to
draw the same whatever they did. A rule that finds nothing to do does nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sandboxes.engine.base import EngineError, TimedOut, Unreachable
from sandboxes.lifecycle import actions, audit, cleanup, commands, invariants, reconcile, terminals, watch
from sandboxes.models import ENDED, Command, Event, Image, Outcome, Sandbox, Status, Terminal, User
from tests.lifecycle.helpers import ALICE

from .turnstile import Died, Turnstile

ACTS = ("pause", "resume", "stop", "start", "restart", "extend", "remove")
BY_HAND = ("stop", "start", "pause", "resume", "remove")
ERRORS = (EngineError("No."), Unreachable("away"), TimedOut("slow"))
CALLS = ("create", "start", "stop", "pause", "resume", "remove", "inspect", "list", "exec")
DEAD = "a-dead-process"
LIVE = frozenset(Status) - ENDED
BY_ACT = {(source, one.target) for one in actions.TABLE.values() for source in one.sources if one.target}
BY_ENGINE = {(old, new) for old in LIVE - {Status.QUEUED}
             for new in (Status.RUNNING, Status.PAUSED, Status.STOPPED, Status.REMOVED)}  # fmt: skip
UNDONE = {(old, Status.FAILED) for old in LIVE}
LEGAL = BY_ACT | BY_ENGINE | UNDONE
which = st.integers(0, 7)


@dataclass
class Stage:
    """What the machine plays on. ``heard``: the engine's events so far."""

    owner: User
    image: Image
    turnstile: Turnstile
    appointments: list[tuple[Callable[..., Any], tuple[Any, ...]]]
    heard: Callable[[], Sequence[Any]]
    tally: Counter[str] = field(default_factory=Counter)


class Interleaving(RuleBasedStateMachine):
    """One run. ``made`` are the ids of its sandboxes, ``was`` where each was last seen."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage, self.turnstile = stage, stage.turnstile
        self.made: list[str] = []
        self.was: dict[str, Status] = {}
        self.at = len(stage.heard())
        stage.tally["runs"] += 1

    def row(self, number: int) -> Sandbox:
        return Sandbox.objects.select_related("owner", "image").get(pk=self.made[number % len(self.made)])

    # -- what people do -----------------------------------------------------------------------------

    @initialize(count=st.integers(1, 2))
    def begin(self, count: int) -> None:
        for _ in range(count):
            self.born()
        while self.turnstile.standing:
            self.turnstile.let_go(0)
            self.turnstile.quiet()

    def born(self) -> None:
        made = actions.launch(self.stage.owner, self.stage.image, origin=ALICE, memory="32m", pids=64)
        self.made.append(made.pk)
        self.turnstile.quiet()

    @rule()
    def launch(self) -> None:
        if len(self.made) < 3:
            self.born()

    @rule(number=which, action=st.sampled_from(ACTS), twice=st.booleans())
    def act(self, number: int, action: str, twice: bool) -> None:
        for _ in range(1 + twice):
            actions.act(self.row(number), action, ALICE, wait=0)
        self.turnstile.quiet()

    @rule(number=which, action=st.sampled_from(ACTS))
    def act_too(self, number: int, action: str) -> None:
        """The commonest thing that people do is as likely as all they do else."""
        self.act(number, action, False)

    @rule(number=which)
    def run(self, number: int) -> None:
        with suppress(actions.Refused):
            commands.run(self.row(number), "echo a", origin=ALICE, wait=0)
        self.turnstile.quiet()

    @rule(number=which)
    def open_terminal(self, number: int) -> None:
        with suppress(actions.Refused):
            record = terminals.open(self.row(number), f"t{Terminal.objects.count()}", ALICE)
            self.shell(record)

    def shell(self, record: Terminal) -> None:
        """What live.terminal does: its shell, or the end of it."""
        try:
            argv = ["sleep", "600"]
            self.turnstile.engine.exec(record.sandbox.native_id, argv, marker=record.marker)
        except EngineError as error:
            terminals.ended(record, str(error), ALICE, Outcome.FAILED)
            terminals.kill(record)
        else:
            terminals.opened(record, ALICE)

    @rule(dies=st.booleans())
    def close_terminal(self, dies: bool) -> None:
        """By its viewer, or because the web process died."""
        record = Terminal.objects.filter(sandbox__in=self.made, ended_at=None).first()
        if record is not None and dies:
            Terminal.objects.filter(pk=record.pk).update(process=DEAD)
        elif record is not None:
            terminals.ended(record, "closed", ALICE)
            terminals.kill(record)

    # -- what others do -----------------------------------------------------------------------------

    @rule(number=which, verb=st.sampled_from(BY_HAND))
    def by_hand(self, number: int, verb: str) -> None:
        """Somebody at the engine itself, past us."""
        if native_id := self.row(number).native_id:
            with suppress(EngineError):
                getattr(self.turnstile.engine, verb)(native_id)

    @rule(call=st.sampled_from(CALLS), error=st.sampled_from(ERRORS))
    def stumble(self, call: str, error: Exception) -> None:
        self.turnstile.fail[call] = [error]

    @rule(count=st.integers(1, 4), lost=st.booleans())
    def hear(self, count: int, lost: bool) -> None:
        """Take in the engine's next events, or miss them."""
        events = self.stage.heard()[self.at : self.at + count]
        self.at += len(events)
        for event in () if lost else events:
            watch.handle(event)
        self.turnstile.quiet()

    @rule(number=which)
    def come_due(self, number: int) -> None:
        if self.stage.appointments:
            self.due(number)

    # -- who goes on, and who does not ----------------------------------------------------------------

    @rule(number=which)
    def go_on(self, number: int) -> None:
        if self.turnstile.standing:
            self.stage.tally[self.turnstile.let_go(number).call] += 1
            self.turnstile.quiet()

    @rule(number=which)
    def go_on_too(self, number: int) -> None:
        self.go_on(number)

    @rule(number=which)
    def die(self, number: int) -> None:
        """The process of one who stands there is killed, and known to be dead."""
        able = [at for at, one in enumerate(self.turnstile.standing) if one.claim or one.marker]
        if not able:
            return
        one = self.turnstile.let_go(able[number % len(able)], Died())
        self.turnstile.quiet()
        if one.marker:
            Command.objects.filter(marker=one.marker).update(process=DEAD)
        elif one.claim is not None:
            Sandbox.objects.filter(claim=one.claim.token).update(claimed_by=DEAD)
        self.stage.tally["deaths"] += 1

    # -- the clock ------------------------------------------------------------------------------------

    @rule(late=st.booleans())
    def round(self, late: bool) -> None:
        self.one_round(late)
        self.turnstile.quiet()

    @rule(late=st.booleans())
    def round_beside(self, late: bool) -> None:
        """One that stops half way, beside others."""
        if sum(one.is_alive() for one in self.turnstile.rounds) > 1:
            return

        def go() -> None:
            try:
                self.one_round(late)
            finally:
                connection.close()

        self.turnstile.begin_round(go)
        self.turnstile.quiet()

    @staticmethod
    def one_round(late: bool, patience: float = 0) -> cleanup.Report:
        now = timezone.now() + timedelta(days=2 if late else 0)
        return cleanup.run_round(now, patience=patience)

    @rule()
    def reconcile(self) -> None:
        with suppress(EngineError):
            reconcile.reconcile(self.turnstile.engine.list(), timezone.now())

    # -- what must be so ------------------------------------------------------------------------------

    @invariant()
    def legal(self) -> None:
        """Each is where it may be, coming from where it was; removed is for ever."""
        most = timezone.now() + timedelta(hours=8, minutes=1)
        for row in Sandbox.objects.filter(pk__in=self.made):
            old, self.was[row.pk] = self.was.get(row.pk, Status.QUEUED), Status(row.status)
            assert old == row.status or (old, row.status) in two_steps(old), (old, row.status)
            assert bool(row.pending) == bool(row.claim) == bool(row.claimed_by) == bool(row.pending_since)
            assert row.pending == "" or row.pending in actions.TABLE
            assert not (row.status in ENDED and row.pending), row.pending
            assert row.expires_at is not None
            assert row.expires_at <= most
        self.stage.tally["steps"] += 1

    def teardown(self) -> None:
        """All half done work goes on, a round or two, and then nothing may be wrong."""
        self.turnstile.open()
        self.turnstile.quiet()
        try:
            self.put_right()
            self.all_is_well()
            self.all_is_answered()
        finally:
            self.clear()
            self.turnstile.is_open = False
            self.turnstile.rounds.clear()

    def put_right(self) -> None:
        self.turnstile.fail.clear()
        for event in self.stage.heard()[self.at :]:
            watch.handle(event)
        while self.stage.appointments:
            self.due()
        Command.objects.filter(sandbox__in=self.made, status="running").update(process=DEAD)
        Terminal.objects.filter(sandbox__in=self.made, ended_at=None).update(process=DEAD)
        self.rounds(2)

    def rounds(self, count: int) -> None:
        for _ in range(count):
            cleanup._tries = cleanup.Tries()
            report = self.one_round(late=False, patience=60)
            assert report.error == ""
            self.turnstile.quiet()

    def due(self, number: int = 0) -> None:
        fn, args = self.stage.appointments.pop(number % len(self.stage.appointments))
        fn(*args)
        self.turnstile.quiet()

    def all_is_well(self) -> None:
        self.legal()
        rows = Sandbox.objects.filter(pk__in=self.made)
        assert not rows.exclude(pending="").exists(), list(rows.values_list("pk", "status", "pending"))
        found = invariants.breaches(0.05)
        assert found == [], "\n".join([*map(str, found), *self.story()])

    def all_is_answered(self) -> None:
        """Each request has one outcome. What a paused sandbox keeps waiting has it once it is resumed."""
        for row in Sandbox.objects.filter(pk__in=self.made, status=Status.PAUSED):
            assert actions.resume(row, by=ALICE, wait=60).done
        self.rounds(1)
        for operation, outcomes in self.answers().items():
            assert outcomes == Counter(asked=1, ended=1), "\n".join([operation, *self.story()])
        assert max(Counter(self.removals()).values(), default=0) <= 1

    def answers(self) -> dict[str, Counter[str]]:
        rows = Event.objects.filter(sandbox_id__in=self.made).exclude(operation="")
        found: dict[str, Counter[str]] = {}
        for operation, outcome in rows.values_list("operation", "outcome"):
            word = "asked" if outcome == Outcome.REQUESTED else "ended"
            found.setdefault(operation, Counter())[word] += 1
        return found

    def removals(self) -> list[str]:
        rows = Event.objects.filter(sandbox_id__in=self.made, outcome=Outcome.OK)
        return list(rows.filter(action__in=("sandbox.remove", "engine.remove"))
                    .values_list("sandbox_id", flat=True))  # fmt: skip

    def story(self) -> list[str]:
        rows = Event.objects.filter(sandbox_id__in=self.made).order_by("id")
        return [
            str(one) for one in rows.values_list("sandbox_id", "action", "outcome", "reason", "operation")
        ]

    def clear(self) -> None:
        for row in Sandbox.objects.filter(pk__in=self.made).exclude(status__in=ENDED):
            actions.remove(row, by=audit.SYSTEM, wait=60)
        left = [self.turnstile.engine.remove(one.native_id) for one in self.turnstile.engine.list()]
        Sandbox.objects.filter(pk__in=self.made).update(status=Status.REMOVED, pending="")
        assert left == []


def two_steps(old: Status) -> set[tuple[Status, Status]]:
    """Where it may be after one step of the test, in which up to three things may have ended."""
    reach = {old}
    for _ in range(3):
        reach |= {new for begun, new in LEGAL if begun in reach}
    return {(old, new) for new in reach}
