"""To everyone or a selection: messages, files, commands with their matrix, more time, pause."""

from __future__ import annotations

import re
import time
import tracemalloc

import pytest
from asgiref.sync import sync_to_async
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils.html import escape

from sandboxes import cells
from sandboxes.engine.base import EngineError
from sandboxes.labs import broadcast, opening, watching
from sandboxes.labs.models import Enrollment, LabRun, LabRunResult, Message, Seat
from sandboxes.lifecycle import audit
from sandboxes.models import Command, Event, Outcome, Sandbox
from tests.live.conftest import open_socket  # noqa: F401
from tests.live.helpers import eventually
from tests.pages.conftest import HTMX, browser, text

from .conftest import PROF, rounds

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def many(ines, open_lab):
    """``many(do, ...)``: what the wall's form sends."""
    client = browser(ines)

    def send(do, **fields):
        return client.post(reverse("to_many", args=[open_lab.pk]), {"do": do, **fields}, follow=True)

    return send


def words(run):
    return {row.seat.enrollment.name: (row.done, row.reason) for row in run.results.all()}


# -- messages -----------------------------------------------------------------------------------


def test_a_message_to_everyone_is_one_row(many, open_lab):
    assert "Told 2." in text(many("message", all="1", text="  Eyes up. "))
    row = Message.objects.get()
    assert (row.text, row.by_name, row.seat) == ("Eyes up.", "Ines", None)
    assert Event.objects.get(action="lab.message").actor_name == "ines"


def test_everyone_of_a_section_are_those_and_no_others(many, open_lab, seat, alice, bob, ines):
    Enrollment.objects.filter(user=bob).update(section="B")
    wall = browser(ines).get(reverse("wall", args=[open_lab.pk]) + "?section=B")
    assert "section B (1)" in re.sub("<[^>]+>", "", text(wall))
    assert '<input type="hidden" name="section" value="B">' in wall.content.decode()
    assert "Told 1." in text(many("message", all="1", section="B", text="You"))
    assert Message.objects.get().seat == seat(bob)
    many("pause", all="1", section="B")
    assert list(LabRun.objects.get().results.values_list("seat", flat=True)) == [seat(bob).pk]
    assert "Tick some tiles first" in text(many("pause", all="1", section="C"))
    everyone = browser(ines).get(reverse("wall", args=[open_lab.pk]))
    assert "everyone (2)" in re.sub("<[^>]+>", "", text(everyone))


def test_a_message_to_the_ticked_is_theirs(many, seat, alice):
    many("message", text="You too", seat=[seat(alice).pk])
    assert Message.objects.get().seat == seat(alice)


@pytest.mark.parametrize("value", ["", "   ", "x" * 1001, "a\0b"])
def test_messages_that_cannot_be(many, value):
    assert "Write a message of" in text(many("message", all="1", text=value))
    assert not Message.objects.exists()
    assert Event.objects.filter(action="lab.many", outcome=Outcome.REFUSED).exists()


def test_nobody_chosen_is_said(many):
    assert "Tick some tiles first" in text(many("message", text="x"))
    assert "Tick some tiles first" in text(many("command", command="true", seat=["seat_other", "x" * 5000]))


def test_an_act_that_there_is_not(many):
    assert many("explode", all="1").status_code == 404


async def test_a_message_reaches_open_seats_by_itself(open_lab, alice, bob, open_socket):  # noqa: F811
    mine = [seat async for seat in Seat.objects.filter(lab=open_lab)]
    sockets = [
        await open_socket(f"/ws/seats/{seat.pk}/", user)
        for seat, user in zip(mine, (alice, bob), strict=True)
    ]
    await eventually(lambda: len(watching.open_sockets) == 2)
    began = time.monotonic()
    await sync_to_async(broadcast.message)(open_lab, "One", PROF)
    await sync_to_async(broadcast.message)(open_lab, "Two", PROF)
    for socket in sockets:
        assert [(await socket.next("message"))["text"] for _ in range(2)] == ["One", "Two"]
    assert time.monotonic() - began < 10


# -- commands -----------------------------------------------------------------------------------


def test_a_command_runs_in_each_and_the_matrix_tells(many, open_lab, ines):
    page = many("command", all="1", command="echo hello")
    assert "0 of 2 are through" in text(page)
    run = LabRun.objects.get()
    rounds()
    page = browser(ines).get(reverse("lab_run", args=[open_lab.pk, run.pk]))
    assert "2 of 2 good" in text(page)
    assert text(page).count('<code class="begins">hello</code>') == 2, "without unfolding"
    assert set(Command.objects.values_list("by_name", flat=True)) == {"ines"}
    assert Event.objects.filter(action="command.run", actor_name="ines").count() >= 2


def test_only_the_ticked_run_it(many, seat, alice):
    many("command", command="true", seat=[seat(alice).pk])
    assert list(LabRun.objects.get().results.values_list("seat", flat=True)) == [seat(alice).pk]


def test_the_failed_are_tried_again_and_nobody_else(many, open_lab, seat, alice, ines):
    Sandbox.objects.filter(pk=seat(alice).sandbox_id).update(status="stopped")
    many("command", all="1", command="echo ok")
    rounds()
    run = LabRun.objects.get()
    assert words(run)["Alice"][1].endswith("Start it first.")
    Sandbox.objects.filter(pk=seat(alice).sandbox_id).update(status="running")
    retried = browser(ines).post(reverse("lab_run_retry", args=[open_lab.pk, run.pk]), follow=True)
    assert "1 tried again." in text(retried)
    rounds()
    assert words(run) == {"Alice": (True, ""), "Bob": (True, "")}
    assert Command.objects.count() == 2


def test_one_of_two_failed_is_said(many, open_lab, seat, alice, ines):
    Sandbox.objects.filter(pk=seat(alice).sandbox_id).update(status="stopped")
    many("command", all="1", command="echo ok")
    rounds()
    run = LabRun.objects.get()
    assert "2 of 2, 1 failed" in text(browser(ines).get(reverse("wall", args=[open_lab.pk])))
    page = text(browser(ines).get(reverse("lab_run", args=[open_lab.pk, run.pk])))
    assert "1 of 2 good, 1 failed" in page


def test_an_exit_code_is_a_failure_too(many, open_lab, ines):
    many("command", all="1", command="echo out; echo wrong >&2; exit 3")
    rounds()
    run = LabRun.objects.get()
    matrix = browser(ines).get(reverse("lab_run", args=[open_lab.pk, run.pk]))
    assert text(matrix).count('<code class="begins">wrong</code>') == 2
    assert "2 of 2 failed" in text(browser(ines).get(reverse("wall", args=[open_lab.pk])))
    assert "2 of 2 failed" in text(browser(ines).get(reverse("lab_run", args=[open_lab.pk, run.pk])))
    assert broadcast.retry(run, PROF) == 2
    assert broadcast.recent(open_lab)[0].failed == 0
    rounds()
    assert Command.objects.filter(exit_code=3).count() == 4


def test_the_spreadsheet_holds_no_formula(many, open_lab, ines):
    many("command", all="1", command="echo =1+1")
    rounds()
    answer = browser(ines).get(reverse("lab_run_csv", args=[open_lab.pk, LabRun.objects.get().pk]))
    assert "'=1+1" in answer.content.decode("utf-8-sig")
    assert answer["Content-Type"].startswith("text/csv")


@pytest.mark.parametrize("text", ["=A1", "+1", "-1", "@x", "\t=1", "\r=1", "  =1"])
def test_cells_are_text(text):
    assert cells.safe(text).startswith("'")


def test_numbers_and_plain_text_stay():
    assert [cells.safe(one) for one in (-1, 2.5, None, "Ada")] == ["-1", "2.5", "", "Ada"]


def test_the_matrix_reads_no_more_than_it_shows(many, open_lab, ines):
    """It is fetched anew each second, and of each in the class two streams of a megabyte are kept."""
    many("command", all="1", command="true")
    rounds()
    run = LabRun.objects.get()
    Command.objects.update(
        stdout=b"first\n" + b"x" * 3_000_000 + b"\nlast", stderr=b"small", exit_code=1, reason=""
    )
    tracemalloc.start()
    try:
        page = text(browser(ines).get(reverse("lab_run", args=[open_lab.pk, run.pk])))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert page.count("last</pre>") == page.count('<code class="begins">small</code>') == 2
    assert most < 3_000_000


# -- files --------------------------------------------------------------------------------------


def test_a_file_goes_into_each_workspace(many, engine, open_lab, ines):
    file = SimpleUploadedFile("data.csv", b"a,b\n")
    many("file", all="1", file=file)
    rounds()
    run = LabRun.objects.get()
    assert words(run) == {"Alice": (True, ""), "Bob": (True, "")}
    page = text(browser(ines).get(reverse("lab_run", args=[open_lab.pk, run.pk])))
    assert "File data.csv</h1>" in page
    assert page.count("copied</span>") == 2


def test_where_it_could_not_be_put_there_is_a_reason(many, engine, open_lab):
    engine.fail["put_files"] = [EngineError("No space left.")]
    many("file", all="1", file=SimpleUploadedFile("data.csv", b"a,b\n"))
    rounds()
    reasons = {reason for _, reason in words(LabRun.objects.get()).values()}
    assert reasons == {"", "The files could not be put there: No space left."}


def test_files_of_labs_that_are_over_are_let_go(many, open_lab):
    many("file", all="1", file=SimpleUploadedFile("data.csv", b"a,b\n"))
    path = broadcast.path_of(LabRun.objects.get())
    broadcast.forget_files()
    assert path.is_file()
    opening.close_lab(open_lab, PROF)
    broadcast.forget_files()
    assert not path.exists()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b", "a\nb", "x" * 201])
def test_files_need_a_plain_name(open_lab, seat, alice, name):
    with pytest.raises(broadcast.Refused):
        broadcast.put_file(open_lab, name, b"", PROF, [seat(alice)])


def test_files_that_are_too_big_and_none_at_all(many):
    big = SimpleUploadedFile("big.bin", bytes(broadcast.FILE_CAP + 1))
    assert "has at most" in text(many("file", all="1", file=big))
    assert "Choose a file first." in text(many("file", all="1"))
    assert not LabRun.objects.exists()


# -- time and the rest --------------------------------------------------------------------------


def test_more_time_for_the_ticked(many, seat, alice, bob):
    many("extend", seat=[seat(alice).pk], minutes="10")
    assert (seat(alice).extra, seat(bob).extra) == (600, 0)


@pytest.mark.parametrize("minutes", ["0", "x", "-1", "99999", "٣٣"])
def test_time_that_cannot_be(many, minutes):
    assert "Give 1 to 720 minutes." in text(many("extend", all="1", minutes=minutes))


def test_htmx_gets_a_toast_and_runs_their_page(ines, open_lab):
    client, address = browser(ines), reverse("to_many", args=[open_lab.pk])
    told = client.post(address, {"do": "message", "all": "1", "text": "x"}, **HTMX)
    assert told.status_code == 204
    assert "Told 2." in told["HX-Trigger"]
    run = client.post(address, {"do": "command", "all": "1", "command": "true"}, **HTMX)
    assert run["HX-Redirect"].startswith(f"/labs/{open_lab.pk}/runs/")


def test_htmx_keeps_what_was_refused(ines, open_lab):
    address = reverse("to_many", args=[open_lab.pk])
    refused = browser(ines).post(address, {"do": "message", "all": "1", "text": " "}, **HTMX)
    assert refused.status_code == 422
    assert "Write a message" in refused["HX-Trigger"]


def test_without_a_script_it_goes_back_to_the_same_wall_and_runs_to_their_page(ines, open_lab):
    client, address = browser(ines), reverse("to_many", args=[open_lab.pk])
    here = f"/labs/{open_lab.pk}/wall/?sort=name"
    told = client.post(address, {"do": "message", "all": "1", "text": "x", "next": here})
    assert told["Location"] == here
    run = client.post(address, {"do": "command", "all": "1", "command": "true", "next": here})
    assert "/runs/" in run["Location"]


def test_from_a_run_it_is_one_click_to_the_wall_as_it_was(ines, open_lab):
    client, address = browser(ines), reverse("to_many", args=[open_lab.pk])
    here = f"/labs/{open_lab.pk}/wall/?sort=name&section=A%26B"
    asked = {"do": "command", "all": "1", "command": "true", "next": here}
    to = client.post(address, asked, **HTMX)["HX-Redirect"]
    page = client.get(to).content.decode()
    back = f'href="{escape(here)}"'
    assert page.count(back) == 2
    assert f'hx-get="{escape(to)}"' in page, "it is fetched anew while it goes on"
    run = LabRun.objects.get()
    LabRunResult.objects.update(done=True, reason="Away.")
    retried = client.post(reverse("lab_run_retry", args=[open_lab.pk, run.pk]), {"next": here})
    assert back in client.get(retried["Location"]).content.decode()
    for other in ("/images/", "//elsewhere.example/", f"/labs/{open_lab.pk}/"):
        page = client.get(to.partition("?")[0], {"next": other}).content.decode()
        assert f'href="/labs/{open_lab.pk}/wall/"' in page


def test_who_acts_is_who_asked(open_lab, seat, alice):
    by = audit.Origin("user", name="nobody-any-more")
    broadcast.command(open_lab, "true", by, [seat(alice)])
    rounds()
    assert Command.objects.get().by_name == "nobody-any-more"
