"""What a sandbox reaches, from each profile: nothing of the host, a peer, or link-local addresses."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from sandboxes.engine import firewall, probing
from sandboxes.engine.base import LABEL_INSTALL, Reach
from sandboxes.engine.containers import bridge_name
from sandboxes.engine.probing import listening
from tests.engine import beyond
from tests.engine.helpers import INSTALL, Sandboxes, run
from tests.fakes.engine import STARTER
from tests.fakes.processes import wait_until
from tests.recording import by_hand

pytestmark = pytest.mark.engine
LINK_LOCAL = "169.254.77.77"
PEER_PORT = 7777
TRY = """
try() { echo | timeout 6 nc -w 3 "$2" "$3" > /dev/null 2>&1; case $? in 0|124|143) echo "$1" ;; esac; }
while [ "$1" ]; do try "$1" "$2" "$3" & shift 3; done
wait
"""
PROFILES: dict[str, dict[str, Any]] = {
    "none": {}, "internet": {"network": "internet"}, "strict": {"strict": True},
    "root": {"root": True}, "root with internet": {"root": True, "network": "internet"},
}  # fmt: skip


@pytest.fixture
def guarded(real: Sandboxes) -> Iterator[list[firewall.Rule]]:
    """The guard's rules for this run's bridge, set, and gone afterwards."""
    wanted = firewall.rules(bridge_name(INSTALL), ["169.254.0.0/16"])
    firewall.apply(wanted)
    yield wanted
    firewall.remove(wanted)


@pytest.fixture
def peer(real: Sandboxes) -> str:
    """Another sandbox on the bridge that takes connections; its address."""
    native_id = real.running(network="internet")
    line = f"(while :; do nc -l -p {PEER_PORT} > /dev/null < /dev/null; done) > /dev/null 2>&1 &"
    run(real.engine, native_id, "sh", "-c", line)
    assert run(real.engine, native_id, "sh", "-c", TRY, "try", "itself", "127.0.0.1", str(PEER_PORT))[0]
    with by_hand() as api:
        networks = api.inspect_container(native_id)["NetworkSettings"]["Networks"]
        return str(networks[INSTALL]["IPAddress"])


@pytest.fixture
def elsewhere() -> Iterator[None]:
    """A link-local address that is not the host's: packets to it go through the host, as to a cloud's own."""
    with beyond.machine(LINK_LOCAL, 80):
        yield


@pytest.fixture
def published(real: Sandboxes) -> Iterator[list[str]]:
    """A port of this machine that leads into somebody else's container, at each address it has."""
    line = f"while :; do nc -l -p {PEER_PORT} > /dev/null < /dev/null; done"
    with by_hand() as api:
        room = api.create_host_config(port_bindings={PEER_PORT: None})
        made = api.create_container(STARTER, ["sh", "-c", line], ports=[PEER_PORT], host_config=room,
                                    labels={LABEL_INSTALL: f"{INSTALL}-other"})["Id"]  # fmt: skip
        try:
            api.start(made)
            found = api.inspect_container(made)["NetworkSettings"]
            assert wait_until(lambda: opens(found["IPAddress"], PEER_PORT), 20)
            port = found["Ports"][f"{PEER_PORT}/tcp"][0]["HostPort"]
            places = {"bridge": real.engine._gateway(), "docker": found["Gateway"], "machine": own_address()}
            yield [word for name, place in places.items() for word in (f"published-{name}", place, port)]
        finally:
            api.remove_container(made, v=True, force=True)


def opens(address: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((address, port), 2):
        return True
    return False


def own_address() -> str:
    """The machine's, towards others; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect(("192.0.2.1", 9))
        return str(one.getsockname()[0])


@pytest.fixture
def targets(real: Sandboxes, peer: str, elsewhere: None, published: list[str]) -> Iterator[list[str]]:
    """Name, address and port of each: stand-ins on the host, the address beyond it, peer, another's port."""
    gateway = real.engine._gateway()
    with contextlib.ExitStack() as stack:
        names = ("web", "database", "redis", "engine")
        ports = {name: stack.enter_context(listening("0.0.0.0")) for name in names}
        found = [word for name, port in ports.items() for word in (name, gateway, str(port))]
        yield [*found, "link-local", LINK_LOCAL, "80", "peer", peer, str(PEER_PORT), *published]


def reached(real: Sandboxes, targets: list[str], **profile: Any) -> set[str]:
    """What a fresh sandbox of that kind reaches."""
    native_id = real.running(**profile)
    return set(run(real.engine, native_id, "sh", "-c", TRY, "try", *targets)[0].decode().split())


def test_without_the_guard_all_of_the_host_is_reached_which_shows_that_the_look_sees(
    real: Sandboxes, targets: list[str], published: list[str]
):
    seen = reached(real, targets, network="internet")
    assert seen == {"web", "database", "redis", "engine", "link-local", *published[::3]}


@pytest.mark.usefixtures("guarded")
@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_from_no_profile_anything_is_reached(real: Sandboxes, targets: list[str], profile: dict[str, Any]):
    assert reached(real, targets, **profile) == set()


def test_what_lies_beyond_the_host_is_refused_by_a_rule_of_its_own(
    real: Sandboxes, targets: list[str], guarded: list[firewall.Rule]
):
    """The rules for what goes to the host say nothing of what goes through it."""
    forwarded = [rule for rule in guarded if rule.chain == "DOCKER-USER"]
    assert firewall.remove(forwarded) == forwarded
    assert reached(real, targets, network="internet") == {"link-local"}
    assert firewall.apply(forwarded) == forwarded
    assert reached(real, targets, network="internet") == set()


@pytest.mark.usefixtures("elsewhere")
def test_the_products_own_look_sees_that_this_rule_alone_is_missing(
    real: Sandboxes, guarded: list[firewall.Rule], monkeypatch: pytest.MonkeyPatch
):
    """The metadata address itself is left in peace: this machine may need it."""
    monkeypatch.setattr(probing, "METADATA", LINK_LOCAL)
    assert real.engine.reach(STARTER) == Reach(host=False, metadata=False)
    firewall.remove([rule for rule in guarded if rule.chain == "DOCKER-USER"])
    assert real.engine.reach(STARTER) == Reach(host=False, metadata=True)


def test_of_the_stand_in_nothing_stays_when_its_test_fails():
    with pytest.raises(ZeroDivisionError), beyond.machine(LINK_LOCAL, 80):
        1 / 0  # noqa: B018
    assert [one for _, one in socket.if_nameindex() if one.startswith(beyond.PREFIX)] == []
    assert list(beyond.NAMESPACES.glob(f"{beyond.PREFIX}*")) == []


@pytest.mark.usefixtures("guarded")
@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_nobody_makes_packets_of_their_own_for_arp(real: Sandboxes, peer: str, profile: dict[str, Any]):
    native_id = real.running(**profile)
    out, err, code = run(real.engine, native_id, "arping", "-c", "1", "-w", "2", "-I", "eth0", peer)
    assert code == 1
    assert b"not permitted" in out + err
