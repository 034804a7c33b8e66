"""Disks that are full to the last byte: the engine's, and the one the database is on."""

from __future__ import annotations

import contextlib
import html
import os
import re
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.person import Person
from sandboxes.lifecycle.disk import CROWDED
from tests.browser.product import Product
from tests.fakes.processes import wait_until

from .house import House
from .private import PrivateEngine
from .site import act, breaches, query, ready, settled, statuses

pytestmark = pytest.mark.engine
AFTER = 60.0
"""Seconds from when there is room again until all goes on."""
OVER = "from sandboxes.models import Sandbox; from django.utils import timezone; " \
       "Sandbox.objects.filter(pk={pk!r}).update(expires_at=timezone.now())"  # fmt: skip


@contextlib.contextmanager
def full(folder: Path) -> Iterator[None]:
    """No byte is left on the disk that this folder is on; then there is room again."""
    filling = folder / "filling"
    try:
        with filling.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            for size in (1 << 20, 1 << 12, 1 << 9):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)) == size:
                        pass
            os.fsync(file.fileno())
        yield
    finally:
        filling.unlink()


def pressed(person: Person, path: str, **data: str) -> tuple[int, str]:
    """What came of a form, whatever the status, without the markup."""
    try:
        with person.post(path, **data) as answer:
            return answer.status, text(answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, text(error.read().decode())


def text(page: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", page)))


def launched(house: House, name: str) -> tuple[int, str]:
    page = house.alice.page("/sandboxes/new/")
    image = page.split('name="image" value="')[1].split('"')[0]
    return pressed(house.alice, "/sandboxes/new/", name=name, image=image, memory="32m", pids="64")


def sound(product: Product) -> bool:
    """Whether no page of the database is damaged."""
    return query(product, "PRAGMA integrity_check") == [("ok",)]


def test_with_the_engines_disk_full_nothing_is_made_and_cleaning_goes_on(
    private_engine: PrivateEngine, house: House, told: Any
) -> None:
    house.arrange()
    over, spare = house.launch("over"), house.launch("spare")
    assert wait_until(lambda: not moving(house.product), AFTER), "what other tests left would make room"
    before = statuses(house.product)
    with full(private_engine.data):
        assert wait_until(lambda: "The server's disk is nearly full" in launched(house, "no-room")[1])
        house.product.tell(OVER.format(pk=over))
        act(house.alice, spare, "remove")
        settled(house.product, {over: "removed", spare: "removed"}, AFTER)
        act(house.alice, house.stopped, "start")
        assert wait_until(lambda: "+" not in statuses(house.product)[house.stopped], AFTER)
        rest = {pk: word for pk, word in before.items() if pk not in {over, spare, house.stopped}}
        assert lost(house, rest) == []
        said = [why for why in launched_since(house, before) if why != "running: "]  # it had found room
        assert all("disk is full" in why for why in said), said
    back = time.monotonic()
    assert wait_until(lambda: goes_on(house, "room-again"), AFTER), house.product.log()[-2000:]
    took = time.monotonic() - back
    house.arrange()
    assert sound(house.product)
    assert breaches(house.product) == ""
    told(recovery=round(took, 1), breaches=0)


def moving(product: Product) -> list[str]:
    return [pk for pk, word in statuses(product).items() if "+" in word]


def lost(house: House, rest: dict[str, str]) -> list[str]:
    """Those that are otherwise, but for who was stopped to make room."""
    rows = query(house.product, "SELECT id, status, status_reason FROM sandboxes_sandbox")
    now = {pk: (status, why) for pk, status, why in rows}
    changed = [now[pk] for pk, word in rest.items() if now[pk][0] != word]
    return [f"{status}: {why}" for status, why in changed if not why.startswith(CROWDED)]


HOLDS = "for i in 1 2 3 4 5 6 7 8; do (exec 3>/workspace/x$i; rm /workspace/x$i; " \
        "dd if=/dev/zero bs=1M count=90 >&3 2>/dev/null; sleep 600) & done; wait"  # fmt: skip


def test_who_fills_the_disk_with_what_no_tree_shows_is_stopped(
    private_engine: PrivateEngine, house: House, told: Any
) -> None:
    """Files that are deleted and still open: the engine counts none of them, the host has no room."""
    house.arrange()
    holder = house.launch("holder")
    house.alice.post(f"/sandboxes/{holder}/commands/", command=HOLDS, shell="on", time_limit="600")
    began = time.monotonic()
    settled(house.product, {holder: "stopped"}, 2 * AFTER)
    took = time.monotonic() - began
    assert wait_until(lambda: free(private_engine) > 32, AFTER), free(private_engine)
    sql = "SELECT disk_used, disk, status_reason FROM sandboxes_sandbox WHERE id = ?"
    ((used, limit, why),) = query(house.product, sql, holder)
    assert (used or 0) < limit
    assert why.startswith(f"{CROWDED} (")
    assert wait_until(lambda: goes_on(house, "room-for-all"), AFTER), house.product.log()[-2000:]
    act(house.alice, holder, "remove")
    settled(house.product, {holder: "removed"}, 20)
    house.arrange()
    assert breaches(house.product) == ""
    told(stopped_after=round(took, 1), breaches=0)


def free(engine: PrivateEngine) -> int:
    """MiB that are free where the engine keeps its data."""
    found = os.statvfs(engine.data)
    return found.f_bavail * found.f_frsize >> 20


def launched_since(house: House, before: dict[str, str]) -> list[str]:
    """What those say that were launched before it was known how full it is.

    The engine may have room for one of them, where it lets go of what earlier tests had removed.
    """
    rows = query(house.product, "SELECT id, status, status_reason FROM sandboxes_sandbox")
    return [f"{status}: {reason}" for pk, status, reason in rows if pk not in before]


def goes_on(house: House, name: str) -> bool:
    """A launch, and a start of one that was stopped meanwhile, succeed; then both are as before."""
    word = statuses(house.product)[house.stopped]
    if word != "running":
        act(house.alice, house.stopped, "start")
    if not wait_until(lambda: statuses(house.product)[house.stopped] == "running", 5):
        return False
    launched(house, name)
    sql = "SELECT id FROM sandboxes_sandbox WHERE name = ? AND status = 'running'"
    if not wait_until(lambda: bool(query(house.product, sql, name)), 5):
        return False
    for pk, verb in ((house.stopped, "stop"), (query(house.product, sql, name)[0][0], "remove")):
        act(house.alice, pk, verb)
    settled(house.product, {house.stopped: "stopped"}, 20)
    return True


def test_with_the_databases_disk_full_it_is_said_and_nothing_is_broken(house: House, told: Any) -> None:
    house.arrange()
    before = statuses(house.product)
    with full(house.product.data):
        assert wait_until(lambda: refused(house), AFTER), statuses(house.product)
        assert set(before) <= set(statuses(house.product))
    back = time.monotonic()
    assert wait_until(lambda: ready(house.product) and goes_on(house, "written-again"), AFTER)
    took = time.monotonic() - back
    assert sound(house.product)
    rest = {pk: word for pk, word in before.items() if pk not in (house.busy, house.stopped)}
    assert rest.items() <= statuses(house.product).items()
    house.arrange()
    assert wait_until(lambda: breaches(house.product) == "", AFTER), breaches(house.product)
    told(recovery=round(took, 1), breaches=0)


def refused(house: House) -> bool:
    """What cannot be written down is not done, and the page says why."""
    status, said = launched(house, "unwritten")
    return status == 503 and "The database cannot be used at present" in said
