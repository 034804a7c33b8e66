"""The auditor's door: everything can be read, nothing rewritten, actions go through lifecycle."""

import csv
import io
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


def test_events_are_walked_through_by_date(auditor):
    for month, day in ((3, 7), (3, 8), (4, 1)):
        at = timezone.make_aware(datetime(2025, month, day, 12))
        audit.record("sandbox.launch", audit.SYSTEM, reason=f"of {month}-{day}", at=at)
    page = auditor.get(_url(Event, "changelist"), {"at__year": 2025, "at__month": 3}).content.decode()
    assert "of 3-7" in page
    assert "of 4-1" not in page
    assert "?at__day=8&amp;at__month=3&amp;at__year=2025" in page  # the days to go on to
    page = auditor.get(_url(Event, "changelist"), {"at__year": 2025, "at__month": 3, "at__day": 8})
    assert [event.reason for event in page.context["cl"].result_list] == ["of 3-8"]


def test_environment_values_are_not_shown(auditor, running):
    Sandbox.objects.filter(pk=running.pk).update(environment={"TOKEN": "canary-5b1d"})
    answer = auditor.get(_url(Sandbox, "change", running.pk)).content
    assert b"canary-5b1d" not in answer
    assert b"TOKEN" in answer


def test_csv_export_holds_the_selection_and_runs_nothing_in_a_spreadsheet(auditor):
    for name in ("=1+1", "+2", "-3", "@x", "plain", "line\nbreak\ttab"):
        audit.record("sandbox.launch", audit.Origin("user", name=name))
    chosen = list(Event.objects.values_list("pk", flat=True))
    answer = auditor.post(_url(Event, "changelist"), {"action": "export_csv", "_selected_action": chosen})
    text = b"".join(answer.streaming_content).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    names = {row["actor_name"] for row in rows}
    assert names == {"'=1+1", "'+2", "'-3", "'@x", "plain", "line\\u000abreak\\u0009tab"}


def test_an_export_is_itself_on_record(auditor):
    event = audit.record("sandbox.launch", audit.SYSTEM)
    auditor.post(_url(Event, "changelist"), {"action": "export_csv", "_selected_action": [event.pk]})
    exported = Event.objects.get(action="events.exported")
    assert (exported.actor_name, exported.detail) == ("root", {"count": 1})


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
