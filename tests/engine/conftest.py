"""The real engine, the one in memory, and sandboxes on either that never outlive their test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from sandboxes.engine.base import Engine, EngineError
from sandboxes.engine.docker_engine import DockerEngine
from tests.engine.helpers import INSTALL, Sandboxes
from tests.fakes.engine import STARTER, FakeEngine
from tests.recording import put_away


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerEngine]:
    """The real engine under a label of this test run, which is swept clean at the end."""
    made = DockerEngine(INSTALL, network=INSTALL)
    try:
        made.ping()
        made.build_starter(STARTER)
    except EngineError as error:
        refuse(f"no usable Docker Engine: {error} ({error.detail})")
    try:
        yield made
    finally:
        sweep(made)
        made.close()


def refuse(reason: str) -> None:
    """Skip on a developer's machine; in CI nothing may be skipped."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def sweep(engine: DockerEngine) -> None:
    """Remove every container and network with this run's label."""
    for one in engine.list():
        engine.remove(one.native_id)
    put_away(INSTALL)


@pytest.fixture(params=["fake", pytest.param("docker", marks=pytest.mark.engine)])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each Engine there is: what is asked of this fixture is the contract."""
    if request.param == "fake":
        return FakeEngine()
    real: Engine = request.getfixturevalue("docker_engine")
    return real


@pytest.fixture
def sandboxes(engine: Engine) -> Iterator[Sandboxes]:
    yield from kept(engine)


@pytest.fixture
def real(docker_engine: DockerEngine) -> Iterator[Sandboxes]:
    """Sandboxes on the real engine only."""
    yield from kept(docker_engine)


def kept(engine: Any) -> Iterator[Sandboxes]:
    made = Sandboxes(engine, [])
    yield made
    made.clear()
