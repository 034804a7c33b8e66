"""Files that we put into a seat ourselves are nobody else's act, whichever process hears of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from sandboxes.labs import opening
from sandboxes.lifecycle import watch
from sandboxes.models import Event
from tests.labs.conftest import PROF, rounds
from tests.labs.test_starting_files import tar
from tests.lifecycle.test_watch import settled
from tests.pages.conftest import browser, text

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def lab(version, engine):
    """With starting files."""
    version.files, version.files_names = tar(a="1"), ["a"]
    version.save()
    return opening.make(version, "Shell basics", closes_at=timezone.now() + timedelta(hours=1), by=PROF)


@pytest.fixture
def at_once(engine, monkeypatch):
    """The engine's event of a copy is handled before the copy's own call has come back."""
    put = engine.put_files

    def put_and_tell(*args):
        put(*args)
        heard(engine, "extract-to-dir")

    monkeypatch.setattr(engine, "put_files", put_and_tell)


def heard(engine, action):
    """All such events so far, told to a process that knows nothing of what ours did."""
    found = [event for event in engine.happened if event.action == action]
    for event in found:
        watch.handle(event)
    return len(found)


def accused():
    return [event.reason for event in Event.objects.filter(action="engine.copy")]


def file_for_all(ines, lab):
    upload = SimpleUploadedFile("notes.txt", b"hello")
    browser(ines).post(reverse("to_many", args=[lab.pk]), {"do": "file", "all": "1", "file": upload})
    rounds()


def test_starting_files_and_a_file_for_many_are_not_anothers_act(ines, alice, engine, open_lab, seat):
    file_for_all(ines, open_lab)
    browser(alice).post(reverse("seat_start_over", args=[seat(alice).pk]))
    rounds()
    assert heard(engine, "extract-to-dir") == 5  # two seats, a file each, one started over
    assert accused() == []


def test_nor_while_they_are_being_put_there(at_once, ines, open_lab, engine):
    file_for_all(ines, open_lab)
    assert heard(engine, "extract-to-dir") == 4
    assert accused() == []


def test_a_copy_by_another_hand_is_told(ines, alice, engine, open_lab, seat):
    file_for_all(ines, open_lab)
    settled()
    place = seat(alice)
    for action in ("extract-to-dir", "archive-path"):
        watch.handle(engine.emit(action, place.sandbox.native_id))
    assert len(accused()) == 2
    page = text(browser(ines).get(reverse("seat_story", args=[place.pk])))
    assert "files were copied into it outside Sandboxes" in page
    assert "engine copy" not in page


def test_the_story_of_a_file_has_the_courses_name_and_words(ines, alice, open_lab, seat):
    file_for_all(ines, open_lab)
    page = text(browser(ines).get(reverse("seat_story", args=[seat(alice).pk])))
    assert "Ines put notes.txt into Alice’s workspace" in page
    assert "seat file" not in page
