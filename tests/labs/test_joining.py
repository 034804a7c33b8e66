"""Coming in: by code, by invite link, as a guest; guessed, renewed, taken back, and a hundred at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from sandboxes.labs import joining
from sandboxes.labs.models import Course, Enrollment
from sandboxes.lifecycle import audit
from sandboxes.lifecycle.refusals import Refused
from sandboxes.models import Event, Outcome, User

from .conftest import PROF, enroll
from .test_courses import browser, text

pytestmark = pytest.mark.django_db


@pytest.fixture
def code(course: Course) -> str:
    return joining.new_code(course, PROF, 60)


@pytest.fixture
def guests(course: Course) -> Course:
    Course.objects.update(guests_allowed=True)
    course.refresh_from_db()
    return course


@pytest.fixture
def carl(db: None) -> User:
    return User.objects.create_user("carl", "carl@x.org", "pw", first_name="Carl", last_name="Gauss")


# -- the code -----------------------------------------------------------------------------------


def test_somebody_with_an_account_joins_by_the_code_as_it_is_read_aloud(course, code, carl):
    answer = browser(carl).post("/join/", {"code": f" {joining.spaced(code)} "})
    assert answer.headers["Location"] == f"/courses/{course.pk}/"
    mine = Enrollment.objects.get(user=carl)
    assert (mine.name, mine.role, mine.is_guest, mine.account_made) == ("Carl Gauss", "student", False, False)
    event = Event.objects.get(action="course.join")
    assert event.detail["by"] == "code"
    assert code not in str([one.detail for one in Event.objects.all()])


def test_joining_twice_is_once_and_a_role_is_kept(course, code, carl, tina):
    for _ in range(2):
        browser(carl).post("/join/", {"code": code})
    browser(tina).post("/join/", {"code": code})
    assert course.enrollments.filter(user=carl).count() == 1
    assert course.enrollments.get(user=tina).role == "assistant"


def test_who_was_taken_out_does_not_come_back_by_themselves(course, code, alice):
    course.enrollments.filter(user=alice).update(removed_at=timezone.now())
    answer = browser(alice).post("/join/", {"code": code})
    assert answer.status_code == 422
    assert "taken out" in text(answer)
    assert course.enrollments.get(user=alice).removed_at is not None


@pytest.mark.parametrize("typed", ["", "x", "abcd efgh", "0" * 5000, "a\0b", "<b>", "ß" * 8])
def test_a_wrong_code_says_so_and_names_no_course(course, code, carl, typed):
    answer = browser(carl).post("/join/", {"code": typed})
    assert answer.status_code == 422
    assert "does not work" in text(answer)
    assert course.title not in text(answer)
    assert Event.objects.get(action="course.join").outcome == Outcome.REFUSED


def test_a_code_ends_by_itself_or_when_it_is_ended_or_renewed(course, code, carl):
    Course.objects.update(join_code_until=timezone.now() - timedelta(seconds=1))
    assert browser(carl).post("/join/", {"code": code}).status_code == 422
    newer = joining.new_code(course, PROF, 60)
    assert joining.by_code(code) is None
    assert joining.by_code(newer) == course
    assert joining.end(course, PROF, "join_code")
    assert not joining.end(course, PROF, "join_code")
    assert joining.by_code(newer) is None


def test_nobody_joins_a_course_that_is_put_away(course, code, carl):
    Course.objects.update(archived_at=timezone.now())
    assert browser(carl).post("/join/", {"code": code}).status_code == 422


def test_refused_guesses_are_on_record_in_bounds(course, code):
    for _ in range(60):
        browser(None).post("/join/", {"code": "wrongone"})
    assert 5 < Event.objects.filter(action="course.join", outcome=Outcome.REFUSED).count() < 30


def test_right_codes_are_no_guesses(course, code):
    for number in range(30):
        user = User.objects.create_user(f"u{number}")
        assert browser(user).post("/join/", {"code": code}).status_code == 303


# -- the invite link ----------------------------------------------------------------------------


def test_the_invite_link_shows_a_page_and_joins_by_its_button(course, carl):
    secret = joining.new_invite(course, PROF)
    client = browser(carl)
    assert course.title in text(client.get(f"/join/{secret}/"))
    assert not course.enrollments.filter(user=carl).exists()
    assert client.post(f"/join/{secret}/").status_code == 303
    assert course.enrollments.filter(user=carl).exists()
    assert secret not in str(list(Event.objects.values_list("detail", "reason")))


def test_a_renewed_or_ended_invite_leads_nowhere(course, carl):
    old = joining.new_invite(course, PROF)
    new = joining.new_invite(course, PROF)
    assert browser(carl).get(f"/join/{old}/").status_code == 410
    joining.end(course, PROF, "invite")
    answer = browser(carl).post(f"/join/{new}/")
    assert answer.status_code == 410
    assert course.title not in text(answer)


def test_without_an_account_one_is_led_to_sign_in_and_back(course):
    secret = joining.new_invite(course, PROF)
    page = text(browser(None).get(f"/join/{secret}/"))
    assert f"/sign-in/?next=/join/{secret}/" in page
    assert 'name="name"' not in page


# -- guests -------------------------------------------------------------------------------------


def test_a_guest_comes_in_with_a_name_and_sees_their_course_only(guests, code):
    client = browser(None)
    assert "Come in as a guest" in text(client.post("/join/", {"code": code}))
    answer = client.post("/join/", {"code": code, "name": "  Greta   G "})
    assert answer.headers["Location"] == f"/courses/{guests.pk}/"
    guest = Enrollment.objects.get(is_guest=True)
    assert (guest.name, guest.role, guest.account_made) == ("Greta G", "student", True)
    assert not guest.user.has_usable_password()
    assert "Greta G, a guest" in text(client.get(f"/courses/{guests.pk}/"))
    assert client.get("/sandboxes/new/").status_code == 403
    assert client.get("/profile/").status_code == 403


def test_a_guest_is_asked_before_they_give_up_their_place(guests, code, alice):
    client = browser(None)
    client.post("/join/", {"code": code, "name": "Greta G"})
    page = text(client.get(f"/courses/{guests.pk}/"))
    assert "Signed in as <b>Greta G</b>" in page
    assert 'data-confirm-text="You came in as a guest: once you sign out there is no way back' in page
    asked = text(client.post("/sign-out/?confirm"))
    assert "no way back to your place" in asked
    assert client.get(f"/courses/{guests.pk}/").status_code == 200
    client.post("/sign-out/")
    assert client.get(f"/courses/{guests.pk}/").status_code == 302
    theirs = browser(alice)
    assert "no way back" not in text(theirs.get(f"/courses/{guests.pk}/"))
    theirs.post("/sign-out/?confirm")  # who has an account is not asked
    assert theirs.get(f"/courses/{guests.pk}/").status_code == 302


def test_no_guests_where_the_course_does_not_allow_them(course, code):
    answer = browser(None).post("/join/", {"code": code, "name": "Greta"})
    assert answer.status_code == 422
    assert "takes no guests" in text(answer)
    assert not Enrollment.objects.filter(is_guest=True).exists()


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Alice",
            "ALICE",
            " alice ",
            "Alicé",
            "A l i c e".replace(" ", "\u200b"),
            "аlicе",
            "Al1ce",
            "Alice.",
        ),
        *(f"Al{unseen}ice" for unseen in "\u200c\u200d\u034f\ufe0f\u2062\u180e"),
        *(f"Alice{filler}" for filler in "\u3164\uffa0\u115f\u2800"),
    ],
)
def test_a_guest_named_like_a_student_is_refused_with_a_sentence(guests, code, name):
    answer = browser(None).post("/join/", {"code": code, "name": name})
    assert answer.status_code == 422
    assert "choose another name" in text(answer)
    assert not User.objects.filter(username__startswith="guest").exists()


def test_names_in_another_order_are_the_same_name(guests, code, alice):
    Enrollment.objects.filter(user=alice).update(name="Alice Lund", removed_at=timezone.now())
    assert browser(None).post("/join/", {"code": code, "name": "Lund, Alice"}).status_code == 422


@pytest.mark.parametrize("name", ["", "x", "=cmd()", "a\nb", "n" * 61, "n" * 100_000, "...", "a\u202eb"])
def test_names_that_cannot_be(guests, code, name):
    answer = browser(None).post("/join/", {"code": code, "name": name})
    assert answer.status_code == 422
    assert not Enrollment.objects.filter(is_guest=True).exists()


def test_guests_have_names_of_their_own(guests, code):
    assert browser(None).post("/join/", {"code": code, "name": "Greta"}).status_code == 303
    assert browser(None).post("/join/", {"code": code, "name": "greta"}).status_code == 422
    Enrollment.objects.filter(is_guest=True).update(removed_at=timezone.now())
    assert browser(None).post("/join/", {"code": code, "name": "Greta"}).status_code == 303


def test_there_is_a_last_guest(guests, monkeypatch):
    monkeypatch.setattr(joining, "MOST_GUESTS", 1)
    joining.join_as_guest(guests, "Greta", audit.Origin("user"), "code")
    with pytest.raises(Refused, match="no place"):
        joining.join_as_guest(guests, "Gustav", audit.Origin("user"), "code")


def test_a_guest_of_one_course_joins_no_other(guests, code):
    client = browser(None)
    client.post("/join/", {"code": code, "name": "Greta"})
    other = Course.objects.create(title="Elsewhere", guests_allowed=True)
    answer = client.post("/join/", {"code": joining.new_code(other, PROF, 60)})
    assert answer.status_code == 422
    assert not other.enrollments.exists()
    assert client.post("/join/", {"code": code}).status_code == 303  # their own: they are in


def test_a_join_takes_the_same_queries_however_many_are_there(guests, code, django_assert_max_num_queries):
    users = User.objects.bulk_create(User(username=f"u{n}") for n in range(300))
    Enrollment.objects.bulk_create(Enrollment(course=guests, user=u, name=u.username) for u in users)
    client = browser(None)
    with django_assert_max_num_queries(28):
        client.post("/join/", {"code": code, "name": "Greta"})


# -- staff's pages ------------------------------------------------------------------------------


def test_staff_make_renew_and_end_the_code_and_the_link(course, ines):
    client, place = browser(ines), f"/courses/{course.pk}/join/"
    client.post(place, {"do": "code", "minutes": "60"})
    course.refresh_from_db()
    assert timedelta(minutes=59) < course.join_code_until - timezone.now() < timedelta(minutes=61)
    assert joining.spaced(course.join_code) in text(client.get(place))
    client.post(place, {"do": "invite"})
    course.refresh_from_db()
    assert f"http://testserver/join/{course.invite}/" in text(client.get(place))
    for do in ("end_code", "end_invite", "nonsense", ""):
        client.post(place, {"do": do})
    course.refresh_from_db()
    assert (course.join_code, course.invite) == (None, None)
    actions = set(Event.objects.values_list("action", flat=True))
    assert {"course.code", "course.code_end", "course.invite", "course.invite_end"} <= actions


@pytest.mark.parametrize("minutes", ["", "-5", "99999999", "x", "٦٠"])
def test_a_code_lasts_as_long_as_the_page_offers_and_no_longer(course, ines, minutes):
    browser(ines).post(f"/courses/{course.pk}/join/", {"do": "code", "minutes": minutes})
    course.refresh_from_db()
    assert course.join_code_until - timezone.now() < timedelta(hours=3, minutes=1)


def test_an_assistant_shows_the_code_and_does_not_see_the_invite(course, code, tina):
    secret = joining.new_invite(course, PROF)
    page = text(browser(tina).get(f"/courses/{course.pk}/join/"))
    assert joining.spaced(code) in page
    assert secret not in page
    assert browser(tina).post(f"/courses/{course.pk}/join/", {"do": "code"}).status_code == 404
    projector = text(browser(tina).get(f"/courses/{course.pk}/code/"))
    assert joining.spaced(code) in projector
    assert "data:image/svg" in projector


def test_the_projector_says_when_there_is_no_code(course, ines):
    assert "no class code now" in text(browser(ines).get(f"/courses/{course.pk}/code/"))


def test_codes_are_unique(course, monkeypatch):
    other = Course.objects.create(title="Elsewhere", join_code="abcdefgh")
    answers = iter(["abcdefgh", "jkmnpqrs"])
    monkeypatch.setattr(joining.ids, "join_code", lambda: next(answers))
    assert joining.new_code(course, PROF, 60) == "jkmnpqrs"
    assert Course.objects.filter(join_code=F("join_code")).count() == 2
    assert other.join_code == "abcdefgh"


def test_a_course_member_is_not_asked_for_a_name(guests, code, carl):
    enroll(guests, carl)
    assert browser(carl).post("/join/", {"code": code, "name": "Other"}).status_code == 303
    assert Enrollment.objects.filter(user=carl).count() == 1


# -- names of accounts ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Alice", "ALICE", "alice ", "Аlice", "Alíce"])
def test_an_account_named_like_a_student_says_whose_it_is(course, code, carl, name):
    """Whoever has an account may write anything into their profile."""
    User.objects.filter(pk=carl.pk).update(first_name=name, last_name="")
    browser(carl).post("/join/", {"code": code})
    assert course.enrollments.get(user=carl).name == f"{name.strip()} (carl)"


def test_neither_instructor_nor_who_left_lends_a_name(course, code, carl, ines, alice):
    course.enrollments.filter(user=alice).update(removed_at=timezone.now())
    for name in ("Ines", "Alice"):
        User.objects.filter(pk=carl.pk).update(first_name=name, last_name="")
        course.enrollments.filter(user=carl).delete()
        browser(carl).post("/join/", {"code": code})
        assert course.enrollments.get(user=carl).name == f"{name} (carl)"


def test_a_name_that_nobody_has_stays_as_it_is(course, code, carl):
    User.objects.filter(pk=carl.pk).update(first_name="Carl", last_name="Lund")
    browser(carl).post("/join/", {"code": code})
    assert course.enrollments.get(user=carl).name == "Carl Lund"


def test_a_long_name_that_is_taken_keeps_the_account(course, code, carl, alice):
    course.enrollments.filter(user=alice).update(name="n" * 120)
    User.objects.filter(pk=carl.pk).update(first_name="n" * 120, last_name="")
    browser(carl).post("/join/", {"code": code})
    name = course.enrollments.get(user=carl).name
    assert (len(name), name[-8:]) == (120, "n (carl)")
