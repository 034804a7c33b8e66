"""A roster against a course: what would change, and that exactly this is what changes."""

from __future__ import annotations

import pytest

from sandboxes.labs import accounts, roster, roster_lines
from sandboxes.labs.models import Course, Enrollment, Role
from sandboxes.lifecycle import audit
from sandboxes.lifecycle.refusals import Refused
from sandboxes.models import Event, User

from .conftest import PROF, enroll

pytestmark = pytest.mark.django_db

HEAD = "name;email;id;section;role\n"


def draft(course: Course, by: User, text: str):
    return roster.keep(course, by, roster_lines.read(text))


def compare(course: Course, by: User, text: str):
    return roster.compare(draft(course, by, text), by)


def apply(course: Course, by: User, text: str, remove=(), theirs=()):
    kept = draft(course, by, text)
    return roster.apply(kept, PROF, by, roster.compare(kept, by).fingerprint, remove, theirs)


def person(course: Course, name: str) -> Enrollment:
    return course.enrollments.get(name=name)


@pytest.fixture
def listed(course: Course) -> Course:
    """The course, its people with e-mails and ids as a roster would have put them."""
    for number, one in enumerate(course.enrollments.select_related("user")):
        Enrollment.objects.filter(pk=one.pk).update(email=one.user.email, student_id=str(number), section="A")
    return course


def test_new_people_get_accounts_of_this_course_without_a_password(course, ines):
    apply(course, ines, HEAD + "Ada Lund;ada@x.org;77;A;\nBen;ben@x.org;78;;assistant")
    ada = person(course, "Ada Lund")
    assert (ada.role, ada.section, ada.student_id, ada.account_made) == (Role.STUDENT, "A", "77", True)
    assert ada.user.username.startswith("ada-")
    assert not ada.user.has_usable_password()
    assert not ada.user.is_staff
    assert person(course, "Ben").role == Role.ASSISTANT


def test_applied_again_it_changes_nothing(course, ines):
    text = HEAD + "Ada Lund;ada@x.org;77;A;student"
    apply(course, ines, text)
    again = compare(course, ines, text)
    assert (again.new, again.changed, len(again.same)) == ([], [], 1)
    apply(course, ines, text)
    assert course.enrollments.count() == 5
    assert User.objects.filter(email="ada@x.org").count() == 1


def test_changes_are_shown_with_before_and_after(listed, ines, alice):
    changes = compare(listed, ines, HEAD + "Alice Lund;ALICE@example.org;77;;assistant")
    (one,) = changes.changed
    assert one.person.user == alice
    assert one.told == [
        ("name", "Alice", "Alice Lund"),
        ("id", str(person(listed, "Alice").student_id), "77"),
        ("section", "A", ""),
        ("role", "student", "assistant"),
    ]


def test_a_roster_without_a_column_leaves_it_alone(listed, ines):
    apply(listed, ines, "name;email\nTina T;tina@example.org")
    tina = person(listed, "Tina T")
    assert (tina.role, tina.section) == (Role.ASSISTANT, "A")


def test_an_email_may_change_when_the_id_is_known(listed, ines, alice):
    number = person(listed, "Alice").student_id
    apply(listed, ines, f"{HEAD}Alice;new@x.org;{number};A;student")
    assert person(listed, "Alice").email == "new@x.org"
    alice.refresh_from_db()
    assert alice.email == "alice@example.org"


def test_an_account_made_for_the_course_follows_its_roster(course, ines):
    apply(course, ines, HEAD + "Ada;ada@x.org;77;;")
    apply(course, ines, HEAD + "Ada Lund;lund@x.org;77;;")
    user = person(course, "Ada Lund").user
    assert (user.first_name, user.email) == ("Ada Lund", "lund@x.org")


def test_who_is_not_in_the_file_stays_unless_ticked(listed, ines):
    text = HEAD + "Alice;alice@example.org;;;"
    missing = {one.name for one in compare(listed, ines, text).missing}
    assert missing == {"Tina", "Bob"}  # never whoever applies it
    apply(listed, ines, text, [person(listed, "Bob").pk])
    assert person(listed, "Bob").removed_at is not None
    assert person(listed, "Tina").removed_at is None


def test_a_tick_takes_out_only_who_was_shown_as_missing(listed, ines):
    apply(listed, ines, HEAD + "Alice;alice@example.org;;;", [person(listed, "Alice").pk])
    assert person(listed, "Alice").removed_at is None


def test_a_line_at_fault_is_about_somebody_who_is_not_missing(listed, ines):
    changes = compare(listed, ines, HEAD + "=Bob;bob@example.org;;;")
    assert len(changes.faults) == 1
    assert "Bob" not in {one.name for one in changes.missing}


def test_who_was_taken_out_comes_back_with_everything(open_lab, course, ines, bob):
    course.enrollments.filter(user=bob).update(removed_at=course.created_at, email="bob@example.org")
    apply(course, ines, "name;email\nBob;bob@example.org")
    found = course.enrollments.get(user=bob)
    assert found.removed_at is None
    assert found.seats.count() == 1


def test_taking_out_keeps_seats_and_accounts(open_lab, course, ines, bob):
    Enrollment.objects.filter(user=bob).update(email="bob@example.org")
    pk = course.enrollments.get(user=bob).pk
    apply(course, ines, "name;email\nAlice;alice@example.org", [pk])
    assert Enrollment.objects.get(pk=pk).seats.count() == 1
    bob.refresh_from_db()
    assert bob.is_active


# -- accounts that are there already ------------------------------------------------------------


def test_an_account_is_found_by_email_whatever_its_case_and_gains_nothing_elsewhere(course, ines):
    carl = User.objects.create_user("carl", "Carl@Example.org", "pw")
    other = Course.objects.create(title="Elsewhere")
    changes = compare(course, ines, HEAD + "Carl C;carl@example.ORG;5;A;assistant")
    assert changes.new[0].account == carl
    assert changes.asked == changes.new
    apply(course, ines, HEAD + "Carl C;carl@example.ORG;5;A;assistant", theirs=[2])
    mine = Enrollment.objects.get(user=carl)
    assert (mine.course, mine.account_made) == (course, False)
    carl.refresh_from_db()
    assert (carl.is_staff, carl.first_name, carl.has_usable_password()) == (False, "", True)
    assert not other.enrollments.exists()


def test_two_accounts_with_one_email_are_a_fault(course, ines):
    for name in ("carl", "carl2"):
        User.objects.create_user(name, "carl@x.org", "pw")
    (fault,) = compare(course, ines, HEAD + "Carl;carl@x.org;;;").faults
    assert "Several accounts" in fault.reason


def test_an_account_that_is_switched_off_is_a_fault(course, ines):
    User.objects.create_user("carl", "carl@x.org", "pw", is_active=False)
    (fault,) = compare(course, ines, HEAD + "Carl;carl@x.org;;;").faults
    assert "switched off" in fault.reason


def test_an_account_made_for_another_course_is_not_taken(course, ines):
    other = Course.objects.create(title="Elsewhere")
    apply(other, ines, HEAD + "Ada;ada@x.org;;;")
    apply(course, ines, HEAD + "Ada;ada@x.org;;;")
    assert person(course, "Ada").user != person(other, "Ada").user


def test_once_its_person_set_a_password_it_is_their_own(course, ines):
    other = Course.objects.create(title="Elsewhere")
    apply(other, ines, HEAD + "Ada;ada@x.org;;;")
    user = person(other, "Ada").user
    user.set_password("a long one")
    user.save()
    assert compare(course, ines, HEAD + "Ada;ada@x.org;;;").new[0].account == user


def test_who_joined_with_their_account_is_asked_about(course, ines, alice):
    text = HEAD + "Alice Lund;alice@example.org;5;A;"
    changes = compare(course, ines, text)
    assert [one.person.user for one in changes.asked] == [alice]
    assert "Alice" not in [one.name for one in changes.missing]
    apply(course, ines, text, theirs=[2])
    mine = course.enrollments.get(user=alice)
    assert (mine.name, mine.student_id, mine.email, mine.email_confirmed) == (
        "Alice Lund", "5", "alice@example.org", True)  # fmt: skip
    assert len(compare(course, ines, text).same) == 1


def test_one_person_twice_under_two_emails_counts_once(listed, ines):
    number = person(listed, "Bob").student_id
    changes = compare(listed, ines, f"name;email;id\nBob;bob@example.org;\nBobby;b@x.org;{number}")
    assert changes.faults[0].reason == "It is about the same person as line 2; that line counts."


def test_an_email_of_one_and_an_id_of_another_is_a_fault(listed, ines):
    number = person(listed, "Bob").student_id
    (fault,) = compare(listed, ines, f"name;email;id\nX;alice@example.org;{number}").faults
    assert "fits 2 people" in fault.reason


def test_usernames_are_free_and_plain(course, ines):
    names = accounts.usernames(["Zoë Müller", "王", "a" * 90, "=cmd()"])
    assert [name.rpartition("-")[0] for name in names] == ["zoe-muller", "person", "a" * 30, "cmd"]


# -- instructors --------------------------------------------------------------------------------


def test_instructors_do_not_demote_themselves(listed, ines):
    changes = compare(listed, ines, HEAD + "Ines;ines@example.org;;A;student")
    assert changes.faults[0].reason == roster.YOURSELF
    assert not changes.changed


def test_the_last_instructor_stays_one_also_for_site_staff(listed, prof, ines):
    changes = compare(listed, prof, HEAD + "Ines;ines@example.org;;A;student")
    assert changes.faults[0].reason == roster.NOBODY_LEFT
    pk = listed.enrollments.get(user=ines).pk
    with pytest.raises(Refused, match="no instructor left"):
        apply(listed, prof, HEAD + "Alice;alice@example.org;;A;student", [pk])
    assert listed.enrollments.get(user=ines).removed_at is None


def test_another_instructor_makes_room(listed, prof):
    text = HEAD + "Ines;ines@example.org;;A;student\nEva;eva@x.org;;;instructor"
    assert len(apply(listed, prof, text).changed) == 1
    assert listed.enrollments.get(name="Eva").role == Role.INSTRUCTOR


# -- exactly as shown ---------------------------------------------------------------------------


def test_a_course_that_changed_meanwhile_is_shown_again(listed, ines):
    kept = draft(listed, ines, HEAD + "Ada;ada@x.org;;;")
    seen = roster.compare(kept, ines).fingerprint
    enroll(listed, User.objects.create_user("dora"))
    with pytest.raises(roster.Stale):
        roster.apply(kept, PROF, ines, seen, ())
    assert not listed.enrollments.filter(name="Ada").exists()


def test_an_account_that_came_meanwhile_is_shown_first(listed, ines):
    kept = draft(listed, ines, HEAD + "Ada;ada@x.org;;;")
    seen = roster.compare(kept, ines).fingerprint
    User.objects.create_user("ada", "ada@x.org", "pw")
    with pytest.raises(roster.Stale):
        roster.apply(kept, PROF, ines, seen, ())


def test_it_is_on_record_with_numbers_and_rights(course, ines):
    apply(course, ines, HEAD + "Ada;ada@x.org;;;\nBen;ben@x.org;;;ta\n=x;c@x.org;;;")
    facts = Event.objects.get(action="roster.apply").detail
    assert (facts["new"], facts["faults"], facts["removed"]) == (2, 1, 0)
    assert Event.objects.get(action="roster.role").detail["after"] == "assistant"
    assert "x.org" not in str([event.detail for event in Event.objects.all()])


def test_thousands_take_few_queries(course, ines, django_assert_max_num_queries):
    text = HEAD + "".join(f"Student {n};s{n}@x.org;{n};{n % 9};\n" for n in range(5000))
    kept = draft(course, ines, text)
    with django_assert_max_num_queries(90):
        changes = roster.compare(kept, ines)
        roster.apply(kept, PROF, ines, changes.fingerprint, ())
    assert course.enrollments.count() == 5004


def test_events_name_their_actor(course, ines):
    kept = draft(course, ines, HEAD + "Ada;ada@x.org;;;")
    roster.apply(kept, audit.Origin.of(ines), ines, roster.compare(kept, ines).fingerprint, ())
    assert Event.objects.get(action="roster.apply").actor_name == "ines"
