"""The network guard on the real host: set, looked at from inside, taken away; rules of this test run only."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from sandboxes.engine import firewall, probing
from sandboxes.engine.base import ContainerSpec, Reach, Unsupported
from sandboxes.engine.containers import bridge_name
from sandboxes.engine.docker_engine import DockerEngine
from tests.engine.helpers import INSTALL, run
from tests.fakes.engine import STARTER

pytestmark = pytest.mark.engine
BRIDGE = bridge_name(INSTALL)
REFUSED = ["169.254.0.0/16"]


@pytest.fixture
def rules() -> Iterator[list[firewall.Rule]]:
    """For this run's own bridge, and gone afterwards."""
    wanted = firewall.rules(BRIDGE, REFUSED)
    yield wanted
    firewall.remove(wanted)


def on_the_host() -> int:
    """How many rules for packets to the host name this run's bridge."""
    listed = subprocess.run(["iptables", "-w", "-S", "INPUT"], capture_output=True, text=True, check=True)
    return listed.stdout.count(f"-i {BRIDGE} ")


def test_without_rules_a_sandbox_reaches_the_host_and_with_them_it_does_not(
    docker_engine: DockerEngine, rules: list[firewall.Rule]
):
    assert docker_engine.reach(STARTER).host is True
    firewall.apply(rules)
    assert docker_engine.reach(STARTER) == Reach(host=False, metadata=False)
    firewall.remove(rules)
    assert docker_engine.reach(STARTER).host is True


def test_set_twice_is_set_once_and_removed_is_gone(docker_engine: DockerEngine, rules: list[firewall.Rule]):
    assert firewall.apply(rules) == rules
    assert firewall.apply(rules) == []
    assert (firewall.missing(rules), on_the_host()) == ([], 1)
    assert firewall.remove(rules) == rules
    assert on_the_host() == 0


def test_what_is_missing_is_named(docker_engine: DockerEngine, rules: list[firewall.Rule]):
    firewall.apply(rules)
    firewall.remove(rules[-1:])
    assert firewall.missing(rules) == rules[-1:]


def test_the_probe_leaves_nothing_behind(docker_engine: DockerEngine):
    docker_engine.reach(STARTER)
    assert [one for one in docker_engine.list() if one.sandbox_id.startswith("sb_probe")] == []


# -- from another machine: nothing can be opened on the host, so its answers are looked at ---------


@pytest.fixture
def afar(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(address: str) -> None:
        raise Unsupported("The bridge is not on this machine.")

    monkeypatch.setattr(probing, "listening", refused)


@pytest.mark.usefixtures("afar")
def test_from_afar_it_is_seen_all_the_same(docker_engine: DockerEngine, rules: list[firewall.Rule]):
    found = docker_engine.reach(STARTER)
    assert (found.host, found.is_near) == (True, False)
    firewall.apply(rules)
    assert docker_engine.reach(STARTER) == Reach(host=False, metadata=False, is_near=False)
    firewall.remove(rules)
    assert docker_engine.reach(STARTER).host is True


@pytest.mark.usefixtures("afar")
@pytest.mark.parametrize(("target", "reached"), [("DROP", False), ("REJECT", True)])
def test_other_peoples_rules_are_seen_where_they_can_be_told_from_a_host_that_answers(
    docker_engine: DockerEngine, target: str, reached: bool
):
    docker_engine.reach(STARTER)  # the bridge is there
    theirs = firewall.Rule("iptables", "INPUT", ("-i", BRIDGE, "-j", target))
    firewall.apply([theirs])
    try:
        assert docker_engine.reach(STARTER).host is reached
    finally:
        firewall.remove([theirs])


def test_the_commands_for_another_host_are_lines_of_a_shell(rules: list[firewall.Rule]):
    lines = firewall.script(rules).splitlines()
    assert len(lines) == len(rules)
    assert lines[0] == (
        "! command -v iptables > /dev/null || "
        f"iptables -w -C INPUT -i {BRIDGE} -j REJECT --reject-with icmp-admin-prohibited || "
        f"iptables -w -I INPUT -i {BRIDGE} -j REJECT --reject-with icmp-admin-prohibited"
    )
    for _ in range(2):
        subprocess.run(["sh", "-ec", firewall.script(rules)], check=True, stderr=subprocess.DEVNULL)
    assert (firewall.missing(rules), on_the_host()) == ([], 1)


def test_names_are_resolved_behind_the_guard(docker_engine: DockerEngine, rules: list[firewall.Rule]):
    """The engine's own name server is inside the container's network, and asks others from the host."""
    firewall.apply(rules)
    spec = ContainerSpec("sb_names", STARTER, 32 << 20, 0.5, 32, network="internet")
    native_id = docker_engine.create(spec)
    try:
        docker_engine.start(native_id)
        line = "cat /etc/resolv.conf; nslookup sandbox-sb_names"
        said = run(docker_engine, native_id, "sh", "-c", line)[0].decode()
        assert "nameserver 127.0.0.11" in said
        assert "Name:\tsandbox-sb_names" in said
    finally:
        docker_engine.remove(native_id)
