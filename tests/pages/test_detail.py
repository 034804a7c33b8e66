"""A sandbox's page: its parts in every status, acting on it, what is kept from whom."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from sandboxes.engine.base import EngineError, Unreachable
from sandboxes.lifecycle import audit
from sandboxes.models import Event, Outcome, Sandbox

from .conftest import HTMX, refusals, text

pytestmark = pytest.mark.django_db
STATUSES = ("queued", "running", "paused", "stopped", "failed", "removed")
PENDING = ("", "launch", "start", "pause", "stop", "remove")
PARTS = ("header", "stage", "facts", "timeline", "commands")


def url(sandbox, *more):
    return "/".join(["/sandboxes", sandbox.pk, *more, ""])


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("pending", PENDING)
def test_the_page_opens_in_every_state(status, pending, row, as_alice, as_prof):
    one = row(
        status=status, pending=pending, launch_step="pulling", status_reason="why", status_detail="/var/lib"
    )
    assert as_prof.get(url(one)).status_code == 200
    page = text(as_alice.get(url(one)))
    assert "/var/lib" not in page
    assert f'data-status="{status}" data-pending="{pending}"' in page


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_the_same_element_that_the_page_has(part, row, as_alice):
    one = row()
    response = as_alice.get(url(one, "part", part), **HTMX)
    page = response.content.decode().strip()
    assert page.startswith("<")
    assert f'data-part="{part}"' in page.partition(">")[0]
    assert "<html" not in page
    assert f'id="room-{part}"' in as_alice.get(url(one)).content.decode()


def test_an_unknown_part_is_not_there(row, as_alice):
    assert as_alice.get(url(row(), "part", "secrets")).status_code == 404


def test_the_page_takes_few_queries(row, as_alice, django_assert_max_num_queries):
    one = row()
    for _ in range(30):
        audit.record("sandbox.pause", audit.SYSTEM, one)
    as_alice.get(url(one))
    with django_assert_max_num_queries(8):
        as_alice.get(url(one))
    with django_assert_max_num_queries(4):
        as_alice.get(url(one, "part", "header"))


@pytest.mark.parametrize(("action", "status"), [
    ("pause", "paused"), ("stop", "stopped"), ("restart", "running"), ("remove", "removed"),
    ("extend", "running"),
])  # fmt: skip
def test_act_without_script(action, status, running, as_alice):
    response = as_alice.post(url(running, action))
    assert (response.status_code, response.headers["Location"]) == (303, url(running))
    assert Sandbox.objects.get().status == status
    assert 'class="note ' in text(as_alice.get(url(running)))
    event = Event.objects.filter(action=f"sandbox.{action}", outcome=Outcome.OK).get()
    assert (event.actor_name, event.address) == ("alice", "127.0.0.1")


def test_act_by_htmx_answers_what_was_pressed_on(running, as_alice):
    header = as_alice.post(url(running, "pause"), HTTP_HX_TARGET="room-header", **HTMX)
    assert 'id="room-header"' in header.content.decode()
    assert '"toast"' in header.headers["HX-Trigger"]
    assert "sandbox-changed" in header.headers["HX-Trigger-After-Swap"]
    row = as_alice.post(url(running, "resume"), HTTP_HX_TARGET=f"row-{running.pk}", **HTMX)
    assert row.content.decode().strip().startswith(f'<tr id="row-{running.pk}"')


def test_two_clicks_are_one_action(running, as_alice):
    as_alice.post(url(running, "pause"))
    page = as_alice.post(url(running, "pause"), follow=True)
    assert "is paused already" in text(page)
    assert Event.objects.filter(action="sandbox.pause", outcome=Outcome.OK).count() == 1


def test_what_cannot_be_is_refused_politely_and_on_record(stopped, as_alice):
    page = text(as_alice.post(url(stopped, "pause"), follow=True))
    assert "is stopped, so it cannot be paused" in page
    assert len(refusals("sandbox.pause")) == 1


def test_a_question_is_left_with_keep_it_only_where_there_is_something_to_keep(as_alice, running):
    page = as_alice.get(url(running)).content.decode()
    assert ">Cancel</button>" in page
    asked = re.findall(
        r'data-confirm="(\w+) [^>]*?data-confirm-action="\w+"( data-confirm-keep="Keep it")?', page
    )
    assert {word: bool(keep) for word, keep in asked} == {"Stop": False, "Restart": False, "Remove": True}
    assert ">Cancel</a>" in text(as_alice.post(url(running, "restart") + "?confirm"))
    assert ">Keep it</a>" in text(as_alice.post(url(running, "remove") + "?confirm"))


def test_without_script_what_hurts_asks_first(running, as_alice):
    for action in ("stop", "restart", "remove"):
        asked = as_alice.post(url(running, action) + "?confirm")
        assert f'action="{url(running, action)}"' in text(asked)
    assert Sandbox.objects.get().status == "running"
    assert not Event.objects.filter(action="sandbox.remove").exists()


def test_what_does_not_hurt_never_asks(running, as_alice):
    as_alice.post(url(running, "pause") + "?confirm")
    assert Sandbox.objects.get().status == "paused"


@pytest.mark.parametrize("action", ["launch", "explode", "commands-x", "act"])
def test_an_unknown_action_is_not_there(action, running, as_alice):
    assert as_alice.post(url(running, action)).status_code == 404


def test_next_leads_back_but_never_off_the_site(running, as_alice):
    back = as_alice.post(url(running, "pause"), {"next": "/sandboxes/?q=a"})
    assert back.headers["Location"] == "/sandboxes/?q=a"
    for evil in ("https://evil.example/", "//evil.example/", "javascript:alert(1)", "\x00"):
        response = as_alice.post(url(running, "extend"), {"next": evil})
        assert response.headers["Location"] == url(running)


def test_the_engine_away_changes_nothing_and_says_so(running, engine, as_alice):
    engine.away = Unreachable("The engine does not answer.", "unix:///var/run/docker.sock")
    page = text(as_alice.post(url(running, "pause"), follow=True))
    assert "docker.sock" not in page
    assert "Engine unreachable since" in page
    assert Sandbox.objects.get().status == "running"


def test_a_launch_that_waits_for_the_engine_says_so(row, as_alice):
    page = text(as_alice.get(url(row(status="queued", status_reason="waiting for the engine"))))
    assert "<h2>Waiting for the engine</h2>" in page
    assert "It starts by itself as soon as it does." in page
    assert "waiting for the engine</span>" in text(as_alice.get("/sandboxes/"))


def test_a_launch_that_waits_its_turn_says_so(row, as_alice):
    page = text(as_alice.get(url(row(status="queued", pending="launch"))))
    assert "<h2>Waiting its turn</h2>" in page
    assert "one of those before it" in page


def test_engine_text_stays_with_staff(running, engine, as_alice):
    engine.fail["pause"] = EngineError("It could not be paused.", "/var/lib/docker/containers/abc: cgroup")
    page = text(as_alice.post(url(running, "pause"), follow=True))
    assert "/var/lib/docker" not in page


def test_buttons_come_from_the_table(row, as_alice):
    header = text(as_alice.get(url(row(status="paused"), "part", "header")))
    for word in ("Resume", "+ 30 min", "Stop", "Restart", "Remove"):
        assert f"{word}</button>" in header
    assert "Pause</button>" not in header


def test_buttons_come_by_capability(row, engine, as_alice):
    engine.capabilities = type(engine.capabilities)(pause=False)
    assert "Pause</button>" not in text(as_alice.get(url(row(), "part", "header")))


GREW = {"status": "stopped", "disk": 2 << 30, "disk_used": 4 << 30,
        "status_reason": "it was full and wrote more: 4 GB, and may write 2 GB"}  # fmt: skip


def test_what_its_owner_cannot_start_any_more_offers_no_start_but_says_what_helps(row, as_alice, as_prof):
    one = row(**GREW)
    places = [url(one, "part", "header"), url(one, "part", "stage"), f"/sandboxes/rows/?id={one.pk}"]
    for place in places:
        assert "Start</button>" not in text(as_alice.get(place))
        assert "Start</button>" in text(as_prof.get(place))
    assert not as_alice.post(url(one, "start"), follow=True).context["sandbox"].pending
    told = text(as_alice.get(url(one, "part", "stage")))
    assert "So you cannot start it again: remove it, or ask an admin to start it" in told
    assert "Remove</button>" in told


def test_one_that_was_full_once_is_offered_its_two_minutes(row, as_alice):
    stage = url(row(**GREW | {"status_reason": "it has written 4 GB, and may write 2 GB"}), "part", "stage")
    told = text(as_alice.get(stage))
    assert "Start</button>" in told
    assert "Started again it has two minutes in which to delete files." in told


def test_a_full_one_that_is_paused_or_runs_is_offered_nothing_that_is_refused(row, as_alice):
    paused = row(**GREW | {"status": "paused", "status_reason": ""})
    told = text(as_alice.get(url(paused)))
    assert "stop it and start it, then it has two minutes to delete files." in told
    assert "Stop</button>" in told
    for word in ("Resume", "Restart"):
        assert f"{word}</button>" not in told


def test_values_of_variables_are_shown_to_nobody(row, as_alice, as_prof):
    one = row(environment={"TOKEN": "s3cr3t-value"})
    for client in (as_alice, as_prof):
        page = text(client.get(url(one)))
        assert "TOKEN" in page
        assert "s3cr3t-value" not in page


def test_hostile_names_are_only_text(row, as_alice):
    one = row(name="<img src=x onerror=alert(1)>", status="failed", status_reason="<script>alert(1)</script>")
    for path in (url(one), "/sandboxes/"):
        page = as_alice.get(path).content.decode()
        assert "<img src=x" not in page
        assert "<script>alert" not in page


def test_the_story_is_told_in_order_and_plain_words(running, as_alice):
    as_alice.post(url(running, "pause"))
    story = text(as_alice.get(url(running, "part", "timeline")))
    assert story.index("alice paused it") < story.index("after launch") < story.index("alice launched it")


def test_time_left_is_a_clock_and_warns(row, as_alice):
    one = row(expires_at=timezone.now() + timedelta(minutes=2))
    page = text(as_alice.get(url(one)))
    assert "data-soon" in page
    assert "Then it is removed with its files." in page


def test_a_removed_one_still_tells_why(row, as_alice):
    page = text(as_alice.get(url(row(status="removed", status_reason="its time was over"))))
    assert "Its time was over" in page
    assert "Launch one like it" in page
    assert "Remove</button>" not in page


def test_that_somebody_else_joins_is_news_that_the_owner_does_is_not(row, alice, prof, as_alice):
    one = row()
    for user in (alice, prof):
        audit.record("terminal.join", audit.Origin.of(user), one, detail={"terminal": "main"})
        audit.record("terminal.leave", audit.Origin.of(user), one, detail={"terminal": "main"})
    story = text(as_alice.get(url(one, "part", "timeline")))
    assert "prof joined terminal <code>main</code>" in story
    assert "alice" not in story
    assert "leave" not in story


def test_without_script_what_is_under_way_is_asked_again_by_the_browser(row, as_alice):
    again = '<noscript><meta http-equiv="refresh"'
    assert again in text(as_alice.get(url(row(status="queued", pending="launch"))))
    assert again not in text(as_alice.get(url(row())))
