"""The network guard on the real host: set, looked at from inside, taken away; rules of this test run only."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from sandboxes.engine import firewall
from sandboxes.engine.base import Reach
from sandboxes.engine.containers import bridge_name
from sandboxes.engine.docker_engine import DockerEngine
from tests.engine.helpers import INSTALL
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
