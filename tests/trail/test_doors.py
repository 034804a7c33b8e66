"""The admin has no door of its own, and who is refused a page is on record."""

from __future__ import annotations

import pytest

from sandboxes.models import Event, Outcome
from tests.pages.conftest import browser

pytestmark = pytest.mark.django_db


def test_the_admin_sends_strangers_to_the_one_sign_in_page(client, root):
    answer = client.get("/admin/", follow=True)
    assert answer.redirect_chain[-1][0].startswith("/sign-in/?next=/admin/")
    data = {"username": "root", "password": "root's password", "next": "/admin/"}
    assert client.post("/sign-in/", data).headers["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200
    assert client.post("/admin/logout/").status_code == 303
    assert client.get("/admin/").status_code == 302
    assert list(Event.objects.values_list("action", flat=True)) == ["user.sign_out", "user.sign_in"]


def test_its_own_sign_in_form_takes_nothing(client, root):
    answer = client.post("/admin/login/", {"username": "root", "password": "root's password"})
    assert answer.headers["Location"].startswith("/sign-in/")
    assert client.get("/admin/").status_code == 302


def test_who_may_not_is_told_so_and_on_record(alice, client):
    client.force_login(alice)
    answer = client.get("/admin/sandboxes/event/", follow=True)
    assert answer.status_code == 403
    event = Event.objects.get(action="page.open")
    assert (event.outcome, event.actor_name) == (Outcome.REFUSED, "alice")


def test_a_staff_act_by_somebody_else_is_a_refusal_on_record(alice, image, engine):
    answer = browser(alice).post(f"/images/{image.pk}/pull/")
    assert answer.status_code == 403
    event = Event.objects.get()
    assert (event.action, event.outcome) == ("page.open", Outcome.REFUSED)
    assert event.detail == {"path": f"/images/{image.pk}/pull/", "method": "POST"}


def test_staff_without_the_permission_leave_a_refusal_too(prof, client):
    client.force_login(prof)
    assert client.get("/admin/sandboxes/user/").status_code == 403
    assert Event.objects.get().detail["path"] == "/admin/sandboxes/user/"


def test_a_refused_profile_form_and_a_waiting_sign_in_are_on_record(alice, client):
    client.force_login(alice)
    client.post("/profile/", {"form": "password", "old_password": "guess", "new_password1": "x"})
    assert Event.objects.get(action="user.password").outcome == Outcome.REFUSED
    client.post("/profile/", {"form": "about", "first_name": "Alice", "email": "a@example.org"})
    changed = Event.objects.get(action="user.profile")
    assert changed.changes == {"first_name": ["", "Alice"], "email": ["alice@example.org", "a@example.org"]}


def test_tries_after_too_many_are_refusals_too(alice, client):
    for _ in range(12):
        client.post("/sign-in/", {"username": "alice", "password": "guess"})
    reasons = list(Event.objects.filter(action="user.sign_in").values_list("reason", flat=True))
    assert reasons[:2] == ["Too many wrong tries; asked to wait."] * 2
    assert len(reasons) == 12
