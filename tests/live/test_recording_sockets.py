"""A recorded terminal through its sockets: who is told what, who starts and stops it, what it keeps."""

from __future__ import annotations

import os

import pytest
from asgiref.sync import sync_to_async

from sandboxes.engine.base import Unreachable
from sandboxes.lifecycle import recordings
from sandboxes.live import recording_format
from sandboxes.live.registry import registry
from sandboxes.models import Event, Outcome, Recording, Sandbox, Terminal
from tests.live.helpers import eventually
from tests.live.test_recording_format import cast

pytestmark = pytest.mark.django_db(transaction=True)
SHOWN = "This terminal is recorded: what it shows is kept and can be replayed."
KEYS = f"{SHOWN} What you type is kept too, also passwords."


@pytest.fixture
def recorded(running):
    """``recorded("always", keystrokes=True)``: alice's sandbox, launched under such a policy."""

    def made(policy, keystrokes=False):
        Sandbox.objects.filter(pk=running.pk).update(recording=policy, recording_keystrokes=keystrokes)
        return running

    return sync_to_async(made)


async def ended():
    """The recording, once its end is on record."""
    assert await eventually(Recording.objects.exclude(ended_at=None).aexists)
    return await Recording.objects.aget()


async def text_of(row, code="o"):
    found = await sync_to_async(lambda: cast(recordings.path_of(row))[1])()
    return "".join(text for _, one, text in found if one == code)


async def test_where_the_policy_is_always_it_begins_with_the_terminal_and_everybody_is_told(
    recorded, open_terminal, alice, prof
):
    sandbox = await recorded("always")
    page = await open_terminal(sandbox.pk, alice)
    told = await page.read(kind="recording")
    assert told == {"type": "recording", "on": True, "policy": "always", "keystrokes": False,
                    "sentence": SHOWN, "yours": False}  # fmt: skip
    assert (await (await open_terminal(sandbox.pk, prof)).read(kind="recording"))["on"] is True
    await page.type(b"echo hello\r")
    await page.read(until=b"hello\r\n")
    await page.send({"type": "close"})
    await page.read(kind="closed")
    row = await ended()
    assert page.bytes.decode() in await text_of(row)
    assert await text_of(row, "i") == ""
    assert (row.ended_reason, row.opened_by, row.terminal_name) == ("Closed by alice.", "alice", "main")
    assert await Recording.objects.acount() == 1
    rows = Event.objects.filter(action__startswith="recording").order_by("id")
    assert [event.action async for event in rows] == ["recording.start", "recording.stop"]


async def test_with_keystrokes_the_sentence_says_so_and_they_are_kept(recorded, open_terminal, alice):
    page = await open_terminal((await recorded("always", keystrokes=True)).pk, alice)
    told = await page.read(kind="recording")
    assert (told["keystrokes"], told["sentence"]) == (True, KEYS)
    await page.type(b"echo hi\r")
    await page.read(until=b"hi\r\n")
    await page.type(b"exit\r")
    await page.read(kind="closed")
    assert await text_of(await ended(), "i") == "echo hi\rexit\r"


async def test_where_nothing_is_recorded_no_frame_says_anything(recorded, open_terminal, alice):
    page = await open_terminal((await recorded("off")).pk, alice)
    await page.read(kind="terminals")
    await page.send({"type": "record", "on": True})
    assert (await page.read(kind="error"))["code"] == "not_recorded"
    assert "recording" not in {frame["type"] for frame in page.frames}
    assert not await Recording.objects.aexists()


async def test_its_owner_starts_and_stops_it_and_the_others_see_both(recorded, open_terminal, alice, prof):
    sandbox = await recorded("optional")
    page, other = await open_terminal(sandbox.pk, alice), await open_terminal(sandbox.pk, prof)
    first = await page.read(kind="recording")
    assert (first["on"], first["yours"], first["sentence"]) == (False, True, "")
    assert (await other.read(kind="recording"))["yours"] is False
    await page.type(b"echo before\r")
    await page.read(until=b"before\r\n")
    await page.send({"type": "record", "on": True})
    for one in (page, other):
        told = await one.read(kind="recording")
        assert (told["on"], told["sentence"]) == (True, SHOWN)
    await page.type(b"echo during\r")
    await page.read(until=b"during\r\n$ ")
    await page.send({"type": "record", "on": False})
    for one in (page, other):
        told = await one.read(kind="recording")
        assert (told["on"], told["sentence"]) == (False, "Stopped by alice.")
    row = await ended()
    text = await text_of(row)
    assert "during" in text
    assert "before" not in text
    assert row.ended_reason == "Stopped by alice."
    event = await Event.objects.aget(action="recording.stop")
    assert (event.actor_name, event.outcome) == ("alice", Outcome.OK)


async def test_started_twice_at_once_it_is_one_and_stopped_it_can_be_started_again(
    recorded, open_terminal, alice
):
    page = await open_terminal((await recorded("optional")).pk, alice)
    await page.read(kind="recording")
    for _ in range(3):
        await page.send({"type": "record", "on": True})
    assert (await page.read(kind="recording"))["on"] is True
    await page.send({"type": "record", "on": False})
    assert (await page.read(kind="recording"))["on"] is False
    assert await Recording.objects.acount() == 1
    await page.send({"type": "record", "on": True})
    assert (await page.read(kind="recording"))["on"] is True
    assert await Recording.objects.acount() == 2


@pytest.mark.parametrize("policy", ["always", "optional"])
async def test_nobody_else_starts_or_stops_it(recorded, open_terminal, alice, prof, policy):
    sandbox = await recorded(policy)
    page, other = await open_terminal(sandbox.pk, alice), await open_terminal(sandbox.pk, prof)
    who = other if policy == "optional" else page
    was = (await who.read(kind="recording"))["on"]
    await who.send({"type": "record", "on": not was})
    assert (await who.read(kind="error"))["code"] == "not_recorded"
    assert await Recording.objects.filter(ended_at=None).acount() == (policy == "always")
    refusals = Event.objects.filter(action="recording.start", outcome=Outcome.REFUSED)
    assert await eventually(refusals.aexists)


async def test_always_with_a_disk_that_cannot_be_written_opens_no_terminal(
    recorded, open_terminal, alice, settings
):
    sandbox = await recorded("always")
    (settings.DATA_DIR / "recordings").write_text("a file is in the way")
    page = await open_terminal(sandbox.pk, alice)
    goodbye = await page.read(kind="goodbye")
    assert goodbye["reason"] == "The recording cannot be written just now. Ask an admin to look at the disk."
    event = await Event.objects.aget(action="terminal.open", outcome=Outcome.REFUSED)
    assert (event.actor_name, event.sandbox_id) == ("alice", sandbox.pk)
    assert await eventually(Terminal.objects.exclude(ended_at=None).aexists)
    assert not await Recording.objects.aexists()


async def test_optional_with_such_a_disk_opens_and_says_so_when_it_is_asked_for(
    recorded, open_terminal, alice, settings
):
    sandbox = await recorded("optional")
    (settings.DATA_DIR / "recordings").write_text("a file is in the way")
    page = await open_terminal(sandbox.pk, alice)
    await page.read(kind="recording")
    await page.send({"type": "record", "on": True})
    assert "cannot be written" in (await page.read(kind="error"))["message"]
    await page.type(b"echo fine\r")
    await page.read(until=b"fine\r\n")


async def test_a_disk_that_fills_up_ends_the_recording_not_the_terminal(recorded, open_terminal, alice):
    sandbox = await recorded("always")
    page = await open_terminal(sandbox.pk, alice)
    await page.read(kind="recording")
    file = registry.find((sandbox.pk, "main")).recorder._file
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, file._fd)
    os.close(full)
    await page.type(b"echo more\r")
    told = await page.read(kind="recording")
    sentence = "The recording ended here: there is no room on the disk."
    assert (told["on"], told["sentence"]) == (False, sentence)
    await page.type(b"echo goes ''on\r")
    await page.read(until=b"goes")
    row = await ended()
    assert row.ended_reason == sentence
    event = await Event.objects.aget(action="recording.stop")
    assert (event.outcome, event.reason) == (Outcome.FAILED, sentence)


async def test_at_its_size_it_ends_and_the_terminal_goes_on(recorded, open_terminal, alice, settings, engine):
    settings.SANDBOX_RECORDING_CAP = 3000
    sandbox = await recorded("always")
    page = await open_terminal(sandbox.pk, alice)
    await page.read(kind="recording")
    engine.containers[sandbox.native_id].processes[-1].feed(b"x" * 4000)
    told = await page.read(kind="recording")
    assert told["on"] is False
    assert "it has reached its size" in told["sentence"]
    await page.type(b"echo goes-on\r")
    await page.read(until=b"goes-on\r\n")
    row = await ended()
    assert (await sync_to_async(recording_format.measure)(recordings.path_of(row)))[1] <= 3000


async def test_a_terminal_that_could_not_be_opened_leaves_no_recording_that_runs(
    recorded, open_terminal, alice, engine, monkeypatch
):
    sandbox = await recorded("always")

    async def broken(*args, **kwargs):
        raise Unreachable("The engine does not answer.")

    monkeypatch.setattr(engine, "open_terminal", broken)
    page = await open_terminal(sandbox.pk, alice)
    await page.read(kind="goodbye")
    assert (await ended()).ended_reason == "The terminal could not be opened."
