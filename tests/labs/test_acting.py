"""Pause, resume and restart for many: rows that the loop works off, whatever dies in between."""

from __future__ import annotations

import threading
import time

import pytest
from django.urls import reverse

from sandboxes.labs import acting, broadcast
from sandboxes.labs.models import LabRun, LabRunResult
from sandboxes.lifecycle import actions
from sandboxes.lifecycle.audit import Origin
from sandboxes.models import Event, Sandbox
from tests.fakes.processes import wait_until
from tests.pages.conftest import HTMX, browser, text

from .conftest import rounds

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def press(ines, open_lab):
    """``press("pause")``: for everyone, as the wall's form sends it."""
    client = browser(ines)

    def send(do, **more):
        return client.post(reverse("to_many", args=[open_lab.pk]), {"do": do, "all": "1"}, **more)

    return send


def statuses():
    return set(Sandbox.objects.values_list("status", flat=True))


def ended():
    return {one.seat.enrollment.name: (one.done, one.reason) for one in LabRunResult.objects.all()}


def test_the_request_asks_the_engine_nothing_and_the_loop_does_it(press, engine, open_lab):
    engine.calls.clear()
    answer = press("pause", **HTMX)
    assert answer.status_code == 204
    assert "Eyes up: 2 seats." in answer["HX-Trigger"]
    assert engine.calls == []
    assert statuses() == {"running"}
    rounds()
    assert statuses() == {"paused"}
    assert ended() == {"Alice": (True, ""), "Bob": (True, "")}


def test_each_goes_its_way_under_the_name_of_who_pressed(press, ines):
    for action, after in (("pause", "paused"), ("resume", "running"), ("restart", "running")):
        press(action)
        rounds()
        assert statuses() == {after}
        done = Event.objects.filter(action=f"sandbox.{action}", outcome="ok")
        assert list(done.values_list("actor_id", flat=True)) == [ines.pk] * 2
    assert [one.detail["act"] for one in Event.objects.filter(action="lab.run").order_by("id")] == [
        "pause", "resume", "restart"]  # fmt: skip


def test_progress_is_on_the_wall_and_on_its_page(press, ines, open_lab):
    press("pause")
    client, run = browser(ines), LabRun.objects.get()
    page = reverse("lab_run", args=[open_lab.pk, run.pk])
    card = reverse("room_help", args=[open_lab.pk]) + "?part=runs"
    assert "0 of 2" in text(client.get(card, **HTMX))
    assert "You may leave this page; it goes on." in text(client.get(page))
    rounds()
    assert "2 of 2" in text(client.get(card, **HTMX))
    assert "2 good" in text(client.get(page))
    assert text(client.get(page)).count("</svg>paused") == 2


def test_who_could_not_be_is_named_and_tried_again(press, seat, alice, ines, open_lab):
    actions.stop(seat(alice).sandbox, by=Origin.of(alice), wait=None)
    press("pause")
    rounds()
    assert ended()["Bob"] == (True, "")
    assert "is stopped, so it cannot be paused" in ended()["Alice"][1]
    run = LabRun.objects.get()
    card = reverse("room_help", args=[open_lab.pk]) + "?part=runs"
    assert "2 of 2, 1 failed" in text(browser(ines).get(card, **HTMX))
    actions.start(seat(alice).sandbox, by=Origin.of(alice), wait=None)
    browser(ines).post(reverse("lab_run_retry", args=[open_lab.pk, run.pk]))
    rounds()
    assert statuses() == {"paused"}
    assert ended() == {"Alice": (True, ""), "Bob": (True, "")}


def test_what_was_claimed_by_a_process_that_died_is_asked_for_again(press):
    press("pause")
    LabRunResult.objects.update(reason=f"{acting.BEGUN}{time.time():.3f}")
    rounds()
    assert statuses() == {"paused"}
    assert ended() == {"Alice": (True, ""), "Bob": (True, "")}


def test_what_was_done_before_the_process_died_is_not_done_again(press, seat, alice, bob, ines):
    press("restart")
    LabRunResult.objects.update(reason=f"{acting.BEGUN}{time.time():.3f}")
    for user in (alice, bob):
        actions.restart(seat(user).sandbox, by=Origin.of(ines), wait=None)
    rounds()
    assert ended() == {"Alice": (True, ""), "Bob": (True, "")}
    assert Event.objects.filter(action="sandbox.restart", outcome="ok").count() == 2


def test_a_slow_engine_holds_up_no_round(open_lab, seat, alice, ines, pool, engine):
    """With the pool: a round begins it and goes on, later ones see what came of it."""
    gate = engine.gate["pause"] = threading.Event()
    run = broadcast.act(open_lab, "pause", Origin.of(ines), [seat(alice)])
    for _ in range(3):
        assert broadcast.go_on()
    assert not run.results.get().done
    gate.set()
    assert wait_until(lambda: not broadcast.go_on())
    assert ended() == {"Alice": (True, "")}
