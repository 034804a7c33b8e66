"""Who is taken out of a course keeps no sandbox of it: pages 404, sockets closed; the work stays."""

from __future__ import annotations

import pytest
from asgiref.sync import sync_to_async
from django.urls import reverse

from sandboxes import access
from sandboxes.labs import people, seats
from sandboxes.labs.models import Enrollment
from sandboxes.models import Sandbox, Status
from tests.live.conftest import open_socket, open_terminal  # noqa: F401
from tests.pages.conftest import browser

from .conftest import PROF, rounds

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def take_out(course, ines):
    """``take_out(alice)``: by the instructor, as the page does it."""

    def out(user):
        people.remove(Enrollment.objects.get(course=course, user=user), ines, PROF)

    return out


def pages(user, sandbox):
    """What the pages of a sandbox answer."""
    client = browser(user)
    one = [sandbox.pk]
    return [
        client.get(reverse("sandbox_detail", args=one)).status_code,
        client.get(reverse("recording_list", args=one)).status_code,
        client.post(reverse("command_run", args=one), {"command": "true"}).status_code,
        client.post(reverse("sandbox_act", args=[*one, "stop"])).status_code,
    ]


def test_the_sandbox_is_as_if_missing_and_runs_on(take_out, seat, alice, ines):
    sandbox = seat(alice).sandbox
    take_out(alice)
    assert pages(alice, sandbox) == [404] * 4
    assert sandbox.name.encode() not in browser(alice).get(reverse("sandbox_list")).content
    sandbox.refresh_from_db()
    assert sandbox.status == Status.RUNNING
    assert browser(ines).get(reverse("sandbox_detail", args=[sandbox.pk])).status_code == 200


def test_staff_see_who_was_taken_out(take_out, seat, alice, open_lab, ines):
    pages = [reverse(name, args=[open_lab.pk]) for name in ("wall", "lab_detail", "lab_overview")]
    assert all("taken out" not in browser(ines).get(page).content.decode() for page in pages)
    take_out(alice)
    assert all(browser(ines).get(page).content.decode().count(">taken out<") == 1 for page in pages)


def test_many_are_asked_about_at_once_and_only_the_lost_are_lost(take_out, seat, alice, bob, launch):
    hers, his, own = seat(alice).sandbox, seat(bob).sandbox, launch()
    take_out(alice)
    rows = list(Sandbox.objects.filter(pk__in=[hers.pk, his.pk, own.pk]))
    access.learn(rows)
    assert {row.pk for row in rows if row.taken_back} == {hers.pk}
    assert set(access.visible(alice)) == {own}


def test_what_was_there_before_it_was_started_over_is_lost_too(take_out, seat, alice):
    before = seat(alice).sandbox
    seats.start_over(seat(alice), PROF)
    rounds()
    take_out(alice)
    assert pages(alice, before)[:2] == [404, 404]


def test_who_is_brought_back_has_it_back(take_out, seat, alice):
    sandbox = seat(alice).sandbox
    take_out(alice)
    people.restore(Enrollment.objects.get(user=alice), PROF)
    assert browser(alice).get(reverse("sandbox_detail", args=[sandbox.pk])).status_code == 200


async def comes_to_rest(page):
    """Whether numbers stop coming, sooner or later."""
    for _ in range(10):
        if await page.quiet(2.5, "stats"):
            return True
    return False


async def test_open_sockets_are_closed_at_once(take_out, seat, alice, open_socket, open_terminal):  # noqa: F811
    mine = await sync_to_async(seat)(alice)
    terminal = await open_terminal(mine.sandbox_id, alice)
    await terminal.read(until=b"$ ")
    page = await open_socket(f"/ws/sandboxes/{mine.sandbox_id}/", alice)
    fleet = await open_socket("/ws/sandboxes/", alice)
    await fleet.send({"type": "watch", "ids": [mine.sandbox_id]})
    assert (await fleet.next("stats"))["rows"]
    await sync_to_async(take_out)(alice)
    assert (await page.next("goodbye"))["code"] == "not_found"
    assert (await terminal.read(kind="goodbye"))["code"] == "not_found"
    assert await comes_to_rest(fleet)
