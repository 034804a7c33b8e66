"""What every socket does with people, sandboxes and frames."""

from __future__ import annotations

import json
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from autobahn.exception import Disconnected

from sandboxes.asgi import application
from sandboxes.consumers.base import Bucket, Nowhere, Outbox, SocketConsumer
from sandboxes.lifecycle import process
from sandboxes.live import hub
from tests.live.helpers import eventually, refused

FLEET = "/ws/sandboxes/"
LONG_LIST = json.dumps({"type": "watch", "ids": ["sb_2"] * 101})
JUNK = [
    ("not json", "bad_json"),
    ("", "bad_json"),
    ("[]", "bad_json"),
    ("3", "bad_json"),
    ("null", "bad_json"),
    ('{"no": "type"}', "bad_json"),
    ('{"type": 3}', "bad_json"),
    ("[" * 60_000, "bad_json"),
    ('{"type": "open the door"}', "bad_type"),
    ('{"type": "watch"}', "bad_ids"),
    ('{"type": "watch", "ids": "sb_1"}', "bad_ids"),
    ('{"type": "watch", "ids": [1]}', "bad_ids"),
    (LONG_LIST, "bad_ids"),
    ("x" * (64 * 1024 + 1), "too_big"),
]


@pytest.mark.parametrize(("text", "code"), JUNK, ids=[text[:30] for text, _ in JUNK])
async def test_junk_is_answered_and_the_socket_goes_on(
    open_socket: Any, alice: Any, text: str, code: str
) -> None:
    socket = await open_socket(FLEET, alice)
    await socket.send(text)
    assert (await socket.next("error"))["code"] == code
    await socket.send({"type": "watch", "ids": []})
    assert await socket.quiet(0.1, "error")
    assert socket.is_open
    assert await refused() == ("socket.frame", "alice", "", code)


async def test_bytes_are_not_for_this_socket(open_socket: Any, alice: Any) -> None:
    socket = await open_socket(FLEET, alice)
    await socket.send_bytes(b"\x00" * 2 * 1024 * 1024)
    assert (await socket.next("error"))["code"] == "bad_type"


async def test_too_many_frames_are_refused_and_then_the_socket_is_closed(
    open_socket: Any, alice: Any
) -> None:
    socket = await open_socket(FLEET, alice)
    for _ in range(70):
        await socket.send('{"type": "watch", "ids": []}')
    assert (await socket.next("error"))["code"] == "too_fast"
    for _ in range(3100):
        await socket.send("{}")
    assert (await socket.next("goodbye"))["code"] == "too_fast"
    assert await socket.next() == {"closed": 4429}


@pytest.mark.parametrize("path", ["/ws/sandboxes/{}/", "/ws/sandboxes/{}/terminals/main/"])
@pytest.mark.parametrize("who", ["bob", "missing"])
async def test_a_foreign_sandbox_looks_like_a_missing_one(
    open_socket: Any, alice: Any, bob: Any, launch: Any, path: str, who: str
) -> None:
    sandbox = await sync_to_async(launch)()
    user, pk = (bob, sandbox.pk) if who == "bob" else (alice, "sb_missing")
    socket = await open_socket(path.format(pk), user)
    assert await socket.next() == {
        "type": "goodbye",
        "code": "not_found",
        "reason": "There is no such sandbox.",
    }
    assert await socket.next() == {"closed": 4404}
    target = sandbox.pk if who == "bob" else ""
    assert await refused() == ("sandbox.view", user.get_username(), target, "")


async def test_staff_may_see_everyones(open_socket: Any, prof: Any, launch: Any) -> None:
    sandbox = await sync_to_async(launch)()
    socket = await open_socket(f"/ws/sandboxes/{sandbox.pk}/", prof)
    assert (await socket.next())["type"] == "engine"
    assert (await socket.next())["type"] == "history"


async def test_an_anonymous_visitor_learns_nothing_of_a_sandbox(open_socket: Any, launch: Any) -> None:
    sandbox = await sync_to_async(launch)()
    assert not (await open_socket(f"/ws/sandboxes/{sandbox.pk}/")).is_open


async def test_the_outbox_keeps_the_latest_of_a_kind_and_joins_rows() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    outbox = Outbox(send)
    for message in (
        {"type": "changed", "id": "a"},
        {"type": "changed", "id": "b"},
        {"type": "changed", "id": "a"},
        {"type": "stats", "rows": {"a": 1, "b": 1}},
        {"type": "stats", "rows": {"b": 2}},
    ):
        outbox.put(message)
    outbox.start()
    assert await eventually(lambda: len(sent) == 3)
    assert sent[2] == {"type": "stats", "rows": {"a": 1, "b": 2}}
    outbox.end()


def test_the_bucket_fills_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    bucket = Bucket(rate=2, burst=3)
    assert [bucket.take() for _ in range(5)] == [True, True, True, False, False]
    now[0] += 0.5
    assert [bucket.take(), bucket.take()] == [True, False]
    assert bucket.refused == 3
    now[0] += 1
    assert bucket.take()
    assert bucket.refused == 0


async def test_a_server_that_tells_of_its_end_has_everything_finished(
    engine: Any, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    told = iter(["startup", "shutdown"])
    monkeypatch.setattr(process, "say_farewell", lambda: said.append("farewell"))

    async def receive() -> dict[str, Any]:
        return {"type": f"lifespan.{next(told)}"}

    async def send(message: dict[str, Any]) -> None:
        said.append(message["type"].removesuffix(".complete"))

    await application({"type": "lifespan"}, receive, send)
    assert said == ["lifespan.startup", "farewell", "lifespan.shutdown"]
    assert hub.running() is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("closed", [Disconnected("Attempt to send on a closed protocol"), BrokenPipeError()])
async def test_a_page_that_went_between_look_and_word_is_no_fault(closed: Exception) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        raise closed

    for consumer in (Nowhere(), SocketConsumer()):
        await consumer({"type": "websocket", "user": None}, receive, send)


@pytest.mark.django_db(transaction=True)
async def test_other_faults_of_a_send_are_still_told() -> None:
    async def send(message: dict[str, Any]) -> None:
        raise ValueError("Socket has not been accepted")

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    with pytest.raises(ValueError, match="accepted"):
        await SocketConsumer()({"type": "websocket", "user": None}, receive, send)
