"""Recordings on pages: who may replay, that it is on record, and that people are told before they type."""

from __future__ import annotations

import json

import pytest
from asgiref.sync import async_to_sync
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission
from django.test import AsyncRequestFactory
from django.urls import reverse

from sandboxes import access
from sandboxes.lifecycle import recordings
from sandboxes.models import Event, Image, Outcome, Recording, Sandbox, User
from sandboxes.views.recordings import cast
from tests.fakes.recordings import SHOWN, taped

from .conftest import browser, refusals, text

pytestmark = pytest.mark.django_db
PAGES = ("recording_list", "recording_replay", "recording_cast", "recording_download")


@pytest.fixture
def sandbox(row, engine) -> Sandbox:
    return row(status="removed")


@pytest.fixture
def recording(sandbox) -> Recording:
    return taped(sandbox)


@pytest.fixture
def auditor(db) -> User:
    """Staff whose one permission is to see recordings."""
    made = User.objects.create_user("ada", is_staff=True)
    made.user_permissions.add(Permission.objects.get(codename="view_recording"))
    return made


def address(name: str, recording: Recording) -> str:
    pks = [recording.sandbox_id] if name == "recording_list" else [recording.sandbox_id, recording.pk]
    return reverse(name, args=pks)


def body(response) -> str:
    return (response.getvalue() if response.streaming else response.content).decode()


# -- who may ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(
    ("who", "status"),
    [("alice", 200), ("auditor", 200), ("root", 200), ("bob", 404), ("prof", 404)],
)
def test_who_may_replay(request, recording, name, who, status):
    response = browser(request.getfixturevalue(who)).get(address(name, recording))
    assert response.status_code == status
    assert "no-store" in response.headers["Cache-Control"] if status == 200 else True


def test_the_permission_alone_does_not_let_in_who_is_no_staff(recording, auditor):
    auditor.is_staff = False
    auditor.save()
    assert browser(auditor).get(address("recording_replay", recording)).status_code == 404


def test_somebody_switched_off_may_not(recording, alice):
    alice.is_active = False
    assert not access.can_watch(alice, recording.sandbox_id, recording.owner_id)


@pytest.mark.parametrize("name", PAGES)
def test_who_may_not_is_on_record(recording, bob, name):
    browser(bob).get(address(name, recording))
    action = "recording.download" if name == "recording_download" else "recording.watch"
    (event,) = refusals(action)
    assert (event.actor_name, event.sandbox_id) == ("bob", recording.sandbox_id)
    assert not Event.objects.filter(action=action, outcome=Outcome.OK).exists()


def test_a_recording_is_found_at_its_own_sandbox_only(recording, row, as_alice):
    other = row(name="other")
    assert as_alice.get(reverse("recording_replay", args=[other.pk, recording.pk])).status_code == 404


def test_its_owner_and_auditors_may_when_the_sandbox_is_off_the_record(recording, alice, auditor, bob):
    Sandbox.objects.all().delete()
    statuses = [browser(user).get(address("recording_cast", recording)).status_code
                for user in (alice, auditor, bob)]  # fmt: skip
    assert statuses == [200, 200, 404]


# -- what is shown --------------------------------------------------------------------------------


def test_the_cast_comes_unpacked_and_whoever_gets_it_has_watched(recording, as_alice):
    response = as_alice.get(address("recording_cast", recording))
    lines = body(response).splitlines()
    assert json.loads(lines[0])["version"] == 2
    assert [tuple(json.loads(line)) for line in lines[1:]] == list(SHOWN)
    event = Event.objects.get(action="recording.watch")
    assert (event.actor_name, event.sandbox_id, event.target_id) == (
        "alice",
        recording.sandbox_id,
        recording.pk,
    )


def test_the_page_alone_is_no_look(recording, as_alice):
    assert as_alice.get(address("recording_replay", recording)).status_code == 200
    assert not Event.objects.filter(action="recording.watch").exists()


def test_a_download_is_a_file_and_on_record_by_its_own_word(recording, as_alice):
    response = as_alice.get(address("recording_download", recording))
    assert response["Content-Disposition"] == f'attachment; filename="{recording.pk}.cast"'
    assert "needle" in body(response)
    assert Event.objects.get(action__startswith="recording.").action == "recording.download"


def test_the_server_streams_it_piece_by_piece(sandbox):
    """Django gathers a plain iterator in memory before it sends anything of it."""
    recording = taped(sandbox, [(at, "o", "text " * 5000) for at in range(200)])
    response = cast(AsyncRequestFactory().get("/"), recording)
    assert response.is_async

    async def pieces():
        return [len(piece) async for piece in response.streaming_content]

    sizes = async_to_sync(pieces)()
    assert len(sizes) > 1
    assert sum(sizes) == recording.cast_bytes


def test_one_whose_file_is_gone_says_so(recording, as_alice):
    recordings.path_of(recording).unlink()
    assert "Its file is gone" in text(as_alice.get(address("recording_replay", recording)))
    assert as_alice.get(address("recording_cast", recording)).status_code == 404
    assert not Event.objects.filter(action="recording.watch").exists()


def test_the_replay_may_run_the_players_wasm_and_no_other_page_may(recording, as_alice):
    policy = as_alice.get(address("recording_replay", recording)).headers["Content-Security-Policy"]
    assert "'wasm-unsafe-eval'" in policy
    assert "unsafe-inline" not in policy
    assert "'unsafe-eval'" not in policy
    other = as_alice.get(reverse("sandbox_detail", args=[recording.sandbox_id]))
    assert "wasm" not in other.headers["Content-Security-Policy"]


def test_the_replay_says_who_when_how_long_and_how_much(recording, as_alice):
    page = text(as_alice.get(address("recording_replay", recording)))
    for words in ("Recording of main", "quiet-otter", "begun by alice", "1 min", "always recorded"):
        assert words in page


def test_the_sandboxes_page_lists_them_also_when_it_is_gone(recording, as_alice):
    page = text(as_alice.get(reverse("sandbox_detail", args=[recording.sandbox_id])))
    assert address("recording_replay", recording) in page


def test_it_lists_none_to_staff_who_may_not_replay(recording, as_prof):
    response = as_prof.get(reverse("sandbox_detail", args=[recording.sandbox_id]))
    assert response.status_code == 200
    assert recording.pk not in text(response)


def test_many_are_listed_on_a_page_of_their_own(sandbox, as_alice):
    rows = [taped(sandbox) for _ in range(8)]
    page = text(as_alice.get(reverse("sandbox_detail", args=[sandbox.pk])))
    assert sum(row.pk in page for row in rows) == 5
    assert "all 8" in page
    assert all(row.pk in text(as_alice.get(address("recording_list", rows[0]))) for row in rows)


def test_a_replay_stands_in_the_owners_timeline(recording, auditor, as_alice):
    browser(auditor).get(address("recording_cast", recording))
    page = text(as_alice.get(reverse("sandbox_detail", args=[recording.sandbox_id])))
    assert "ada replayed terminal <code>main</code>" in page


# -- told before ------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["sandbox_new", "image_list"])
def test_people_read_it_before_they_launch(image, as_alice, page):
    assert "recorded" not in text(as_alice.get(reverse(page)))
    Image.objects.filter(pk=image.pk).update(recording="always")
    told = text(as_alice.get(reverse(page)))
    assert "Terminals of this image are recorded: what they show is kept and can be replayed." in told
    assert "passwords" not in told
    Image.objects.filter(pk=image.pk).update(recording_keystrokes=True)
    assert "What you type is kept too, also passwords." in text(as_alice.get(reverse(page)))


def test_an_install_that_records_says_so_at_every_image(image, as_alice, settings):
    settings.SANDBOX_RECORDING = "optional"
    assert "can be recorded: the owner starts and stops it" in text(as_alice.get(reverse("sandbox_new")))


def test_the_facts_of_a_sandbox_say_what_holds_for_it(row, as_alice):
    sandbox = row(recording="always", recording_keystrokes=True)
    assert "always recorded, with keystrokes" in text(
        as_alice.get(reverse("sandbox_detail", args=[sandbox.pk]))
    )


# -- the admin ----------------------------------------------------------------------------------------


def test_the_admin_lists_them_with_the_way_to_the_replay(recording, auditor):
    client = browser(auditor)
    page = text(client.get(reverse("admin:sandboxes_recording_changelist"), {"q": "quiet-otter"}))
    assert address("recording_replay", recording) in page
    one = client.get(reverse("admin:sandboxes_recording_change", args=[quote(recording.pk)]))
    assert one.status_code == 200
    assert address("recording_replay", recording) in text(one)


@pytest.mark.parametrize("page", ["change", "delete"])
def test_nobody_changes_one_there(recording, root, page):
    client = browser(root)
    url = reverse(f"admin:sandboxes_recording_{page}", args=[recording.pk])
    assert client.post(url, {"post": "yes", "policy": "off"}).status_code == 403
    assert client.get(reverse("admin:sandboxes_recording_add")).status_code == 403
    recording.refresh_from_db()
    assert recording.policy == "always"


def test_staff_without_the_permission_do_not_see_them_there(recording, prof):
    assert browser(prof).get(reverse("admin:sandboxes_recording_changelist")).status_code == 403


def test_the_policy_of_an_image_is_set_there(image, root):
    page = text(browser(root).get(reverse("admin:sandboxes_image_change", args=[image.pk])))
    assert 'name="recording"' in page
    assert 'name="recording_keystrokes"' in page
