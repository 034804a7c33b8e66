"""The cast and the stage: alice owns, bob is a stranger, prof is staff, root audits.

Unless a test asks for ``pool``, engine work is done in the caller; unless it is marked ``engine``,
the engine is the one in memory.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import TransactionTestCase
from hypothesis import HealthCheck
from hypothesis import settings as given_settings

from sandboxes.engine import set_engine
from sandboxes.lifecycle import actions, audit, event_words, expiry, process, reconcile, refusals, work
from sandboxes.models import Event, Image, Sandbox, Status, User
from tests import recording
from tests.emptying import empty
from tests.fakes.engine import STARTER, FakeEngine
from tests.fakes.processes import wait_until
from tests.faults import calls

# a machine shared with others makes any example slow; what an example finds is not a matter of time
given_settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
given_settings.load_profile("shared")
LAUNCHER = audit.Origin("user", name="alice")
SLOW = (
    "faults/", "gates/", "ground/", "live/", "engine/test_engine_away", "trail/test_many_acts",
    "lifecycle/test_asking", "lifecycle/test_chaos", "lifecycle/test_claims", "lifecycle/test_doubt",
    "labs/test_broadcast", "labs/test_closing_", "labs/test_joining_crowd", "labs/test_last_minutes",
    "labs/test_looking", "labs/test_room", "labs/test_taken_out", "labs/test_wall", "labs/test_wave",
)  # fmt: skip
"""Folders and files whose tests wait for time to pass, make a crowd or go over every page there is."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long by its nature is left out of `make fast`."""
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).as_posix().startswith(SLOW):
            item.add_marker(pytest.mark.slow)


def pytest_configure() -> None:
    """Tests side by side on one Redis must not hear each other."""
    layer = settings.CHANNEL_LAYERS["default"].get("CONFIG", {})
    if "prefix" in layer:
        layer["prefix"] += os.environ.get("PYTEST_XDIST_WORKER", "")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Whatever engine of this process is the machine's, what is asked of it is written down."""
    marks = {mark.name for item in session.items for mark in item.iter_markers()}
    if marks & {"engine", "browser"}:
        recording.begin()


@pytest.fixture(autouse=True)
def asked_of_the_engine() -> Iterator[None]:
    """Of a real engine the product asks what is on the closed list, and each container is the profile's."""
    yield
    assert calls.strange(recording.take()) == []


@pytest.fixture(autouse=True, scope="session")
def nothing_is_left() -> Iterator[None]:
    """The last to end: what tests made on the machine's engine is gone."""
    yield
    assert recording.left() == []


@pytest.fixture(autouse=True, scope="session")
def emptied() -> Iterator[None]:
    """After a test with transactions of its own, the database is emptied our way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", empty)
        yield


@pytest.fixture(autouse=True)
def known_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing goes on record whose action has no word: pages could not tell it."""
    real = Event.save

    def save(self: Event, *args: Any, **options: Any) -> None:
        assert self.action in event_words.words(), f"There is no word for {self.action}."
        real(self, *args, **options)

    monkeypatch.setattr(Event, "save", save)


@pytest.fixture(autouse=True)
def stage(
    settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """No threads, no engine left over, no lease renewed and no connection kept after its test.

    Files go into a folder of its own: what is swept up there must not be somebody's install.
    """
    settings.DATA_DIR = tmp_path_factory.mktemp("data")
    monkeypatch.setattr(work, "CONNECTION_IDLE", 0.02)
    monkeypatch.setattr(refusals, "bound", refusals.Bound())
    for one in (expiry.doubt, reconcile.losing):  # believe at once that many are over
        monkeypatch.setattr(one, "again", 0)
        monkeypatch.setattr(one, "_seen", {})
        monkeypatch.setattr(one, "held", "")
    settings.SANDBOX_WORKERS = 0
    settings.SANDBOX_COMMAND_WORKERS = 0
    settings.SANDBOX_STARTER = STARTER
    settings.SANDBOX_ACCEPT_UNGUARDED_NETWORK = False
    settings.SANDBOX_MEMORY_SHARE = settings.SANDBOX_QUOTA_CREATES = 0
    settings.SANDBOX_QUOTA_DISK = settings.SANDBOX_QUOTA_TERMINALS = 0
    settings.SANDBOX_AUDIT_HEAD_FILE = ""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick to make
    set_engine(None)
    yield
    process.let_lapse()
    set_engine(None)


@pytest.fixture
def engine() -> FakeEngine:
    """The engine in memory, as the process-wide one."""
    fake = FakeEngine()
    set_engine(fake)
    return fake


@pytest.fixture
def pool(transactional_db: None, settings: Any, engine: Any) -> Iterator[None]:
    """Engine work in threads, as in production; over before the database is cleared."""
    settings.SANDBOX_WORKERS = 8
    settings.SANDBOX_COMMAND_WORKERS = 8
    yield
    work.cancel_all()
    for gate in getattr(engine, "gate", {}).values():
        gate.set()
    assert work.drain(20), f"work is still under way: {threading.enumerate()}"
    process.let_lapse()


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_user("alice", "alice@example.org", "alice's password")


@pytest.fixture
def bob(db: None) -> User:
    return User.objects.create_user("bob", "bob@example.org", "bob's password")


@pytest.fixture
def prof(db: None) -> User:
    return User.objects.create_user("prof", "prof@example.org", "prof's password", is_staff=True)


@pytest.fixture
def root(db: None) -> User:
    return User.objects.create_superuser("root", "root@example.org", "root's password")


@pytest.fixture
def image(db: None) -> Image:
    """The starter image, in the catalogue."""
    return Image.objects.create(reference=STARTER, title="Starter", description="Small.", size=2 << 20)


@pytest.fixture
def launch(engine: Any, alice: User, image: Image) -> Callable[..., Sandbox]:
    """``launch(name="web", owner=bob, ...)``: a sandbox, running unless the engine minds."""

    def launched(owner: User = alice, chosen: Image = image, **options: Any) -> Sandbox:
        return actions.launch(owner, chosen, origin=audit.Origin.of(owner, "192.0.2.1"), **options)

    return launched


@pytest.fixture
def running(launch: Callable[..., Sandbox]) -> Sandbox:
    """Alice's sandbox, running."""
    sandbox = launch(name="quiet-otter")
    assert wait_until(lambda: Sandbox.objects.get(pk=sandbox.pk).status == Status.RUNNING)
    sandbox.refresh_from_db()
    return sandbox


@pytest.fixture
def paused(running: Sandbox) -> Sandbox:
    actions.pause(running, by=LAUNCHER, wait=None)
    return running


@pytest.fixture
def stopped(running: Sandbox) -> Sandbox:
    actions.stop(running, by=LAUNCHER, wait=None)
    return running
