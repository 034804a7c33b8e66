"""Containers on the real engine: every knob, taking over, races, the network, what was written."""

from __future__ import annotations

import re
import threading
import time
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any

import pytest
from requests.exceptions import ReadTimeout

from sandboxes.engine import containers, seccomp
from sandboxes.engine.base import (
    Conflict,
    ContainerSpec,
    ContainerStatus,
    EngineError,
    Mismatch,
    NotFound,
    TimedOut,
)
from sandboxes.engine.docker_engine import Client, DockerEngine
from sandboxes.engine.hardening import ImageFacts, create_config, differences
from tests import recording
from tests.engine.helpers import INSTALL, MIB, Sandboxes, run, together
from tests.fakes.engine import STARTER
from tests.fakes.processes import wait_until
from tests.faults import calls
from tests.recording import by_hand

pytestmark = pytest.mark.engine

STARTER_FACTS = ImageFacts("1000:1000", "/workspace")


def raw(native_id: str) -> dict[str, Any]:
    with by_hand() as api:
        found: dict[str, Any] = api.inspect_container(native_id)
        return found


def host_of(native_id: str) -> dict[str, Any]:
    found: dict[str, Any] = raw(native_id)["HostConfig"]
    return found


# -- every knob -----------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"root": True}, {"network": "internet"}, {"strict": True}])
def test_the_engine_made_exactly_what_was_asked(real: Sandboxes, changes: dict[str, Any]):
    spec = real.spec(environment={"A": "b"}, **changes)
    native_id = real.created(spec)
    asked = create_config(spec, INSTALL, STARTER_FACTS, INSTALL)
    found = raw(native_id)
    assert differences(asked, found) == []
    assert found["Name"] == f"/sandbox-{spec.sandbox_id}"
    assert found["Config"]["Labels"]["sandboxes.install"] == INSTALL


@pytest.mark.parametrize(
    ("knob", "wanted"),
    [
        ("Memory", 64 * MIB),
        ("MemorySwap", 64 * MIB),
        ("NanoCpus", 500_000_000),
        ("CpuShares", 128),
        ("PidsLimit", 64),
        ("CapDrop", ["ALL"]),
        ("SecurityOpt", ["no-new-privileges:true", seccomp.option()]),
        ("Privileged", False),
        ("AutoRemove", False),
        ("ReadonlyRootfs", False),
        ("Init", True),
        ("OomScoreAdj", 500),
        ("ShmSize", 16 * MIB),
        ("IpcMode", "private"),
        ("CgroupnsMode", "private"),
        ("PidMode", ""),
        ("NetworkMode", "none"),
        ("RestartPolicy", {"Name": "no", "MaximumRetryCount": 0}),
        ("LogConfig", {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}}),
        ("Binds", None),
    ],
)
def test_each_knob_as_the_engine_shows_it(real: Sandboxes, knob: str, wanted: Any):
    assert host_of(real.created())[knob] == wanted


def test_inside_there_are_no_capabilities_and_no_way_up(real: Sandboxes):
    status = run(real.engine, real.running(), "cat", "/proc/self/status")[0].decode()
    assert re.search(r"^CapEff:\s+0+$", status, re.M)
    assert re.search(r"^CapBnd:\s+0+$", status, re.M)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)
    assert re.search(r"^Seccomp:\s+2$", status, re.M)
    assert re.search(r"^Uid:\s+1000\s", status, re.M)


def test_root_inside_has_five_capabilities(real: Sandboxes):
    status = run(real.engine, real.running(root=True), "cat", "/proc/self/status")[0].decode()
    chown, dac_override, fowner, setgid, setuid = 0, 1, 3, 6, 7
    wanted = sum(1 << bit for bit in (chown, dac_override, fowner, setgid, setuid))
    assert re.search(rf"^CapEff:\s+{wanted:016x}$", status, re.M)
    assert re.search(rf"^CapBnd:\s+{wanted:016x}$", status, re.M)


def test_limits_seen_from_inside(real: Sandboxes):
    native_id = real.running()
    line = "ulimit -n; ulimit -c; df -m /dev/shm | tail -1"
    out = run(real.engine, native_id, "sh", "-c", line)[0].decode().split()
    assert (out[0], out[1], out[3]) == ("1024", "0", "16")


def test_without_a_network_there_is_only_the_loopback(real: Sandboxes):
    out = run(real.engine, real.running(), "ls", "/sys/class/net")[0]
    assert out.split() == [b"lo"]


# -- what differs, and what is not ours -----------------------------------------------------------


def test_a_knob_the_engine_ignores_is_a_mismatch_and_nothing_stays(
    real: Sandboxes, monkeypatch: pytest.MonkeyPatch
):
    def misspelt(*arguments: Any) -> dict[str, Any]:
        made = create_config(*arguments)
        made["HostConfig"]["PidLimits"] = made["HostConfig"].pop("PidsLimit")
        return made

    monkeypatch.setattr(containers, "create_config", misspelt)
    spec = real.spec()
    with pytest.raises(Mismatch) as caught:
        real.engine.create(spec)
    assert "PidLimits" in caught.value.detail
    assert calls.strange(recording.take()) == ["no PidsLimit"]  # as every test would be told
    assert spec.sandbox_id not in {one.sandbox_id for one in real.engine.list()}


def test_one_of_ours_with_other_limits_is_a_mismatch_and_is_removed(real: Sandboxes):
    spec = real.spec()
    native_id = real.created(spec)
    with pytest.raises(Mismatch):
        real.engine.create(replace(spec, memory=32 * MIB))
    with pytest.raises(NotFound):
        real.engine.inspect(native_id)


def test_somebody_else_s_container_of_that_name_is_left_alone(real: Sandboxes):
    spec = real.spec()
    with by_hand() as api:
        config = {"Image": STARTER, "HostConfig": {"NetworkMode": "none"}}
        other = api.create_container_from_config(config, f"sandbox-{spec.sandbox_id}")["Id"]
    try:
        with pytest.raises(Conflict, match="not ours"):
            real.engine.create(spec)
        assert raw(other)["Id"] == other
    finally:
        real.engine.remove(other)


def test_other_installs_are_neither_listed_nor_heard(real: Sandboxes):
    native_id, other = real.created(), DockerEngine(f"{INSTALL}-other")
    with closing(other):
        assert other.list() == []
        began = time.monotonic()
        heard = other.events(time.time() - 5, lambda: time.monotonic() - began > 0.5)
        assert list(heard) == []
        with pytest.raises(Conflict):
            other.create(ContainerSpec(raw_id(real, native_id), STARTER, 64 * MIB, 0.5, 64))


def raw_id(sandboxes: Sandboxes, native_id: str) -> str:
    found: str = sandboxes.engine.inspect(native_id).sandbox_id
    return found


# -- refusals -------------------------------------------------------------------------------------


def test_too_little_memory_is_said_so(real: Sandboxes):
    with pytest.raises(EngineError, match="minimum of 6 MB"):
        real.engine.create(real.spec(memory=1000))


def test_more_cpus_than_there_are_is_said_so(real: Sandboxes):
    with pytest.raises(EngineError, match="that many CPUs"):
        real.engine.create(real.spec(cpus=10_000))


def test_a_shell_the_image_does_not_have_ends_with_127(real: Sandboxes):
    native_id = real.running(shell="zsh")
    assert wait_until(lambda: real.engine.inspect(native_id).status is ContainerStatus.EXITED)
    assert real.engine.inspect(native_id).exit_code == 127


# -- time and races -------------------------------------------------------------------------------


def test_a_stop_does_not_wait_for_its_grace(real: Sandboxes):
    for _ in range(5):  # even in the first instant, when init may not hear a TERM yet
        native_id = real.running()
        began = time.monotonic()
        real.engine.stop(native_id, grace=10)
        assert time.monotonic() - began < 5
        assert real.engine.inspect(native_id).exit_code not in (0, 137)


def test_eight_creates_of_nothing_yet_make_one(real: Sandboxes):
    spec = real.spec()
    made = together(8, lambda: real.engine.create(spec))
    real.made.extend(one for one in made if isinstance(one, str))
    assert len(set(made)) == 1


def test_stop_and_exec_at_once_end_in_our_words(real: Sandboxes):
    native_id = real.running()
    for _ in range(5):
        stopper = threading.Thread(target=real.engine.stop, args=(native_id,))
        stopper.start()
        with suppress(Conflict, NotFound):
            run(real.engine, native_id, "true")
        stopper.join()
        real.engine.start(native_id)


def test_pause_and_remove_at_once_end_in_our_words(real: Sandboxes):
    for _ in range(3):
        native_id = real.running()
        remover = threading.Thread(target=real.engine.remove, args=(native_id,))
        remover.start()
        with suppress(Conflict, NotFound):
            real.engine.pause(native_id)
        remover.join()
        with pytest.raises(NotFound):
            real.engine.inspect(native_id)


# -- the network ----------------------------------------------------------------------------------


def test_sandboxes_on_the_network_do_not_reach_each_other(real: Sandboxes):
    one, two = together(2, lambda: real.running(network="internet"))
    address = raw(one)["NetworkSettings"]["Networks"][INSTALL]["IPAddress"]
    assert address
    listener = real.engine.exec(one, ["nc", "-l", "-p", "8080"])
    with closing(listener):
        time.sleep(0.3)
        assert run(real.engine, two, "nc", "-w", "1", address, "8080")[2] != 0


def test_a_network_that_does_not_keep_them_apart_is_refused(docker_engine: DockerEngine):
    name = f"{INSTALL}-open"
    with by_hand() as api:
        network = api.create_network(name, "bridge", labels={"sandboxes.install": INSTALL})["Id"]
    engine = DockerEngine(INSTALL, network=name)
    try:
        with pytest.raises(Mismatch, match="apart"):
            engine.create(ContainerSpec("sb_open", STARTER, 64 * MIB, 0.5, 64, network="internet"))
    finally:
        engine.close()
        with by_hand() as api:
            api.remove_network(network)


def test_a_network_that_vanished_does_not_look_like_a_vanished_container(real: Sandboxes):
    engine = DockerEngine(INSTALL, network=f"{INSTALL}-gone")
    spec = real.spec(network="internet")
    with closing(engine):
        native_id = engine.create(spec)
        real.made.append(native_id)
        with by_hand() as api:
            api.remove_network(engine.network)
        with pytest.raises(EngineError) as caught:
            engine.start(native_id)
        assert not isinstance(caught.value, NotFound)
        assert engine.inspect(native_id).status is ContainerStatus.CREATED


# -- what was written -----------------------------------------------------------------------------


def test_the_engine_counts_what_was_written(real: Sandboxes):
    one, other = real.running(), real.running()
    assert real.engine.disk_use()[one] < MIB
    run(real.engine, one, "dd", "if=/dev/zero", "of=/workspace/f", "bs=1M", "count=5")
    assert 5 * MIB <= real.engine.disk_use()[one] < 6 * MIB
    assert real.engine.disk_use()[other] < MIB
    run(real.engine, one, "rm", "/workspace/f")
    assert real.engine.disk_use()[one] < MIB


def test_it_counts_one_alone_and_says_when_that_takes_too_long(
    real: Sandboxes, monkeypatch: pytest.MonkeyPatch
):
    one = real.running()
    run(real.engine, one, "dd", "if=/dev/zero", "of=/workspace/f", "bs=1M", "count=5")
    assert 5 * MIB <= real.engine.disk_use_of(one, 10) < 6 * MIB
    plain = Client._get

    def slow(self: Client, url: str, **kwargs: Any) -> Any:
        if "size" in (kwargs.get("params") or {}):
            raise ReadTimeout("counting")
        return plain(self, url, **kwargs)

    monkeypatch.setattr(Client, "_get", slow)
    with pytest.raises(TimedOut):
        real.engine.disk_use_of(one, 10)
    assert real.engine.health.unreachable_since is None


def test_it_counts_stopped_ones_where_it_is_asked_to(real: Sandboxes):
    one = real.running()
    run(real.engine, one, "dd", "if=/dev/zero", "of=/workspace/f", "bs=1M", "count=5")
    real.engine.stop(one)
    assert one not in real.engine.disk_use()
    assert 5 * MIB <= real.engine.disk_use(stopped=True)[one] < 6 * MIB


def test_what_root_writes_outside_of_its_tree_is_bounded(real: Sandboxes):
    """/etc/hosts, hostname and resolv.conf are files of the host, which the engine does not count."""
    native_id = real.running(root=True, disk=8 * MIB)
    each = "dd if=/dev/zero of=/etc/$f bs=1M count=9 2> /dev/null; stat -c %s /etc/$f"
    out, _, _ = run(
        real.engine, native_id, "sh", "-c", f"for f in hosts hostname resolv.conf; do {each}; done"
    )
    assert [int(size) for size in out.split()] == [2 * MIB] * 3
    assert real.engine.disk_use()[native_id] < MIB
