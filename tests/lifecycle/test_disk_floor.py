"""Below half of the host's floor running sandboxes are stopped, one a look, until there is room."""

from __future__ import annotations

import pytest

from sandboxes.engine.base import Unreachable
from sandboxes.lifecycle import actions, disk, host
from sandboxes.models import Sandbox, Status
from tests.lifecycle.helpers import trail

pytestmark = pytest.mark.django_db
GIB = 1 << 30  # the fake engine has 100 free


@pytest.fixture(autouse=True)
def every_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "KEPT", 0)


def test_below_the_floor_one_a_look_is_stopped_and_the_page_says_why(engine, launch, settings):
    """What was deleted and is still open is on no tree: who wrote most of such goes first."""
    old, hides, honest, _ = (launch(name=name) for name in ("old", "hides", "honest", "new"))
    for row, passed, written in ((hides, 3 * GIB, GIB // 8), (honest, 2 * GIB, GIB)):
        engine.containers[row.native_id].passed = passed
        engine.containers[row.native_id].written = written
    settings.SANDBOX_DISK_FLOOR = 400 * GIB
    stopped = []
    for _ in range(4):
        disk.watch()
        rows = Sandbox.objects.filter(status=Status.STOPPED).exclude(name__in=stopped)
        stopped += [row.name for row in rows]
    assert stopped == ["hides", "honest", "new", "old"]
    figures = "the server's disk is nearly full (100 GB free, and 400 GB must stay free), and"
    hides.refresh_from_db()
    old.refresh_from_db()
    assert hides.status_reason == f"{figures} 2.9 GB that it wrote are not among its files"
    assert old.status_reason == f"{figures} it was started last"
    assert trail(hides)[-1][:2] == ("sandbox.stop", "ok")


def test_files_without_a_byte_have_a_floor_too(engine, launch):
    sandbox = launch()
    engine.files = (49_999, 1_000_000)
    few = "room for 49,999 more files, and 5 % of 1,000,000 must stay free"
    with pytest.raises(actions.Refused, match=few):
        launch()
    assert disk.watch() == 0
    engine.files = (24_999, 1_000_000)
    assert disk.watch() == 1
    sandbox.refresh_from_db()
    assert "(room for 24,999 more files" in sandbox.status_reason
    engine.files = (50_000, 1_000_000)
    assert launch().status == Status.RUNNING


def test_at_the_floor_itself_a_class_at_work_goes_on(engine, launch, settings):
    """Nothing new begins there; only below half of it there is no time to wait for an admin."""
    launch()
    settings.SANDBOX_DISK_FLOOR = 200 * GIB
    with pytest.raises(actions.Refused, match="nearly full"):
        launch()
    assert disk.watch() == 0
    settings.SANDBOX_DISK_FLOOR += 1
    assert disk.watch() == 1


def test_with_room_again_nobody_else_is_stopped(engine, launch, settings, monkeypatch):
    rows = [launch(name=name) for name in ("one", "two", "three")]
    settings.SANDBOX_DISK_FLOOR = 400 * GIB
    real = engine.stop

    def stop(native_id: str, grace: int = 2) -> None:
        settings.SANDBOX_DISK_FLOOR = GIB
        real(native_id, grace)

    monkeypatch.setattr(engine, "stop", stop)
    assert [disk.watch(), disk.watch(), disk.watch()] == [1, 0, 0]
    assert Sandbox.objects.filter(status=Status.RUNNING).count() == len(rows) - 1


@pytest.mark.parametrize("option", ["strict", "unknown", "no floor"])
def test_below_the_floor_some_are_left_alone(engine, launch, settings, option):
    """Strict ones hold nothing of the disk; where it is not known what is free, nothing is concluded."""
    launch(isolation="strict" if option == "strict" else "standard")
    settings.SANDBOX_DISK_FLOOR = 0 if option == "no floor" else 400 * GIB
    if option == "unknown":
        engine.fail["info"] = Unreachable("away")
    assert disk.watch() == 0
