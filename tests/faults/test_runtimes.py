"""Another runtime, on a private engine that has its own runc under a second name: asked for, and gone."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator

import pytest

from sandboxes.engine.base import ContainerSpec, ContainerStatus, Unsupported
from sandboxes.engine.docker_engine import DockerEngine
from tests.engine.helpers import run
from tests.fakes.engine import STARTER
from tests.fakes.processes import wait_until
from tests.faults import private

pytestmark = pytest.mark.engine
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
SPEC = ContainerSpec("sb_twin", STARTER, 64 << 20, 0.5, 64, runtime="twin")


@pytest.fixture(scope="module")
def own() -> Iterator[private.PrivateEngine]:
    with private.made() as engine:
        yield engine


@pytest.fixture
def twin(own: private.PrivateEngine) -> Iterator[DockerEngine]:
    """The product's engine on it, with the runtime "twin"."""
    made = DockerEngine("test-runtimes", host=own.host)
    offer(own, made, {"twin": {"path": shutil.which("runc", path=PATH) or "runc"}})
    yield made
    for one in made.list():
        made.remove(one.native_id)
    assert made.list() == []
    made.close()


def offer(own: private.PrivateEngine, engine: DockerEngine, runtimes: dict[str, dict[str, str]]) -> None:
    """Have the engine offer these, as an admin does: its file, and a word to read it again."""
    (own.folder / "daemon.json").write_text(json.dumps({"live-restore": False, "runtimes": runtimes}))
    assert own.process is not None
    own.process.send_signal(signal.SIGHUP)
    assert wait_until(lambda: set(engine.info().runtimes) == set(runtimes), 20)


def test_a_container_has_the_runtime_that_was_asked_for_and_works(twin: DockerEngine):
    native_id = twin.create(SPEC)
    twin.start(native_id)
    with twin.connection.control() as api:
        assert api.inspect_container(native_id)["HostConfig"]["Runtime"] == "twin"
    assert run(twin, native_id, "echo", "works")[0] == b"works\n"
    assert twin.differences(native_id, SPEC) == []


def test_one_made_with_another_runtime_is_a_mismatch(twin: DockerEngine):
    native_id = twin.create(ContainerSpec("sb_usual", STARTER, 64 << 20, 0.5, 64))
    wanted = ContainerSpec("sb_usual", STARTER, 64 << 20, 0.5, 64, runtime="twin")
    assert twin.differences(native_id, wanted) == ["HostConfig.Runtime: 'runc' instead of 'twin'"]


def test_offered_no_more_it_neither_starts_nor_is_made_and_says_so(
    twin: DockerEngine, own: private.PrivateEngine
):
    native_id = twin.create(SPEC)
    offer(own, twin, {})
    with pytest.raises(Unsupported, match="does not offer the runtime"):
        twin.start(native_id)
    assert twin.inspect(native_id).status is ContainerStatus.CREATED
    twin.remove(native_id)
    with pytest.raises(Unsupported, match="does not offer the runtime"):
        twin.create(SPEC)
