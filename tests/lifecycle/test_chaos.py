"""Everybody at once on one sandbox, the engine stumbling: afterwards what we remember is what is."""

import random
import threading
import time

import pytest
from django.db import connection

from sandboxes.engine.base import EngineError, TimedOut, Unreachable
from sandboxes.lifecycle import actions, audit, cleanup, commands, invariants, watch
from sandboxes.models import Command, Sandbox, Status
from tests.fakes.processes import wait_until
from tests.lifecycle.helpers import answered, container_status

pytestmark = pytest.mark.django_db(transaction=True)
ERRORS = [EngineError("No."), Unreachable("away"), TimedOut("slow")]
TRUTH = {Status.RUNNING: "running", Status.PAUSED: "paused", Status.STOPPED: "exited"}


class Crowd:
    """People who click, somebody at the engine, and its events taken in, all at the same time."""

    def __init__(self, engine, sandbox, seed):
        self.engine, self.pk = engine, sandbox.pk
        self.dice = random.Random(seed)
        self.over = threading.Event()
        self.faults = []

    def run(self, seconds):
        dice = [random.Random(self.dice.random()) for _ in range(4)]
        jobs = [(self.click, dice[0]), (self.click, dice[1]), (self.click, dice[2]), (self.meddle, dice[3])]
        threads = [threading.Thread(target=self.keep, args=job) for job in jobs]
        threads.append(threading.Thread(target=self.listen))
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self.over.set()
        for thread in threads:
            thread.join(10)
        assert not self.faults

    def keep(self, do, dice):
        while not self.over.is_set():
            try:
                do(dice)
            except Exception as error:
                self.faults.append(error)
            time.sleep(dice.random() * 0.02)
        connection.close()

    def click(self, dice):
        sandbox = Sandbox.objects.get(pk=self.pk)
        origin = audit.Origin("user", name=f"user{dice.randrange(3)}")
        word = dice.choice(
            ["start", "pause", "resume", "stop", "restart", "extend", "run", "stumble", "remove?"]
        )
        if word == "run":
            try:
                commands.run(sandbox, "echo a", origin=origin, wait=0)
            except actions.Refused:
                return
        elif word == "stumble":
            call = dice.choice(["pause", "start", "stop", "resume", "inspect"])
            self.engine.fail[call] = [dice.choice(ERRORS)]
        elif word == "remove?":
            if dice.random() < 0.02:
                actions.remove(sandbox, by=origin, wait=0)
        else:
            actions.act(sandbox, word, origin, wait=dice.choice([0, 0.01]))

    def meddle(self, dice):
        native_id = Sandbox.objects.get(pk=self.pk).native_id
        word = dice.choice(["pause", "resume", "stop", "start", "wait", "wait"])
        if word != "wait":
            try:
                getattr(self.engine, word)(native_id)
            except EngineError:
                return

    def listen(self):
        for event in self.engine.events(0, self.over.is_set):
            watch.handle(event)
        connection.close()


@pytest.mark.parametrize("seed", range(6))
def test_after_any_crowd_one_round_makes_it_true(pool, running, engine, seed):
    engine.delay |= {"pause": 0.002, "stop": 0.004, "start": 0.004, "resume": 0.002}
    Crowd(engine, running, seed).run(1.0)
    engine.fail.clear()
    assert wait_until(lambda: Sandbox.objects.get(pk=running.pk).pending == "")
    assert wait_until(lambda: not Command.objects.filter(status="running").exists())
    assert cleanup.run_round().error == ""
    running.refresh_from_db()
    assert running.pending == ""
    if running.status == Status.FAILED:
        assert container_status(engine, running) in ("exited", None)
    else:
        assert container_status(engine, running) == TRUTH.get(Status(running.status))
    assert answered(running)
    assert invariants.breaches(0.01) == []
