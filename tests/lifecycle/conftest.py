"""The real engine under a label of this test run, with its events taken in as in production."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection

from sandboxes.engine import set_engine
from sandboxes.engine.base import EngineError
from sandboxes.engine.docker_engine import DockerEngine
from sandboxes.lifecycle import cleanup, commands, guard, watch, work
from sandboxes.models import Command, Sandbox, User
from tests import recording
from tests.fakes.engine import STARTER, FakeEngine
from tests.lifecycle.helpers import ALICE

INSTALL = f"test-{secrets.token_hex(4)}"


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerEngine]:
    """The engine; swept clean of this run's containers at the end."""
    made = DockerEngine(INSTALL, network=INSTALL)
    try:
        made.ping()
        made.build_starter(STARTER)
    except EngineError as error:
        _refuse(f"no usable Docker Engine: {error} ({error.detail})")
    yield made
    _sweep(made)
    made.close()


def _refuse(reason: str) -> None:
    """Skip on a developer's machine; in CI nothing may be skipped."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _sweep(engine: DockerEngine) -> None:
    for one in engine.list():
        engine.remove(one.native_id)
    recording.put_away(INSTALL)


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The engine in memory, or the real one for tests that are marked so."""
    is_real = request.node.get_closest_marker("engine") is not None
    made: Any = request.getfixturevalue("docker_engine") if is_real else FakeEngine()
    set_engine(made)
    yield made
    if is_real:
        _sweep(made)


@pytest.fixture
def events(docker_engine: DockerEngine, pool: None) -> Iterator[None]:
    """Takes in the engine's events as they come."""
    stop = threading.Event()

    def listen() -> None:
        for event in docker_engine.events(time.time(), stop.is_set):
            watch.handle(event)
        connection.close()

    thread = threading.Thread(target=listen)
    thread.start()
    time.sleep(0.2)
    yield
    stop.set()
    thread.join(10)
    work.drain(10)


@pytest.fixture
def run(running: Sandbox, alice: User) -> Callable[..., Command]:
    """``run("echo a", time_limit=1)``: alice runs a command in her sandbox."""

    def run(given: Any, **options: Any) -> Command:
        return commands.run(running, given, origin=ALICE, user=alice, **options)

    return run


@pytest.fixture
def by_hand(docker_engine: DockerEngine) -> Callable[..., Any]:
    """``by_hand("pause", sandbox)``: what somebody does with the engine's own tools."""

    def do(verb: str, sandbox: Any, **options: Any) -> Any:
        with recording.by_hand() as api:
            return getattr(api, verb)(sandbox.native_id, **options)

    return do


@pytest.fixture(autouse=True)
def fresh_clockwork(monkeypatch: pytest.MonkeyPatch) -> None:
    """No memory of former tests' failures; all is due but the look at the network, a container's work."""
    never = cleanup.Every(1e9)
    never.is_due()
    monkeypatch.setattr(cleanup, "_tries", cleanup.Tries())
    monkeypatch.setattr(cleanup, "_looking", cleanup.Every(0))
    monkeypatch.setattr(guard, "_quiet", never)
    monkeypatch.setattr(cleanup, "_engine", {})
    monkeypatch.setattr(cleanup, "_idling", cleanup.Every(0))
    monkeypatch.setattr(cleanup, "_pruning", cleanup.Every(0))
