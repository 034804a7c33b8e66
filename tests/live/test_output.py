"""The output of commands: byte-exact for who keeps up, marked gaps for who does not, nothing kept."""

from __future__ import annotations

import asyncio
import threading
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from sandboxes.live import hub, output
from sandboxes.models import Command, CommandStatus, Sandbox
from tests.live.helpers import eventually


@pytest.fixture
def command(running: Sandbox, alice: Any) -> Command:
    """A command that runs, as far as its record goes."""
    return Command.objects.create(sandbox=running, by=alice, argv=["make"], time_limit=60)


@pytest.fixture
async def socket(open_socket: Any, alice: Any, command: Command) -> Any:
    opened = await open_socket(f"/ws/sandboxes/{command.sandbox_id}/", alice)
    await opened.next("history")
    return opened


def publish(command: Command, data: bytes, stream: str = "stdout") -> None:
    """As lifecycle does, from a thread."""
    in_thread(lambda: output.publish(command.pk, command.sandbox_id, stream, data))


def finish(command: Command) -> None:
    in_thread(lambda: output.finished(command.pk, command.sandbox_id))


def in_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


async def follow(socket: Any, command: Command) -> None:
    await socket.send({"type": "follow", "command": command.pk})
    await eventually(lambda: command.pk in output._followers, 0.5)


async def read(
    socket: Any, until: str = "command", seconds: float = 10
) -> tuple[dict[str, bytes], list[Any]]:
    """Each stream's bytes, with holes left out, and the gaps; checks that offsets fit together."""
    streams: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
    at, gaps = {"stdout": 0, "stderr": 0}, []
    while True:
        frame = await socket.next("", seconds)
        if frame["type"] == until:
            return {name: bytes(data) for name, data in streams.items()}, gaps
        if frame["type"] == "output_skipped":
            assert frame["from"] == at[frame["stream"]]
            at[frame["stream"]] = frame["to"]
            gaps.append((frame["from"], frame["to"]))
        elif frame["type"] == "output":
            data = b64decode(frame["data"])
            assert frame["offset"] == at[frame["stream"]]
            at[frame["stream"]] += len(data)
            streams[frame["stream"]] += data


async def test_both_streams_arrive_byte_for_byte_and_then_the_end(socket: Any, command: Command) -> None:
    await follow(socket, command)
    publish(command, b"out\x00\xff", "stdout")
    publish(command, b"err", "stderr")
    publish(command, b" more", "stdout")
    finish(command)
    assert await read(socket) == ({"stdout": b"out\x00\xff more", "stderr": b"err"}, [])


async def test_who_comes_late_gets_what_is_in_memory(socket: Any, command: Command) -> None:
    publish(command, b"before ")
    await follow(socket, command)
    assert b64decode((await socket.next("output"))["data"]) == b"before "
    publish(command, b"after")
    frame = await socket.next("output")
    assert (frame["offset"], b64decode(frame["data"])) == (7, b"after")


async def test_what_is_no_longer_in_memory_is_a_gap(socket: Any, command: Command) -> None:
    data = bytes(range(256)) * 1024  # 256 KiB, of which the last 64 are kept
    publish(command, data)
    await follow(socket, command)
    finish(command)
    streams, gaps = await read(socket)
    assert gaps == [(0, len(data) - output.KEPT)]
    assert streams["stdout"] == data[-output.KEPT :]


async def test_a_flood_is_skipped_not_queued(socket: Any, command: Command) -> None:
    await follow(socket, command)
    piece = bytes(range(256)) * 64
    for _ in range(640):  # 10 MiB
        publish(command, piece)
    finish(command)
    streams, gaps = await read(socket)
    assert gaps
    assert streams["stdout"][-output.KEPT :] == (piece * 4)[-output.KEPT :]
    assert len(streams["stdout"]) + sum(to - start for start, to in gaps) == 640 * len(piece)
    assert sum(len(one.data) for one in output._commands[command.pk].streams.values()) <= output.KEPT


async def test_at_most_twenty_frames_a_second(socket: Any, command: Command) -> None:
    await follow(socket, command)
    stop = threading.Event()

    def chatter() -> None:
        while not stop.wait(0.005):
            output.publish(command.pk, command.sandbox_id, "stdout", b"x")

    thread = threading.Thread(target=chatter)
    thread.start()
    frames = [one for one in await socket.gather(1.5) if one["type"] == "output"]
    stop.set()
    thread.join()
    assert 5 <= len(frames) <= 31


async def test_nothing_more_after_unfollow(socket: Any, command: Command) -> None:
    await follow(socket, command)
    publish(command, b"one")
    await socket.next("output")
    await socket.send({"type": "unfollow", "command": command.pk})
    await socket.gather(0.2)
    publish(command, b"two")
    assert await socket.quiet(0.3, "output")


async def test_a_foreign_command_cannot_be_followed(
    open_socket: Any, bob: Any, launch: Any, command: Command
) -> None:
    other = await sync_to_async(launch)(owner=bob)
    socket = await open_socket(f"/ws/sandboxes/{other.pk}/", bob)
    publish(command, b"secret")
    await follow(socket, command)
    assert (await socket.next("error"))["code"] == "bad_command"
    publish(command, b"secret")
    assert await socket.quiet(0.3, "output")


@pytest.mark.parametrize("message", [{"command": None}, {"command": 3}, {}, {"command": "cmd_missing"}])
async def test_nonsense_is_answered(socket: Any, message: Any) -> None:
    await socket.send({"type": "follow"} | message)
    assert (await socket.next("error"))["code"] == "bad_command"


async def test_one_that_ended_meanwhile_is_named_so_that_its_record_is_fetched(
    socket: Any, command: Command
) -> None:
    await sync_to_async(Command.objects.filter(pk=command.pk).update)(status=CommandStatus.EXITED)
    await follow(socket, command)
    assert await socket.next("command") == {"type": "command", "id": command.pk}


async def test_pages_that_do_not_follow_hear_of_the_end_too(socket: Any, command: Command) -> None:
    finish(command)
    assert await socket.next("command") == {"type": "command", "id": command.pk}


async def test_too_many_are_refused(socket: Any, command: Command) -> None:
    def more() -> list[Command]:
        return [
            Command.objects.create(sandbox_id=command.sandbox_id, argv=["x"], time_limit=1) for _ in range(21)
        ]

    for each in await sync_to_async(more)():
        await follow(socket, each)
    assert (await socket.next("error"))["code"] == "too_many"


async def test_nothing_is_kept_after_the_end(
    socket: Any, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "AFTERWARDS", 0.5)
    await follow(socket, command)
    publish(command, b"out")
    finish(command)
    assert await eventually(lambda: command.pk not in output._commands)
    await socket.close()
    assert command.pk not in output._followers


def test_without_pages_nothing_is_kept_at_all() -> None:
    hub.end()
    output.publish("cmd_1", "sb_1", "stdout", b"out")
    output.finished("cmd_1", "sb_1")
    assert "cmd_1" not in output._commands


async def test_a_page_that_does_not_read_keeps_no_other_from_the_end(socket, command, monkeypatch):
    monkeypatch.setattr(output, "LAST_WORD", 0.2)
    held = asyncio.Event()

    async def deaf(message: Any) -> None:
        await held.wait()

    follower = output.Follower(command.pk, command.sandbox_id, deaf, asyncio.Lock())
    follower.start()
    await follow(socket, command)
    publish(command, b"all of it")
    finish(command)
    streams, _ = await read(socket)
    assert streams["stdout"] == b"all of it"
    held.set()
    follower.stop()
