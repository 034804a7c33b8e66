"""Recording in labs: asked for by the template, told before anybody types, seen by the course's staff."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from sandboxes.labs import lab_templates, links, opening, seats
from sandboxes.labs.models import Enrollment, TemplateVersion
from sandboxes.models import Image, User
from tests.fakes.recordings import taped
from tests.pages.conftest import browser, text

from .conftest import PROF, enroll, rounds
from .test_lab_templates import edit, wish
from .test_links import listed

pytestmark = pytest.mark.django_db(transaction=True)
ALWAYS = "are recorded: what they show is kept and can be replayed."
KEYS = "What you type is kept too, also passwords."


@pytest.fixture
def recorded(version: TemplateVersion) -> TemplateVersion:
    """The lab's template asks for recordings with keystrokes."""
    TemplateVersion.objects.filter(pk=version.pk).update(recording="always", recording_keystrokes=True)
    version.refresh_from_db()
    return version


def test_the_author_says_so_and_a_later_version_and_a_clone_keep_it(ines, version, course):
    template = version.template
    fields = wish(version, recording="always", recording_keystrokes="on")
    assert browser(ines).post(edit(template), fields).status_code == 303
    newest = template.newest
    assert (newest.recording, newest.recording_keystrokes) == ("always", True)
    page = text(browser(ines).get(edit(template)))
    assert '<option value="always" selected>' in page
    later = lab_templates.save(template, "Shell", newest.number, PROF, sheet="# Other")
    clone = lab_templates.clone(template, course, PROF).newest
    assert [(one.recording, one.recording_keystrokes) for one in (later, clone)] == [("always", True)] * 2


def test_a_word_that_is_no_policy_is_refused(ines, version):
    answer = browser(ines).post(edit(version.template), wish(version, recording="sometimes"))
    assert answer.status_code == 422


def test_a_seat_is_launched_with_it_and_keeps_it(recorded, seat, alice):
    sandbox = seat(alice).sandbox
    assert (sandbox.recording, sandbox.recording_keystrokes) == ("always", True)
    TemplateVersion.objects.update(recording="off")
    assert ALWAYS in text(browser(alice).get(reverse("seat_detail", args=[seat(alice).pk])))


def test_the_stricter_of_lab_and_image_holds(version, image, seat, alice):
    Image.objects.filter(pk=image.pk).update(recording="optional")
    place = seat(alice)
    assert place.sandbox.recording == "off"  # it was launched before
    assert seats.start_over(place, PROF)
    rounds()
    assert seat(alice).sandbox.recording == "optional"


def test_who_plans_reads_what_students_will_be_told(recorded, lab, ines):
    page = text(browser(ines).get(reverse("lab_detail", args=[lab.pk])))
    assert f"The terminals of this lab {ALWAYS} {KEYS}" in page


def test_students_read_it_before_they_take_their_seat_and_beside_the_terminal(
    recorded, lab, course, bob, seat
):
    late = User.objects.create_user("late")
    opening.open_lab(lab, PROF)
    enroll(course, late)
    join = reverse("seat_join", args=[lab.pk])
    assert f"The terminals of this lab {ALWAYS} {KEYS}" in text(browser(late).get(join))
    browser(late).post(join)
    place = Enrollment.objects.get(user=late).seats.get()
    waiting = text(browser(late).get(reverse("seat_detail", args=[place.pk])))
    assert f"Terminals here {ALWAYS} {KEYS}" in waiting
    rounds()
    ready = text(browser(late).get(reverse("seat_detail", args=[place.pk])))
    assert "sandbox-terminal" in ready
    assert f"Terminals here {ALWAYS} {KEYS}" in ready


def test_where_nothing_is_recorded_no_page_speaks_of_it(lab, seat, alice, ines):
    place = seat(alice)
    for user, url in (
        (alice, reverse("seat_detail", args=[place.pk])),
        (ines, reverse("lab_detail", args=[lab.pk])),
    ):
        assert "recorded" not in text(browser(user).get(url))


# -- who may replay -----------------------------------------------------------------------------------


@pytest.fixture
def taped_seat(seat, alice):
    """Alice's seat, and a recording of its sandbox."""
    place = seat(alice)
    return place, taped(place.sandbox)


def statuses(recording, *users):
    url = reverse("recording_cast", args=[recording.sandbox_id, recording.pk])
    return [browser(user).get(url).status_code for user in users]


def test_the_staff_of_the_course_and_the_student_may_nobody_else(
    taped_seat, alice, bob, ines, tina, prof, root
):
    _, recording = taped_seat
    assert statuses(recording, alice, ines, tina, root) == [200] * 4
    assert statuses(recording, bob, prof) == [404] * 2  # a fellow student; site staff without the permission
    prof.user_permissions.add(Permission.objects.get(codename="view_recording"))
    assert statuses(recording, prof) == [200]


def test_who_has_left_the_staff_may_not_any_more(taped_seat, ines, course):
    _, recording = taped_seat
    Enrollment.objects.filter(user=ines).update(removed_at=timezone.now())
    assert statuses(recording, ines) == [404]


def test_staff_may_see_what_was_before_the_seat_was_started_over(taped_seat, ines, alice, seat):
    place, recording = taped_seat
    assert seats.start_over(place, PROF)
    rounds()
    assert seat(alice).sandbox_id != recording.sandbox_id
    assert statuses(recording, ines, alice) == [200, 200]
    page = text(browser(ines).get(reverse("seat_story", args=[place.pk])))
    assert recording.pk in page


def test_a_students_own_sandbox_is_not_the_courses(launch, alice, ines, course):
    assert statuses(taped(launch(owner=alice)), ines) == [404]


def test_a_launch_key_that_looks_like_a_seats_gives_nobody_a_right(launch, seat, alice, bob, ines):
    own = launch(owner=bob, launch_key=f"{seat(alice).pk}-1")
    assert statuses(taped(own), ines) == [404]


def test_the_story_shows_none_to_site_staff_without_the_permission(taped_seat, prof):
    place, recording = taped_seat
    answer = browser(prof).get(reverse("seat_story", args=[place.pk]))
    assert answer.status_code == 200
    assert recording.pk not in text(answer)


def test_a_session_that_is_kept_to_the_course_may_see_its_own(course, open_lab, ines):
    """Somebody who came by a personal link, and has nothing else on this site."""
    listed(course, ines, "name;email\nAda Lund;ada@x.org")
    ada = Enrollment.objects.select_related("user", "course").get(name="Ada Lund")
    place = seats.take(open_lab, ada, PROF)
    rounds()
    place.refresh_from_db()
    client = browser(None)
    assert client.post(links.path(ada)).status_code == 303
    assert statuses_of(client, taped(place.sandbox)) == [200, 200]


def statuses_of(client, recording):
    pks = [recording.sandbox_id, recording.pk]
    return [
        client.get(reverse(name, args=pks)).status_code for name in ("recording_replay", "recording_cast")
    ]
