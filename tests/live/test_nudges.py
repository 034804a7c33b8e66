"""What changes, by whatever hand, reaches the pages that may know, once."""

from __future__ import annotations

import threading
from typing import Any

from asgiref.sync import sync_to_async
from django.utils import timezone

from sandboxes.lifecycle import actions
from sandboxes.live import hub, nudges
from sandboxes.models import Image, Sandbox, Status
from tests.conftest import LAUNCHER
from tests.live.helpers import eventually

FLEET = "/ws/sandboxes/"
off = sync_to_async(thread_sensitive=False)


async def test_a_change_reaches_owner_staff_and_the_sandboxs_page_and_nobody_else(
    open_socket: Any, alice: Any, bob: Any, prof: Any, running: Sandbox
) -> None:
    pages = [await open_socket(FLEET, user) for user in (alice, bob, prof)]
    own = await open_socket(f"/ws/sandboxes/{running.pk}/", alice)
    await settled(*pages, own)
    await sync_to_async(actions.pause)(running, by=LAUNCHER, wait=None)
    assert await pages[0].next("changed") == {"type": "changed", "id": running.pk, "owned": True}
    assert await pages[2].next("changed") == {"type": "changed", "id": running.pk, "owned": False}
    assert await own.next("changed") == {"type": "changed", "id": running.pk}
    assert await pages[1].quiet(1.2, "changed")


async def test_a_nudge_may_come_from_any_thread_and_is_not_repeated_by_the_tail(
    open_socket: Any, alice: Any, running: Sandbox
) -> None:
    page = await open_socket(FLEET, alice)
    await settled(page)

    def change() -> None:
        Sandbox.objects.filter(pk=running.pk).update(changed_at=timezone.now())
        thread = threading.Thread(target=nudges.send_sandbox, args=(running.pk, alice.pk))
        thread.start()
        thread.join()

    await sync_to_async(change)()
    assert len([one for one in await page.gather(1.5) if one["type"] == "changed"]) == 1


async def test_what_another_process_writes_is_found_once(
    open_socket: Any, alice: Any, running: Sandbox
) -> None:
    page = await open_socket(FLEET, alice)
    await settled(page)
    await write(running)
    assert await page.next("changed") == {"type": "changed", "id": running.pk, "owned": True}
    assert await page.quiet(1.2, "changed")
    await write(running)
    assert (await page.next("changed"))["id"] == running.pk


async def test_what_is_committed_late_is_found_too(open_socket: Any, alice: Any, running: Sandbox) -> None:
    page = await open_socket(FLEET, alice)
    await settled(page)
    stamped = timezone.now()
    await page.gather(1.2)
    await sync_to_async(Sandbox.objects.filter(pk=running.pk).update)(changed_at=stamped)
    assert (await page.next("changed"))["id"] == running.pk


async def test_images_are_told_to_lists(open_socket: Any, bob: Any, image: Image) -> None:
    page = await open_socket(FLEET, bob)
    await settled(page)
    await sync_to_async(nudges.send_image)(image.pk)
    assert await page.next("image") == {"type": "image", "id": image.pk}
    await page.gather(0.2)
    await sync_to_async(Image.objects.filter(pk=image.pk).update)(changed_at=timezone.now())
    assert await page.next("image") == {"type": "image", "id": image.pk}


async def test_what_the_engine_does_by_itself_shows_and_is_written_down(
    open_socket: Any, alice: Any, running: Sandbox, engine: Any
) -> None:
    page = await open_socket(FLEET, alice)
    await settled(page)
    engine.kill_by_hand(running.native_id)
    assert (await page.next("changed"))["id"] == running.pk
    assert await eventually(
        sync_to_async(lambda: Sandbox.objects.get(pk=running.pk).status == Status.STOPPED)
    )


async def test_events_are_read_again_when_their_stream_broke(
    open_socket: Any, alice: Any, running: Sandbox, engine: Any
) -> None:
    page = await open_socket(FLEET, alice)
    await settled(page)
    engine.break_events()
    engine.kill_by_hand(running.native_id)
    assert (await page.next("changed"))["id"] == running.pk


async def test_listeners_hear_each_event_on_the_loop_once(
    open_socket: Any, alice: Any, running: Sandbox, engine: Any
) -> None:
    heard: list[Any] = []
    loop_thread = threading.get_ident()
    stop = hub.listen(lambda event: heard.append((event.action, threading.get_ident())))
    try:
        await open_socket(FLEET, alice)
        engine.emit("rename", running.native_id)
        engine.break_events()
        assert await eventually(lambda: ("rename", loop_thread) in heard)
        engine.emit("update", running.native_id)
        assert await eventually(lambda: ("update", loop_thread) in heard)
        assert heard.count(("rename", loop_thread)) == 1
    finally:
        stop()


async def test_the_engines_absence_is_told_and_its_return(
    open_socket: Any, alice: Any, running: Sandbox, engine: Any
) -> None:
    from sandboxes.engine.base import Unreachable

    back: list[int] = []
    stop = hub.on_engine_back(lambda: back.append(1))
    page = await open_socket(FLEET, alice)
    assert await page.next("engine") == {"type": "engine", "unreachable_since": None}
    engine.away = Unreachable("away")
    assert (await page.next("engine"))["unreachable_since"]
    late = await open_socket(FLEET, alice)
    assert (await late.next("engine"))["unreachable_since"]
    engine.away = None
    assert await page.next("engine") == {"type": "engine", "unreachable_since": None}
    assert back
    stop()


def test_without_a_hub_a_nudge_is_nothing() -> None:
    hub.end()
    nudges.send_sandbox("sb_1", 1)
    nudges.send_image(1)


async def write(sandbox: Sandbox) -> None:
    """As another process does, whose nudge does not come here."""
    await sync_to_async(Sandbox.objects.filter(pk=sandbox.pk).update)(changed_at=timezone.now())


async def settled(*pages: Any) -> None:
    """Let what was before pass by."""
    for page in pages:
        await page.gather(0.7)
