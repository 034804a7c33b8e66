"""A wave on the real engine, and what breaks in the middle of it: nothing is lost, nothing doubled."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.wall import planned
from tests import recording
from tests.browser.product import Product, running
from tests.browser.proxy import Wire
from tests.fakes.processes import wait_until

pytestmark = pytest.mark.engine

COUNT = 10
SEATS = "SELECT status, reason, sandbox_id FROM labs_seat"
ON_RECORD = "SELECT count(*) FROM sandboxes_event WHERE action = ? AND outcome = 'ok'"


@pytest.fixture
def cut_wire(tmp_path: Path) -> Iterator[Wire]:
    wire = Wire(Path(recording.host().removeprefix("unix://")), tmp_path / "engine.sock")
    yield wire
    wire.close()


@pytest.fixture
def product(tmp_path: Path, cut_wire: Wire) -> Iterator[Product]:
    room = {"SANDBOX_LEASE": "3", "DOCKER_HOST": f"unix://{tmp_path / 'engine.sock'}"}
    with running(tmp_path, **room) as made:
        yield made


def ask(product: Product, query: str, *values: str) -> list[dict[str, Any]]:
    """Rows of its database, read from beside it."""
    with contextlib.closing(sqlite3.connect(product.data / "db.sqlite3", timeout=20)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(query, values)]


def open_lab(product: Product) -> None:
    """A lab for so many, opened as its instructor does."""
    lab, ines = planned(product, COUNT)
    ines.post(f"/labs/{lab}/do/open/")


def on_record(product: Product, action: str) -> int:
    """How often this was done, by the audit trail."""
    return int(ask(product, ON_RECORD, action)[0]["count(*)"])


def until(product: Product, enough: Callable[[Counter[str]], bool], seconds: float = 90) -> None:
    """Wait until the seats' statuses are so."""
    end = time.monotonic() + seconds
    while True:
        counts = Counter(one["status"] for one in ask(product, SEATS))
        if enough(counts):
            return
        time.sleep(0.1)
        assert time.monotonic() < end, f"{counts}\n{product.log()[-3000:]}"


def kill_children(product: Product, cut_wire: Wire) -> None:
    """Web and loops at once, as an out-of-memory killer would."""
    assert product.process is not None
    task = Path(f"/proc/{product.process.pid}/task/{product.process.pid}/children")
    for child in task.read_text().split():
        os.kill(int(child), signal.SIGKILL)


def kill_everything_and_start_again(product: Product, cut_wire: Wire) -> None:
    """The whole install, and somebody who starts it again."""
    assert product.process is not None
    product.process.kill()
    product.process.wait()
    product.start()


def lose_the_engine(product: Product, cut_wire: Wire) -> None:
    """The engine's connections break, and it is away for a while."""
    cut_wire.cut()
    time.sleep(3)
    cut_wire.mend()


@pytest.mark.parametrize("fault", [kill_children, kill_everything_and_start_again, lose_the_engine])
def test_a_wave_goes_on_after_a_fault_in_the_middle(
    product: Product, cut_wire: Wire, fault: Callable[[Product, Wire], None]
) -> None:
    open_lab(product)
    until(product, lambda seats: seats["ready"] >= 1)
    fault(product, cut_wire)
    until(product, lambda seats: seats["ready"] + seats["failed"] == COUNT)
    seats = ask(product, SEATS)
    assert [one["reason"] for one in seats if one["status"] == "failed"] == []
    assert len({one["sandbox_id"] for one in seats}) == COUNT
    assert sorted(product.names()) == sorted(f"sandbox-{one['sandbox_id']}" for one in seats)
    assert (on_record(product, "sandbox.launch"), on_record(product, "seat.ready")) == (COUNT, COUNT)


CLOSE = """
from sandboxes.labs import opening
from sandboxes.labs.models import Lab
from sandboxes.lifecycle import audit
opening.close_lab(Lab.objects.get(), audit.SYSTEM)
"""
OVER = "SELECT count(*) FROM labs_lab WHERE status = 'closed'"


def in_archive(path: Path, name: str) -> str:
    """What a file of saved work holds."""
    with tarfile.open(path) as packed:
        file = packed.extractfile(f"./{name}")
        assert file is not None
        return file.read().decode()


@pytest.mark.parametrize("fault", [None, kill_children, kill_everything_and_start_again])
def test_a_class_that_closes_is_saved_whole(
    product: Product, cut_wire: Wire, fault: Callable[[Product, Wire], None] | None
) -> None:
    """Everybody's own file is in their archive, and no container stays; also with a death in between."""
    open_lab(product)
    until(product, lambda seats: seats["ready"] == COUNT)
    seats = ask(product, "SELECT id, lab_id, sandbox_id FROM labs_seat")
    for one in seats:
        argv = ["sh", "-c", f"echo {one['id']} > mine.txt; head -c 3000000 /dev/urandom > large"]
        assert product.container(one["sandbox_id"]).exec_run(argv).exit_code == 0
    begin = time.monotonic()
    product.tell(CLOSE)
    if fault is not None:
        until(product, lambda now: now["closed"] >= 1)
        fault(product, cut_wire)
    until(product, lambda now: now["closed"] == COUNT)
    print(f"{COUNT} seats closed in {time.monotonic() - begin:.1f} s")
    for one in seats:
        path = product.data / "work" / one["lab_id"] / f"{one['id']}.tar.gz"
        assert in_archive(path, "mine.txt").strip() == one["id"]
    assert on_record(product, "seat.save") == COUNT
    assert wait_until(
        lambda: on_record(product, "sandbox.remove") == COUNT, 60
    )  # the cleanup loop's, after a death
    assert product.names() == []
    assert wait_until(lambda: ask(product, OVER)[0]["count(*)"] == 1)
