"""Personal links: into one course, into nobody's own account, and out again."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from sandboxes.labs import links, roster, roster_lines
from sandboxes.labs.models import Course, Enrollment, Role
from sandboxes.lifecycle import audit
from sandboxes.models import Event, Outcome, User

from .conftest import PROF, enroll, rounds
from .test_courses import browser, text

pytestmark = pytest.mark.django_db


def listed(course: Course, by: User, text: str) -> None:
    draft = roster.keep(course, by, roster_lines.read(text))
    roster.apply(draft, PROF, by, roster.compare(draft, by).fingerprint, ())


@pytest.fixture
def ada(course: Course, ines: User) -> Enrollment:
    """Of the roster, without an account of her own."""
    listed(course, ines, "name;email\nAda Lund;ada@x.org")
    return Enrollment.objects.select_related("user", "course").get(name="Ada Lund")


@pytest.fixture
def in_course(ada: Enrollment) -> Client:
    """A browser that came by her link."""
    client = browser(None)
    assert client.post(links.path(ada)).status_code == 303
    return client


def user_of(client: Client) -> str | None:
    return client.session.get("_auth_user_id")


# -- the link -----------------------------------------------------------------------------------


def test_looking_at_the_link_signs_nobody_in(ada):
    client = browser(None)
    assert "Welcome, Ada Lund" in text(client.get(links.path(ada)))
    assert user_of(client) is None


def test_its_button_signs_in_to_the_course(ada, course):
    client = browser(None)
    answer = client.post(links.path(ada))
    assert answer.headers["Location"] == f"/courses/{course.pk}/"
    assert client.session["course"] == course.pk
    assert user_of(client) == str(ada.user_id)
    event = Event.objects.get(action="user.sign_in")
    assert event.detail["by"] == "personal link"
    signature = links.path(ada).split("/")[-2]
    assert signature not in str(list(Event.objects.values_list("detail", "reason")))


def test_it_works_again_on_another_device(ada):
    for _ in range(3):
        assert browser(None).post(links.path(ada)).status_code == 303


def test_it_needs_the_token(ada):
    assert Client(enforce_csrf_checks=True).post(links.path(ada)).status_code == 403


@pytest.mark.parametrize("change", ["signature", "person", "short", "nobody"])
def test_a_forged_link_opens_nothing(ada, course, ines, change):
    listed(course, ines, "name;email\nBen;ben@x.org")
    ben = Enrollment.objects.get(name="Ben")
    signature = links.path(ada).split("/")[-2]
    forged = {
        "signature": f"/join/{ada.pk}/{signature[::-1]}/",
        "person": f"/join/{ben.pk}/{signature}/",
        "short": f"/join/{ada.pk}/{signature[:5]}/",
        "nobody": f"/join/999999999/{signature}/",
    }[change]
    client = browser(None)
    assert client.post(forged).status_code == 410
    assert user_of(client) is None
    assert Event.objects.get(action="user.sign_in").outcome == Outcome.REFUSED


def test_renewing_ends_the_old_link_and_whoever_came_by_it(ada, in_course, ines, course):
    old = links.path(ada)
    assert in_course.get(f"/courses/{course.pk}/").status_code == 200
    browser(ines).post(f"/courses/{course.pk}/people/{ada.pk}/renew/")
    ada.refresh_from_db()
    assert browser(None).post(old).status_code == 410
    assert in_course.get(f"/courses/{course.pk}/").headers["Location"].startswith("/sign-in/")
    assert user_of(in_course) is None
    assert browser(None).post(links.path(ada)).status_code == 303


@pytest.mark.parametrize("act", ["renew", "remove", "roster"])
def test_the_session_itself_ends_so_that_its_sockets_do(ada, ines, course, act):
    """Sockets pass no middleware: they live as long as their session's password hash is the account's."""
    before = ada.user.get_session_auth_hash()
    if act == "roster":
        draft = roster.keep(course, ines, roster_lines.read("name;email\nBen;ben@x.org"))
        roster.apply(draft, PROF, ines, roster.compare(draft, ines).fingerprint, {ada.pk})
    else:
        browser(ines).post(f"/courses/{course.pk}/people/{ada.pk}/{act}/")
    ada.user.refresh_from_db()
    assert ada.user.get_session_auth_hash() != before
    assert not ada.user.has_usable_password()


def test_a_password_of_ones_own_is_left_alone(course, alice):
    before = User.objects.get(pk=alice.pk).password
    links.shut_out([alice.pk])
    assert User.objects.get(pk=alice.pk).password == before


def test_who_is_taken_out_is_out_and_comes_back_by_the_same_link(ada, in_course, ines, course):
    browser(ines).post(f"/courses/{course.pk}/people/{ada.pk}/remove/")
    assert in_course.get(f"/courses/{course.pk}/").headers["Location"].startswith("/sign-in/")
    assert browser(None).post(links.path(ada)).status_code == 410
    browser(ines).post(f"/courses/{course.pk}/people/{ada.pk}/restore/")
    assert browser(None).post(links.path(ada)).status_code == 303


# -- accounts that a link never opens -------------------------------------------------------------


def refused(person: Enrollment) -> bool:
    """Nobody is signed in, and the ordinary sign-in page is next, with a sentence."""
    client = browser(None)
    answer = client.post(links.path(person), follow=True)
    assert "You have an account here." in text(answer)
    assert answer.redirect_chain[-1][0].startswith("/sign-in/?next=/courses/")
    return user_of(client) is None and "course" not in client.session


def test_an_account_with_a_password(course, alice):
    assert refused(course.enrollments.get(user=alice))


def test_an_account_with_a_password_though_it_was_made_here(ada):
    ada.user.set_password("her own")
    ada.user.save()
    assert refused(ada)


@pytest.mark.parametrize("right", ["is_staff", "is_superuser"])
def test_an_account_with_rights_on_the_site(ada, right):
    setattr(ada.user, right, True)
    ada.user.save()
    assert refused(ada)


def test_an_account_that_an_admin_made_without_a_password(course):
    """It is opened by an admin's link; no instructor hands out ways into it."""
    user = User.objects.create_user("eva")
    assert refused(enroll(course, user))


def test_an_account_of_another_course_or_its_guest(ada):
    enroll(Course.objects.create(title="Elsewhere"), ada.user)
    assert refused(ada)


def test_an_account_that_is_switched_off(ada):
    User.objects.filter(pk=ada.user_id).update(is_active=False)
    client = browser(None)
    assert client.post(links.path(ada)).status_code == 410
    assert user_of(client) is None


def test_staff_are_shown_no_link_that_opens_nothing(course, ines, alice, ada):
    client = browser(ines)
    own, made = course.enrollments.get(user=alice).pk, ada.pk
    assert "/join/" not in text(client.get(f"/courses/{course.pk}/people/{own}/"))
    assert links.path(ada) in text(client.get(f"/courses/{course.pk}/people/{made}/"))


# -- one course only ------------------------------------------------------------------------------

FORBIDDEN = ["/sandboxes/new/", "/sandboxes/rows/", "/images/", "/admin/", "/courses/new/", "/images/part/"]


@pytest.mark.parametrize("path", FORBIDDEN)
def test_everything_else_is_403_with_a_page(in_course, path):
    answer = in_course.get(path)
    assert answer.status_code == 403
    assert "Set a password" in text(answer)


@pytest.mark.parametrize(
    "path", ["/sandboxes/new/", "/sandboxes/act/", "/sandboxes/", "/courses/", "/courses/new/"]
)
def test_nothing_else_is_done(in_course, path):
    assert in_course.post(path, {"title": "x", "typing": "ask"}).status_code in (403, 405)
    assert Course.objects.count() == 1


@pytest.mark.parametrize("path", ["/", "/sandboxes/", "/courses/"])
def test_where_one_lands_by_itself_leads_to_the_course(in_course, course, path):
    assert in_course.get(path).headers["Location"] == f"/courses/{course.pk}/"


def test_other_courses_are_out_of_reach_and_it_is_on_record(in_course, ines):
    other = Course.objects.create(title="Elsewhere")
    for path in ("", "people/", "settings/", "join/", "code/"):
        assert in_course.get(f"/courses/{other.pk}/{path}").status_code == 403
    assert Event.objects.filter(action="course.leave", outcome=Outcome.REFUSED).exists()
    assert in_course.get("/courses/crs_nosuch/").status_code == 403


def test_ones_own_seat_its_sandbox_and_no_other(in_course, ada, open_lab, launch, seat, alice):
    assert in_course.get(f"/labs/{open_lab.pk}/seat/").status_code in (200, 302, 303)
    in_course.post(f"/labs/{open_lab.pk}/seat/")
    rounds()
    mine = ada.seats.get()
    assert in_course.get(f"/seats/{mine.pk}/").status_code == 200
    assert in_course.get(f"/sandboxes/{mine.sandbox_id}/").status_code == 200
    assert in_course.get(f"/sandboxes/{seat(alice).sandbox_id}/").status_code == 404
    assert in_course.get(f"/seats/{seat(alice).pk}/").status_code == 404
    stray = launch(owner=ada.user)  # nobody's seat, wherever it came from
    assert in_course.get(f"/sandboxes/{stray.pk}/").status_code == 403
    assert in_course.post(f"/sandboxes/{stray.pk}/remove/").status_code == 403


def test_an_instructor_by_link_leads_this_course_and_no_other(course, ines):
    listed(course, ines, "name;email;role\nEva;eva@x.org;instructor")
    eva = Enrollment.objects.get(name="Eva")
    client = browser(None)
    client.post(links.path(eva))
    assert client.get(f"/courses/{course.pk}/people/").status_code == 200
    assert client.get(f"/courses/{course.pk}/settings/").status_code == 200
    assert client.post("/courses/new/", {"title": "x", "typing": "ask"}).status_code == 403


def test_who_comes_to_another_course_meanwhile_is_signed_out(in_course, ada, course):
    """So that no socket of this session reaches what is there."""
    enroll(Course.objects.create(title="Elsewhere"), ada.user, Role.STUDENT)
    assert in_course.get(f"/courses/{course.pk}/").headers["Location"] == "/sign-in/"
    assert user_of(in_course) is None


def test_the_profile_is_for_setting_a_password_only(in_course, ada):
    assert in_course.get("/profile/").status_code == 200
    form = {"form": "about", "first_name": "A", "last_name": "B", "email": "dean@x.org"}
    assert in_course.post("/profile/", form).status_code == 403
    ada.user.refresh_from_db()
    assert ada.user.email == "ada@x.org"


def test_a_password_lifts_the_limit_and_ends_the_link(in_course, ada):
    form = {"form": "password", "new_password1": "quite a long one", "new_password2": "quite a long one"}
    assert in_course.post("/profile/", form).status_code == 303
    assert in_course.get("/sandboxes/new/").status_code == 200
    assert "course" not in in_course.session
    assert refused(Enrollment.objects.get(pk=ada.pk))


def test_a_guests_link_is_for_their_course(course):
    from sandboxes.labs import joining

    Course.objects.update(guests_allowed=True)
    guest = joining.join_as_guest(Course.objects.get(), "Greta", audit.Origin("user"), "code")
    client = browser(None)
    assert client.post(links.path(guest)).status_code == 303
    assert client.get("/profile/").status_code == 403
    assert client.get("/sandboxes/new/").status_code == 403


def test_signing_out_and_in_as_somebody_else_leaves_no_limit_behind(in_course, alice):
    in_course.post("/sign-out/")
    in_course.post("/sign-in/", {"username": "alice", "password": "alice's password"})
    assert in_course.get("/sandboxes/new/").status_code == 200


def test_a_link_opened_while_signed_in_takes_the_place_of_that_session(ada, alice):
    client = browser(alice)
    assert "signed in as <b>alice</b>" in text(client.get(links.path(ada)))
    client.post(links.path(ada))
    assert user_of(client) == str(ada.user_id)
    assert client.get("/sandboxes/new/").status_code == 403


def test_other_sessions_ask_nothing_more(alice, django_assert_num_queries):
    client = browser(alice)
    client.get("/healthz")
    with django_assert_num_queries(0):
        Client().get("/healthz")


def test_the_bar_offers_nothing_that_would_be_refused(in_course, course):
    page = in_course.get(reverse("course_detail", args=[course.pk])).content.decode()
    assert reverse("image_list") not in page
    assert "Profile and usage" in page
    profile = text(in_course.get("/profile/"))
    assert "About you" not in profile
    assert "Set a password" in profile
