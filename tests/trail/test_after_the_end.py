"""What happened in a sandbox can be read for as long as there is a record, its container long gone."""

from __future__ import annotations

import pytest
from django.contrib.admin.utils import quote
from django.urls import reverse

from sandboxes.lifecycle import actions, audit, commands
from sandboxes.models import Command, Event, Sandbox
from tests.fakes.recordings import taped
from tests.pages.conftest import browser, text

pytestmark = pytest.mark.django_db


@pytest.fixture
def gone(running, alice, prof, engine):
    """Used, looked at by staff, and removed by hand."""
    by = audit.Origin.of(alice, "192.0.2.1")
    commands.run(running, "echo done", origin=by, user=alice)
    audit.record("terminal.join", audit.Origin.of(prof), running, detail={"terminal": "main"})
    taped(running)
    actions.remove(running, by=by, wait=None)
    running.refresh_from_db()
    assert running.status == "removed"
    assert not engine.containers
    return running


def test_its_owner_reads_what_happened_in_friendly_words(gone, alice):
    page = text(browser(alice).get(reverse("sandbox_detail", args=[gone.pk])))
    for said in ("launched it", "<code>echo done</code>", "prof joined terminal", "alice removed it"):
        assert said in page


def test_nobody_else_does(gone, bob):
    assert browser(bob).get(reverse("sandbox_detail", args=[gone.pk])).status_code == 404


def test_commands_and_recordings_stay_as_well(gone, alice):
    client, command = browser(alice), Command.objects.get()
    page = text(client.get(reverse("command_detail", args=[gone.pk, command.pk])))
    assert "done" in page
    assert client.get(reverse("recording_list", args=[gone.pk])).status_code == 200


def test_the_auditor_finds_it_by_id_and_by_name_also_without_the_row(gone, as_root):
    sandbox, changelist = gone.pk, reverse("admin:sandboxes_event_changelist")
    assert as_root.get(reverse("admin:sandboxes_sandbox_change", args=[quote(sandbox)])).status_code == 200
    count = Event.objects.filter(sandbox_id=sandbox).count()
    Sandbox.objects.filter(pk=sandbox).delete()
    for word in (sandbox, "quiet-otter"):
        page = as_root.get(changelist, {"sandbox": word}).context["page"]
        assert len(page.events) == count >= 6
