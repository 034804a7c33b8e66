"""Any order of everything that can happen to a sandbox: always a legal place, in the end no breach."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, Phase, seed
from hypothesis import settings as given_settings
from hypothesis.stateful import run_state_machine_as_test

from sandboxes.engine import set_engine
from sandboxes.engine.base import ContainerSpec
from sandboxes.lifecycle import cleanup, invariants, steps, work
from sandboxes.models import Event, Image, Outcome, Sandbox, Status, User
from tests.fakes.engine import STARTER, FakeEngine
from tests.fakes.processes import wait_until

from .conftest import FULL, SEED
from .interleaving import Interleaving, Stage
from .turnstile import Turnstile

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def scene(
    pool: None,
    alice: User,
    image: Image,
    engine: Any,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Stage:
    """Nothing comes by itself: events, appointments and workers wait for the test."""
    settings.SANDBOX_QUOTA_SANDBOXES = 10_000
    settings.SANDBOX_WORKERS = settings.SANDBOX_COMMAND_WORKERS = 200  # nobody waits for a thread
    settings.SANDBOX_COMMANDS = settings.SANDBOX_USER_COMMANDS = 20
    settings.SANDBOX_ORPHAN_GRACE = settings.SANDBOX_STOP_GRACE = 0
    turnstile = Turnstile(engine)
    set_engine(turnstile)  # type: ignore[arg-type]
    made = Stage(alice, image, turnstile, [], lambda: getattr(engine, "happened", ()))
    monkeypatch.setattr(steps, "run", turnstile.running(steps.run))
    monkeypatch.setattr(work, "later", lambda seconds, fn, *args: appointed(made, fn, args))
    monkeypatch.setattr(cleanup, "_looking", cleanup.Every(1e9))
    cleanup._looking.is_due()
    caplog.set_level(logging.CRITICAL)  # deaths are no news here
    return made


def appointed(stage: Stage, fn: Callable[..., Any], args: tuple[Any, ...]) -> work.Appointment:
    made = work.Appointment(fn, args)
    stage.appointments.append((lambda: None if made.is_cancelled else fn(*args), ()))
    return made


def play(stage: Stage, runs: int, steps: int) -> None:
    """So many runs; the short form is the same each time."""
    options = given_settings(
        max_examples=runs, stateful_step_count=steps, deadline=None, database=None, print_blob=False,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    )  # fmt: skip
    factory = seed(SEED if FULL else 7)(lambda: Interleaving(stage))
    run_state_machine_as_test(factory, settings=options)


def tell(stage: Stage, told: Callable[..., None]) -> None:
    tally = stage.tally
    acts = Event.objects.filter(outcome=Outcome.REQUESTED).count()
    told(runs=tally["runs"], steps=tally["steps"], requests=acts, deaths=tally["deaths"],
         went_on=sum(count for word, count in tally.items() if " " in word), breaches=0)  # fmt: skip


def test_any_order_on_the_engine_in_memory(scene: Stage, scale: Any, told: Any) -> None:
    assert isinstance(scene.turnstile.engine, FakeEngine)
    play(scene, scale(6, 300), scale(25, 50))
    tell(scene, told)


@pytest.mark.engine
def test_any_order_on_the_real_engine(scene: Stage, scale: Any, told: Any) -> None:
    play(scene, scale(2, 30), scale(15, 50))
    tell(scene, told)


# -- two loops at once ----------------------------------------------------------------------------


def test_two_loops_remove_nothing_twice(
    pool: None, launch: Callable[..., Sandbox], engine: Any, settings: Any, scale: Any, told: Any
) -> None:
    """Neither has the role to itself here: both do every round, over the same rows at the same time."""
    User.objects.update(quota_sandboxes=10_000)
    settings.SANDBOX_QUOTA_SANDBOXES, settings.SANDBOX_ORPHAN_GRACE = 10_000, 0
    over, faults, rounds = threading.Event(), list[str](), Counter[str]()
    loops = [
        threading.Thread(target=go_round, args=(over, faults, rounds, name), daemon=True) for name in "ab"
    ]
    for loop in loops:
        loop.start()
    made = scale(30, 2000)
    rows = Sandbox.objects.exclude(status=Status.REMOVED)
    try:
        for number in range(made):
            launch(memory="32m", lifetime=1)
            engine.create(ContainerSpec(f"sb_orphan{number}", STARTER, 32 << 20, 1, 64))
        assert wait_until(lambda: not rows.exists(), 120), list(rows.values_list("status", "pending"))
        assert wait_until(lambda: not engine.containers, 120)
    finally:
        over.set()
        for loop in loops:
            loop.join(60)
    assert faults == []
    told(sandboxes=made, rounds=sum(rounds.values()), removed_twice=twice(), breaches=0)
    assert twice() == 0
    assert min(rounds.values()) > 3
    assert invariants.breaches(0.05) == []


def go_round(over: threading.Event, faults: list[str], rounds: Counter[str], name: str) -> None:
    while not over.is_set():
        report = cleanup.run_round(patience=5)
        rounds[name] += 1
        faults += [report.error] if report.error else []
        time.sleep(0.05)
    connection.close()


def twice() -> int:
    """How many sandboxes and orphans were removed, or asked to be, more than once on record."""
    rows = Event.objects.filter(action__in=("sandbox.remove", "engine.remove"))
    by_outcome = Counter(rows.values_list("sandbox_id", "outcome"))
    orphans = Event.objects.filter(action="cleanup.orphan").values_list("detail__container", flat=True)
    return sum(count > 1 for count in (*by_outcome.values(), *Counter(orphans).values()))
