"""The guard from the form to the real host: with its rules a launch runs, without them it is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandboxes.engine import firewall
from sandboxes.engine.containers import bridge_name
from sandboxes.engine.docker_engine import DockerEngine
from sandboxes.lifecycle import actions, guard
from sandboxes.models import Lease, Sandbox, Status

pytestmark = [pytest.mark.engine, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def rules(docker_engine: DockerEngine) -> Iterator[list[firewall.Rule]]:
    """For this run's own bridge, and gone afterwards."""
    wanted = firewall.rules(bridge_name(docker_engine.network), ["169.254.0.0/16"])
    yield wanted
    firewall.remove(wanted)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine looks slowly; here the form waits for it."""
    monkeypatch.setattr(guard, "PATIENCE", 60)


@pytest.mark.usefixtures("patient")
def test_when_the_rules_go_the_next_launch_with_internet_is_refused(launch, rules):
    firewall.apply(rules)
    assert launch(network="internet").status == Status.RUNNING
    firewall.remove(rules)
    Lease.objects.filter(name=guard.NAME).delete()  # what was seen is too old
    with pytest.raises(actions.Refused, match="network guard is not in place"):
        launch(network="internet")
    assert Sandbox.objects.count() == 1
