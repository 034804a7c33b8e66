"""The auditor's door: everything can be read, nothing rewritten, actions go through lifecycle."""

from datetime import datetime

import pytest
from django.contrib.admin.sites import site
from django.urls import reverse
from django.utils import timezone

from sandboxes.lifecycle import audit
from sandboxes.models import Command, Event, Outcome, Sandbox, Terminal

pytestmark = pytest.mark.django_db
RECORDS = (Event, Sandbox, Command, Terminal)


def _url(model, page, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


@pytest.fixture
def auditor(client, root):
    client.force_login(root)
    return client


@pytest.mark.parametrize("model", RECORDS)
def test_a_record_cannot_be_added_by_hand(auditor, model):
    assert auditor.get(_url(model, "add")).status_code == 403


def test_an_event_cannot_be_changed_or_deleted_by_a_superuser(auditor):
    event = audit.record("sandbox.launch", audit.SYSTEM, reason="first")
    page = _url(Event, "change", event.pk)
    assert auditor.post(page, {"reason": "other"}).status_code == 403
    assert auditor.post(_url(Event, "delete", event.pk), {"post": "yes"}).status_code == 403
    assert Event.objects.get(pk=event.pk).reason == "first"


def test_an_event_refuses_change_and_removal_in_code():
    event = audit.record("sandbox.launch", audit.SYSTEM)
    for change in (event.save, event.delete, Event.objects.all().delete):
        with pytest.raises(TypeError):
            change()
    with pytest.raises(TypeError):
        Event.objects.update(reason="x")


def test_a_status_is_not_editable(auditor, running):
    page = _url(Sandbox, "change", running.pk)
    assert b'<input type="text" name="status"' not in auditor.get(page).content
    assert auditor.post(page, {"status": "removed"}).status_code == 403
    running.refresh_from_db()
    assert running.status == "running"


@pytest.mark.parametrize("model", RECORDS)
def test_lists_open_with_search_and_filters(auditor, running, model):
    audit.record("sandbox.launch", audit.SYSTEM, running)
    answer = auditor.get(_url(model, "changelist"), {"q": running.pk})
    assert answer.status_code == 200


def test_environment_values_are_not_shown(auditor, running):
    Sandbox.objects.filter(pk=running.pk).update(environment={"TOKEN": "canary-5b1d"})
    answer = auditor.get(_url(Sandbox, "change", running.pk)).content
    assert b"canary-5b1d" not in answer
    assert b"TOKEN" in answer


def test_the_pause_action_pauses_through_lifecycle(auditor, running, root):
    auditor.post(_url(Sandbox, "changelist"), {"action": "pause", "_selected_action": [running.pk]})
    running.refresh_from_db()
    assert running.status == "paused"
    event = Event.objects.get(action="sandbox.pause", outcome=Outcome.OK)
    assert (event.actor_name, event.sandbox_id) == (root.username, running.pk)


def test_an_action_that_cannot_be_is_said_so(auditor, running):
    answer = auditor.post(
        _url(Sandbox, "changelist"), {"action": "resume", "_selected_action": [running.pk]}, follow=True
    )
    assert answer.context["messages"]
    running.refresh_from_db()
    assert running.status == "running"


def test_a_user_without_staff_rights_does_not_get_in(client, alice):
    client.force_login(alice)
    assert client.get(_url(Event, "changelist")).status_code == 302


def test_the_whole_admin_is_registered():
    assert set(site._registry) >= set(RECORDS)


@pytest.mark.parametrize("path", ["/admin/", "/admin/sandboxes/event/", "/admin/sandboxes/image/"])
def test_it_looks_like_the_rest_of_the_product(auditor, path):
    page = auditor.get(path).content.decode()
    for one in ("css/tokens", "css/admin.", "img/brand"):
        assert f"/static/{one}" in page


@pytest.mark.parametrize(
    "path", ["/admin/sandboxes/event/", "/admin/sandboxes/image/", "/admin/auth/group/add/"]
)
def test_nothing_that_opens_by_script_pushes_a_page_aside(auditor, path):
    assert "nav-sidebar" not in auditor.get(path).content.decode()


def test_times_are_written_as_the_trail_writes_them(auditor, running):
    at = datetime(2026, 11, 29, 18, 13, 12, tzinfo=timezone.get_current_timezone())
    Sandbox.objects.filter(pk=running.pk).update(created_at=at)
    assert "29 Nov 2026, 18:13:12" in auditor.get(_url(Sandbox, "changelist")).content.decode()
    assert "29 Nov 2026, 18:13:12" in auditor.get(_url(Sandbox, "change", running.pk)).content.decode()


def test_one_signs_out_there_as_everywhere(auditor):
    page = auditor.get("/admin/").content.decode()
    assert 'action="/sign-out/"' in page
    assert "Sign out</button>" in page
    assert "Log out" not in page


def test_the_way_to_the_trail_is_called_what_it_leads_to(auditor):
    way = f'<a href="{_url(Event, "changelist")}">Audit<span class="wide-word"> trail</span></a>'
    assert way in auditor.get("/sandboxes/").content.decode()
    assert "<h1>Audit trail</h1>" in auditor.get(_url(Event, "changelist")).content.decode()


def test_a_key_that_no_database_can_count_to_is_no_fault(auditor):
    """Of a set, told at its field as any other that is none."""
    answer = auditor.post("/admin/auth/group/add/", {"name": "some", "permissions": ["9" * 400]})
    assert answer.status_code == 200
    assert "is not a valid value" in answer.content.decode()
