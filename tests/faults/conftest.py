"""Short forms in `make test`, full ones in `make faults` (FAULTS=full, SEED=n), with a report."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project
from django.db import connection
from django.utils import timezone

from sandboxes.lifecycle import process
from sandboxes.models import Lease
from tests import recording
from tests.browser.product import Product, running
from tests.fakes.processes import wait_until
from tests.lifecycle.conftest import docker_engine, engine, fresh_clockwork  # noqa: F401  # fixtures

from . import afterwards, calls, private
from .classroom import Classroom
from .house import House
from .proxy import Proxy, proxy
from .site import site, small_disk

FULL = os.environ.get("FAULTS") == "full"
SEED = int(os.environ.get("SEED") or (random.SystemRandom().randrange(1 << 30) if FULL else 20261128))
REPORT: dict[str, Any] = {"seed": SEED, "figures": {}}


def commit(folder: Path) -> str:
    """Of which state of the code the figures are; "" where there is no repository, or no git."""
    words = ["git", "-C", str(folder), "rev-parse", "--verify", "-q", "HEAD"]
    with contextlib.suppress(OSError):
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
    return ""


@pytest.fixture(autouse=True)
def in_order(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test ends with `check_invariants`, before anything of it is put away."""
    made = afterwards.fixtures(request)
    yield
    if afterwards.has_records(request):
        afterwards.records_are_in_order()
    for one in afterwards.products(made.values()):
        afterwards.is_in_order(one)


@pytest.fixture(autouse=True)
def no_brake(settings: Any) -> None:
    """Hundreds of launches by one person are the point here."""
    settings.SANDBOX_QUOTA_CREATES = settings.SANDBOX_MEMORY_SHARE = settings.SANDBOX_USER_COMMAND_PACE = 0


@pytest.fixture(scope="session")
def scale() -> Callable[[int, int], int]:
    """``scale(5, 300)``: the first in the short form, the second in the full one."""
    return lambda short, full: full if FULL else short


@pytest.fixture
def dice(request: pytest.FixtureRequest) -> random.Random:
    """Of this run's seed and this test's name; both are in the report."""
    return random.Random(f"{SEED}-{request.node.name}")


@pytest.fixture
def told(request: pytest.FixtureRequest) -> Callable[..., None]:
    """``told(kills=300)``: figures for the report."""

    def tell(**figures: Any) -> None:
        REPORT["figures"].setdefault(request.node.name, {}).update(figures)

    return tell


def pytest_report_header() -> str:
    return f"faults: {'full' if FULL else 'short'}, SEED={SEED}"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What was measured; the full form also into a file."""
    for name, figures in REPORT["figures"].items():
        terminalreporter.write_line(f"faults: {name}: {figures} (SEED={SEED})")
    if FULL:
        path = Path(project.BASE_DIR) / "var" / "faults.json"
        path.parent.mkdir(exist_ok=True)
        about = {"at": timezone.now().isoformat(), "commit": commit(project.BASE_DIR)}
        path.write_text(json.dumps(REPORT | about, indent=1) + "\n")
        terminalreporter.write_line(f"faults: {path}")


@pytest.fixture(scope="package")  # they and their loops are put away before the next folder's tests
def plain_product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The whole product as people run it; in the full form with the patience of every install."""
    quick = {} if FULL else {"SANDBOX_CLIENT_PATIENCE": "3", "SANDBOX_LEASE": "2"}
    usual = {"SANDBOX_TERMINAL_GRACE": "60", "SANDBOX_CLEANUP_INTERVAL": "10"} if FULL else {}
    with running(tmp_path_factory.mktemp("product"), **quick, **usual) as made:
        yield made


class Zygote:
    """See zygote.py."""

    def __init__(self, install: str) -> None:
        order = {"database": str(connection.settings_dict["NAME"]), "install": install}
        env = os.environ | {"PYTHONPATH": str(project.BASE_DIR), "SANDBOX_DATA": str(project.DATA_DIR)}
        env["DOCKER_HOST"] = recording.host()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote", json.dumps(order)], cwd=project.BASE_DIR, env=env,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.line() == "ready"

    def line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def begin(self, **order: Any) -> int:
        """Have a child made; gives its number."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"id": "", "point": "", "seed": 0} | order) + "\n")
        self.process.stdin.flush()
        return int(self.line())

    def ended(self) -> int:
        """Wait for the child's end; its exit status, negative for a signal."""
        return int(self.line())

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(10)


@pytest.fixture
def zygotes(transactional_db: None, engine: Any) -> Iterator[Callable[[], Zygote]]:  # noqa: F811
    """``zygotes()``: one more."""
    made: list[Zygote] = []

    def make() -> Zygote:
        made.append(Zygote(engine.install))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="package")
def private_engine() -> Iterator[private.PrivateEngine]:
    """An engine that may be killed, and filled."""
    with private.made() as one:
        yield one


@pytest.fixture(scope="package")
def way(private_engine: private.PrivateEngine) -> Iterator[Proxy]:
    """What leads to it, and may misbehave. Whatever went along it is on the closed list."""
    with proxy(private_engine.folder, private_engine.socket) as made:
        yield made
    assert calls.unlisted(made.calls) == []


@pytest.fixture(scope="package")
def product(
    private_engine: private.PrivateEngine, way: Proxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Product]:
    """The whole product at the end of it, its data on a small disk of its own."""
    with small_disk(tmp_path_factory.mktemp("site")) as data, site(
        data, way.host, private_engine.host, SANDBOX_DISK_FLOOR="32m"
    ) as made:  # fmt: skip
        yield made


@pytest.fixture(scope="package")
def house(product: Product) -> House:
    return House(product)


@pytest.fixture(scope="package")
def room(house: House) -> Classroom:
    return Classroom(house)


def leases_over() -> None:
    """Wait until those who died are known to be dead: their leases are a second long."""
    rows = Lease.objects.filter(name__startswith="process:").exclude(owner=process.process_id())
    assert wait_until(lambda: not rows.filter(until__gt=timezone.now()).exists(), 20)
