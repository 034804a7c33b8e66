"""The wall: what a screen shows, who gets a seat's and a wall's socket, what they send, and for how long."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from sandboxes.labs import opening, screen, tiles, trail, wall, watching
from sandboxes.labs.models import Enrollment, Hand, Lab, Message, Seat
from sandboxes.models import Event, User
from tests.live.conftest import open_socket, open_terminal  # noqa: F401
from tests.live.helpers import eventually
from tests.pages.conftest import browser, text

from .conftest import PROF

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"$ ls\r\na  b\r\n$ ", ["$ ls", "a  b", "$ ▮"]),
        (b"\x1b[1;32m$\x1b[0m ec\x08ls\r\n", ["$ els", "▮"]),
        (b"10 %\r20 %\r\x1b[K30 %", ["30 %▮"]),
        (b"old\r\nlines\r\n\x1b[H\x1b[2J$ new", ["$ new▮"]),
        (b"a\r\nb\r\nc\r\nd\r\ne\r\nf\r\ng", ["b", "c", "d", "e", "f", "g▮"]),
        (b"\x1b]0;title\x07$ \x1b[?2004h", ["$ ▮"]),
        (b"a\tb", ["a       b▮"]),
        (b"\x1b[?1049h~\r\n~\x1b[?1049l", ["▮"]),
        (b"$ vi\r\n\x1b[?1049hx\x1b[?1049l$ ", ["$ vi", "$ ▮"]),
        (b"\xff\xfe\x00<b>", ["\ufffd\ufffd<b>▮"]),
        (b"\x1b[999999999;3Hx", ["  x▮"]),
        (b"\x1b[;;H\x1b[K\x1b[J\x1b[99999999P", ["▮"]),
        (b"", ["▮"]),
    ],
)
def test_a_screen_from_its_bytes(data, shown):
    assert screen.last_lines(data) == shown


def test_long_lines_wrap_as_in_the_terminal():
    assert screen.last_lines(b"$ abcdefgh", (5, 3)) == ["$ abc", "defgh▮"]


def test_what_begins_in_the_middle_of_a_line_is_left_out():
    assert screen.last_lines(b"1;31mrest\r\n$ ", is_cut=True) == ["$ ▮"]


def test_noise_is_drawn_in_bounds():
    lines = [screen.last_lines(os.urandom(screen.BYTES)) for _ in range(20)]
    assert all(len(one) <= 6 and max(map(len, one), default=0) <= 200 for one in lines)


def test_tiles_take_few_queries(open_lab, django_assert_max_num_queries):
    tiles.of(open_lab)  # the sheet is read once, ever
    with django_assert_max_num_queries(3):
        found = tiles.of(open_lab)
    assert [(one.name, one.word, one.pills) for one in found] == [
        ("Alice", "running", ["now", ""]),
        ("Bob", "running", ["now", ""]),
    ]


def test_a_tile_shows_the_hand_and_the_steps(open_lab, seat, alice, tina):
    place = seat(alice)
    Hand.objects.create(seat=place, text="Why?", claimed_by=tina)
    Seat.objects.filter(pk=place.pk).update(steps=[1], step=2)
    one = tiles.of(open_lab)[0]
    assert (one.hand_text, one.hand_by, one.pills) == ("Why?", "tina", ["done", "now"])


async def seats_of(lab):
    return {
        seat.enrollment.user.username: seat
        async for seat in Seat.objects.filter(lab=lab).select_related("enrollment__user", "lab")
    }


# -- sockets ------------------------------------------------------------------------------------

SEAT = {"alice": True, "bob": False, "ines": True, "tina": True, "prof": True, "other": False}
WALL = {"alice": False, "bob": False, "ines": True, "tina": True, "prof": True, "other": False}


@pytest.fixture
def other(db):
    return User.objects.create_user("other")


@pytest.mark.parametrize("kind", ["seat", "wall"])
@pytest.mark.parametrize("who", SEAT)
async def test_who_gets_a_socket(kind, who, open_lab, open_socket, other, request):  # noqa: F811
    user = await User.objects.aget(username=who) if who != "prof" else await make_prof()
    place = (await seats_of(open_lab))["alice"]
    path = f"/ws/seats/{place.pk}/" if kind == "seat" else f"/ws/labs/{open_lab.pk}/wall/"
    socket = await open_socket(path, user)
    may = (SEAT if kind == "seat" else WALL)[who]
    frame = None if may else await socket.next("", 15)
    assert (frame is None) == may
    if not may:
        assert (frame["type"], frame["code"]) == ("goodbye", "not_found")
        assert await Event.objects.filter(
            action="seat.view" if kind == "seat" else "lab.view", actor_name=who
        ).aexists()


async def make_prof():
    return await sync_to_async(User.objects.create_user)("prof", is_staff=True)


@pytest.mark.parametrize("path", ["/ws/seats/seat_x/", "/ws/labs/lab_x/wall/"])
async def test_nobody_without_a_name_and_nothing_that_is_not_there(path, ines, open_socket):  # noqa: F811
    assert not (await open_socket(path)).is_open
    assert (await (await open_socket(path, ines)).next())["code"] == "not_found"


async def test_a_seat_hears_of_its_changes_and_of_messages(open_lab, alice, bob, open_socket):  # noqa: F811
    mine = (await seats_of(open_lab))["alice"]
    hers = await open_socket(f"/ws/seats/{mine.pk}/", alice)
    his = await open_socket(f"/ws/seats/{(await seats_of(open_lab))['bob'].pk}/", bob)
    await eventually(lambda: len(watching.open_sockets) == 2)
    await sync_to_async(trail.nudge)(mine)
    assert await hers.next("changed", 3) == {"type": "changed"}
    await sync_to_async(trail.nudge)(open_lab, "message", text="Eyes up.", by="ines")
    assert (await hers.next("message", 3))["text"] == "Eyes up."
    assert (await his.next("message", 3))["by"] == "ines"


async def test_what_no_nudge_told_comes_all_the_same_and_once(open_lab, alice, open_socket):  # noqa: F811
    mine = (await seats_of(open_lab))["alice"]
    hers = await open_socket(f"/ws/seats/{mine.pk}/", alice)
    await eventually(lambda: watching.open_sockets)
    await Message.objects.acreate(lab=open_lab, by_name="ines", text="From another process.", about="end")
    heard = await hers.next("message", 4)
    assert (heard["text"], heard["about"]) == ("From another process.", "end")
    assert await hers.quiet(2.5, "message")


async def test_who_has_the_page_open_is_here_and_staff_that_look_are_not(
    open_lab,
    alice,
    ines,
    open_socket,  # noqa: F811
    monkeypatch,
):
    monkeypatch.setattr(watching, "_noted", {"at": -1000.0})
    long_ago = timezone.now() - timedelta(minutes=14)
    await Seat.objects.filter(lab=open_lab).aupdate(joined_at=long_ago, seen_at=long_ago)
    mine = await seats_of(open_lab)
    await open_socket(f"/ws/seats/{mine['bob'].pk}/", ines)
    await open_socket(f"/ws/seats/{mine['alice'].pk}/", alice)
    await eventually(lambda: len(watching.open_sockets) == 2)
    watching._noted["at"] = -1000.0

    async def here():
        found = await sync_to_async(tiles.of)(open_lab)
        return [one.name for one in found if one.here]

    assert await eventually(here)
    assert await here() == ["Alice"]


@pytest.mark.parametrize("who", ["ines", "alice"])
async def test_who_is_removed_is_shown_out(who, open_lab, course, open_socket, request):  # noqa: F811
    user = await User.objects.aget(username=who)
    mine = (await seats_of(open_lab))["alice"]
    path = f"/ws/labs/{open_lab.pk}/wall/" if who == "ines" else f"/ws/seats/{mine.pk}/"
    socket = await open_socket(path, user)
    await eventually(lambda: watching.open_sockets)
    await Enrollment.objects.filter(user=user).aupdate(removed_at=course.created_at)
    assert (await socket.next("goodbye", 3))["code"] == "not_found"
    assert await eventually(lambda: not watching.open_sockets)


async def test_the_wall_shows_what_is_typed(open_lab, alice, ines, open_socket, open_terminal):  # noqa: F811
    mine = (await seats_of(open_lab))["alice"]
    shell = await open_terminal(mine.sandbox_id, alice)
    await shell.read(until=b"$ ")
    viewer = await open_socket(f"/ws/labs/{open_lab.pk}/wall/", ines)
    await shell.run("echo hello", b"hello\r\n")

    async def seen(word):
        for _ in range(10):
            frame = await viewer.next("tiles", 4)
            row = frame["rows"].get(mine.pk)
            if row and word in row["lines"]:
                return row
        raise AssertionError(word)

    row = await seen("hello")
    assert (row["status"], row["word"], row["mark"]) == ("running", "running", "running")
    await Hand.objects.acreate(seat=mine, text="Help")
    await sync_to_async(trail.nudge)(mine)
    for _ in range(5):
        frame = await viewer.next("tiles", 15)
        if frame["rows"].get(mine.pk, {}).get("hand"):
            break
    else:
        raise AssertionError("the hand did not show")
    assert frame["hands"] == 1


async def test_the_wall_shows_the_shell_that_was_typed_in_last(
    open_lab,
    alice,
    ines,
    open_socket,  # noqa: F811
    open_terminal,  # noqa: F811
):
    mine = (await seats_of(open_lab))["alice"]
    main, two = (
        await open_terminal(mine.sandbox_id, alice),
        await open_terminal(mine.sandbox_id, alice, "two"),
    )
    await main.run("echo in-main", b"in-main\r\n")
    await two.run("echo in-two", b"in-two\r\n")
    viewer = await open_socket(f"/ws/labs/{open_lab.pk}/wall/", ines)
    await shown(viewer, mine, "in-two")
    await main.run("echo again", b"again\r\n")
    await shown(viewer, mine, "again")


async def shown(viewer, seat, line):
    """Wait until a seat's tile has this line."""
    while line not in (await viewer.next("tiles", 15))["rows"].get(seat.pk, {}).get("lines", ()):
        pass


async def test_the_wall_tells_that_its_lab_has_another_end_or_is_over(open_lab, ines, open_socket):  # noqa: F811
    viewer = await open_socket(f"/ws/labs/{open_lab.pk}/wall/", ines)
    page = await sync_to_async(lambda: text(browser(ines).get(f"/labs/{open_lab.pk}/wall/")))()
    first = (await viewer.next("tiles", 15))["lab"]
    assert f'data-state="{first}"' in page
    assert 'id="many"' in page
    later = open_lab.closes_at + timedelta(minutes=15)
    await Lab.objects.filter(pk=open_lab.pk).aupdate(closes_at=later)
    assert (await viewer.next("tiles", 15))["lab"] == f"open {later.timestamp():.0f}"
    await sync_to_async(opening.close_lab)(open_lab, PROF)
    assert (await viewer.next("tiles", 15))["lab"].startswith("closing ")
    page = await sync_to_async(lambda: text(browser(ines).get(f"/labs/{open_lab.pk}/wall/")))()
    assert 'id="many"' not in page


async def test_a_busy_class_sends_a_wall_one_frame_a_second_and_hands_only_when_one_changed(
    open_lab,
    ines,
    open_socket,  # noqa: F811
    monkeypatch,
):
    rounds = []
    real = wall.Wall.round
    monkeypatch.setattr(wall.Wall, "round", lambda self: (rounds.append(1), real(self)))
    mine = (await seats_of(open_lab))["alice"]
    viewer = await open_socket(f"/ws/labs/{open_lab.pk}/wall/", ines)
    first = await viewer.next("tiles", 15)
    frames, before = [], len(rounds)
    while len(rounds) - before < 3:
        await Seat.objects.filter(pk=mine.pk).aupdate(step_since=timezone.now())
        await sync_to_async(trail.nudge)(mine)
        frames += await viewer.gather(0.2)
    assert {one["type"] for one in frames} == {"tiles"}
    assert 1 <= len(frames) <= len(rounds) - before + 1
    assert {one["hands"] for one in frames} == {first["hands"]}


async def test_only_tiles_that_changed_are_sent(open_lab, alice, ines, open_socket, engine):  # noqa: F811
    viewer = await open_socket(f"/ws/labs/{open_lab.pk}/wall/", ines)
    first = await viewer.next("tiles", 5)
    assert len(first["rows"]) == 2
    frames = [one for one in await viewer.gather(3) if one["type"] == "tiles"]
    assert len(frames) <= 3
