"""That the way to the engine is watched: what is asked is heard, and what must not be asked is found."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest

from sandboxes.engine.base import ContainerSpec
from sandboxes.engine.docker_engine import DockerEngine
from sandboxes.engine.hardening import ImageFacts, create_config
from tests import recording
from tests.browser.product import Product
from tests.engine.helpers import INSTALL, Sandboxes
from tests.fakes.engine import STARTER
from tests.faults import calls

IMAGE = {"Config": {"User": "1000:1000", "WorkingDir": "/workspace"}, "Id": "sha256:1"}
SPEC = ContainerSpec("sb_odd", STARTER, 64 << 20, 1, 64, workdir="/srv/x", environment={"A": "b"})


def create(change: Callable[[dict[str, Any]], Any] = lambda body: None) -> recording.Call:
    body = copy.deepcopy(create_config(SPEC, INSTALL, ImageFacts.of(IMAGE), INSTALL))
    change(body)
    path = "/v1.41/containers/create?name=sandbox-sb_odd"
    return recording.Call("POST", path, json.dumps(body).encode(), IMAGE)


def test_the_profile_s_own_create_is_fine() -> None:
    assert calls.strange([create()]) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda body: body["HostConfig"].update(Privileged=True), "Privileged"),
        (lambda body: body["HostConfig"].update(Binds=["/:/host"]), "Binds"),
        (lambda body: body["HostConfig"].update(CapAdd=["SYS_ADMIN"]), "CapAdd"),
        (lambda body: body["HostConfig"].pop("SecurityOpt"), "SecurityOpt"),
        (lambda body: body["HostConfig"].update(NetworkMode="host"), "network host"),
        (lambda body: body.update(User="0:5"), "User"),
    ],
)
def test_a_create_that_differs_is_found(change: Callable[[dict[str, Any]], Any], found: str) -> None:
    assert calls.strange([create(change)]) == [found]


@pytest.mark.parametrize("path", ["/v1.41/volumes", "/v1.41/images/..%2Fx/json", "/v1.41/images/A b/json"])
def test_a_call_that_is_not_listed_is_found(path: str) -> None:
    assert len(calls.strange([recording.Call("GET", path)])) == 1


@pytest.mark.engine
def test_this_process_s_engine_is_heard(docker_engine: DockerEngine, real: Sandboxes) -> None:
    recording.take()
    real.created()
    docker_engine.info()
    heard = recording.take()
    assert {"/v1.41/info"} <= {call.path for call in heard if call.method == "GET"}
    [made] = [call for call in heard if "/containers/create" in call.path]
    assert made.image
    assert calls.strange(heard) == []


@pytest.mark.engine
def test_a_served_product_is_heard(tmp_path: Path) -> None:
    product = Product(tmp_path)
    product.manage("bootstrap")
    assert any(call.path.startswith("/v1.41/images/") for call in recording.take())


@pytest.mark.engine
def test_an_archive_passes_and_is_not_kept(docker_engine: DockerEngine, real: Sandboxes) -> None:
    """Several times what is held of any body, both ways."""
    native_id, size = real.running(), 4 * recording.LARGEST
    with contextlib.closing(docker.APIClient(base_url=recording.host(), version="1.41")) as api:
        recording.take()
        api.put_archive(native_id, "/tmp", packed(size))
        pieces, _ = api.get_archive(native_id, "/tmp/much")
        assert sum(map(len, pieces)) > size
    put, got = [call for call in recording.take() if native_id in call.path]
    assert (put.method, put.body, got.method) == ("PUT", b"", "GET")


def packed(size: int) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        entry = tarfile.TarInfo("much")
        entry.size = size
        tar.addfile(entry, io.BytesIO(bytes(size)))
    return made.getvalue()
