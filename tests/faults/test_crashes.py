"""Processes that die for real, at named points and at any moment: one round later nothing is wrong."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest

from sandboxes.lifecycle import cleanup, invariants
from sandboxes.models import Command, CommandStatus, Event, Outcome, Sandbox, Status, Terminal
from tests.fakes.processes import wait_until

from .conftest import leases_over
from .zygote import DIED, POINTS

pytestmark = [pytest.mark.engine, pytest.mark.django_db(transaction=True)]
LEADS_TO = {"launch": Status.RUNNING, "stop": Status.STOPPED, "restart": Status.RUNNING,
            "pause": Status.PAUSED, "remove": Status.REMOVED, "command": Status.RUNNING,
            "terminal": Status.RUNNING}  # fmt: skip


def at_rest(sandbox: Sandbox) -> bool:
    sandbox.refresh_from_db()
    return sandbox.status == Status.RUNNING and not sandbox.pending


def put_right() -> None:
    """One round of the loop, once the dead are known to be dead."""
    leases_over()
    report = cleanup.run_round(patience=60)
    assert report.error == ""
    found = invariants.breaches(0.1)
    assert found == [], "\n".join([str(report.counts), *map(story, found)])


def story(breach: invariants.Breach) -> str:
    """What went before it, for whoever has to find out why."""
    rows = Event.objects.filter(sandbox_id=breach.about).order_by("id")
    row = Sandbox.objects.filter(pk=breach.about).values().first()
    lines = rows.values_list("at", "action", "outcome", "reason", "operation", "detail")
    return "\n".join([str(breach), str(row), *map(str, lines)])


def test_at_every_named_point(
    pool: None, launch: Any, zygotes: Any, engine: Any, scale: Any, told: Any
) -> None:
    zygote, died = zygotes(), 0
    for _ in range(scale(1, 20)):
        died += len(die_everywhere(zygote, launch))
        for sandbox in Sandbox.objects.exclude(status=Status.REMOVED):
            engine.remove(sandbox.native_id)
        Sandbox.objects.exclude(status=Status.REMOVED).update(status=Status.REMOVED)
    told(points=len(POINTS), deaths=died, breaches=0)


def die_everywhere(zygote: Any, launch: Any) -> list[str]:
    """Die once at each point, all before anything is put right; gives the points."""
    needy = {point: deed for point, (deed, *_) in POINTS.items() if deed != "launch"}
    has = {point: launch(memory="32m", pids=64) for point in needy}
    assert all(wait_until(lambda one=one: at_rest(one), 60) for one in has.values())  # type: ignore[misc]
    for point, (deed, *_) in POINTS.items():
        before = set(Sandbox.objects.values_list("pk", flat=True))
        zygote.begin(deed=deed, point=point, id=has[point].pk if point in has else "")
        assert zygote.ended() == DIED, f"it did not come to its point: {point}"
        if point not in has:
            has[point] = Sandbox.objects.exclude(pk__in=before).get()
    put_right()
    for point, sandbox in has.items():
        sandbox.refresh_from_db()
        assert (sandbox.status, sandbox.pending) == (LEADS_TO[POINTS[point][0]], ""), point
    assert set(Command.objects.values_list("status", flat=True)) == {CommandStatus.FAILED}
    assert not Terminal.objects.filter(reaped_at=None).exists()
    return list(has)


def test_at_any_moment(
    pool: None, image: Any, alice: Any, zygotes: Any, dice: Any, scale: Any, told: Any
) -> None:
    """Several busy processes at a time, each killed when it likes; every other time a loop is among them."""
    crew, kills, loops = [zygotes() for _ in range(scale(3, 4))], 0, 0
    while kills < scale(6, 300) or asked() < scale(6, 2000) or not (loops and all_kinds()):
        deeds = ["busy"] * len(crew)
        if kills // len(crew) % 2:
            deeds[0] = "loop"
        kill_all(crew, deeds, dice)
        kills, loops = kills + len(crew), loops + deeds.count("loop")
        put_right()
    told(kills=kills, of_loops=loops, operations=asked(), commands=Command.objects.count(),
         terminals=Terminal.objects.count(), breaches=0)  # fmt: skip


def all_kinds() -> bool:
    """Whether commands and shells were among what was cut short."""
    return Command.objects.exists() and Terminal.objects.exists()


def kill_all(crew: list[Any], deeds: list[str], dice: Any) -> None:
    """Let each have a child of that deed for up to two seconds."""
    born = time.monotonic()
    fates = sorted((dice.uniform(0.2, 2), number) for number in range(len(crew)))
    children = [one.begin(deed=deed, seed=dice.randrange(1 << 30))
                for one, deed in zip(crew, deeds, strict=True)]  # fmt: skip
    for moment, number in fates:
        time.sleep(max(born + moment - time.monotonic(), 0))
        os.kill(children[number], signal.SIGKILL)
        assert crew[number].ended() == -signal.SIGKILL


def asked() -> int:
    """How many operations were begun."""
    return Event.objects.filter(outcome=Outcome.REQUESTED).count()
