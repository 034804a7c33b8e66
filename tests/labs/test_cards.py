"""Links on paper and by mail: a card for each, mail to each once, and failures beside the person."""

from __future__ import annotations

import smtplib
import time

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse

from sandboxes import environment
from sandboxes.labs import cards, joining, links, mailing
from sandboxes.labs.models import Course, Enrollment
from sandboxes.lifecycle import audit
from sandboxes.models import Event, User

from .conftest import PROF
from .test_courses import browser, text
from .test_links import listed

pytestmark = pytest.mark.django_db


@pytest.fixture
def class_of(course: Course, ines: User) -> Course:
    """Ada and Ben of the roster beside those with accounts of their own."""
    listed(course, ines, "name;email;section\nAda Lund;ada@x.org;A\nBen Okafor;ben@x.org;B")
    return course


def person(name: str) -> Enrollment:
    return Enrollment.objects.select_related("user", "course").get(name=name)


# -- cards --------------------------------------------------------------------------------------


def test_a_card_for_each_student_with_their_own_link(class_of, ines):
    page = text(browser(ines).get(f"/courses/{class_of.pk}/cards/"))
    assert f"http://testserver{links.path(person('Ada Lund'))}" in page
    assert f"http://testserver{links.path(person('Ben Okafor'))}" in page
    assert page.count("data:image/svg+xml") == 4
    assert "Sign in as <b>alice</b>" in page
    assert "Tina" not in page


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:8000"])
def test_cards_and_codes_that_lead_a_phone_to_itself_say_so(class_of, ines, host, settings):
    settings.ALLOWED_HOSTS = ["*"]
    joining.new_code(class_of, PROF, 60)
    for page in ("course_cards", "course_code"):
        path = reverse(page, args=[class_of.pk])
        assert f"opened as {host}" in text(browser(ines).get(path, headers={"host": host}))
        assert "lead nowhere" not in text(browser(ines).get(path, headers={"host": "lab.example.org"}))


def test_cards_of_one_section(class_of, ines):
    page = text(browser(ines).get(f"/courses/{class_of.pk}/cards/", {"section": "B"}))
    assert "Ben Okafor" in page
    assert "Ada Lund" not in page


def test_guests_and_those_taken_out_have_no_card(class_of, ines):
    Course.objects.update(guests_allowed=True)
    joining.join_as_guest(Course.objects.get(), "Greta", audit.Origin("user"), "code")
    Enrollment.objects.filter(name="Ada Lund").update(removed_at=class_of.created_at)
    page = text(browser(ines).get(f"/courses/{class_of.pk}/cards/"))
    assert "Greta" not in page
    assert "Ada Lund" not in page


def test_printing_is_on_record_without_the_links(class_of, ines):
    browser(ines).get(f"/courses/{class_of.pk}/cards/")
    event = Event.objects.get(action="roster.cards")
    assert event.detail["cards"] == 4
    assert "/join/" not in str(event.detail)


def test_many_cards_take_few_queries(class_of, ines, django_assert_max_num_queries):
    listed(class_of, ines, "name;email\n" + "".join(f"S {n};s{n}@x.org\n" for n in range(200)))
    client = browser(ines)
    begin = time.monotonic()
    with django_assert_max_num_queries(16):
        page = text(client.get(f"/courses/{class_of.pk}/cards/"))
    print(f"{page.count('data:image')} cards in {time.monotonic() - begin:.2f} s")
    assert page.count("data:image/svg+xml") == cards.ON_A_PAGE


# -- mail ---------------------------------------------------------------------------------------


@pytest.fixture
def mail(settings, mailoutbox):
    """Mail that stays here."""
    settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
    return mailoutbox


def send(course: Course, ines: User):
    return browser(ines).post(f"/courses/{course.pk}/people/mail/")


def test_each_is_sent_their_own_link_once(class_of, ines, mail):
    send(class_of, ines)
    send(class_of, ines)
    assert {message.to[0] for message in mail} == {"ada@x.org", "ben@x.org"}
    assert len(mail) == 2
    mine = next(message for message in mail if message.to == ["ada@x.org"])
    assert f"http://testserver{links.path(person('Ada Lund'))}" in mine.body
    assert Event.objects.filter(action="roster.mail").order_by("id").first().detail["sent"] == 2


def test_who_has_an_account_of_their_own_gets_none(class_of, ines, alice, mail):
    Enrollment.objects.filter(user=alice).update(email="alice@example.org")
    send(class_of, ines)
    assert "alice@example.org" not in {message.to[0] for message in mail}


def test_a_renewed_link_is_sent_anew(class_of, ines, mail):
    send(class_of, ines)
    links.renew(person("Ada Lund"), PROF)
    send(class_of, ines)
    assert [message.to[0] for message in mail].count("ada@x.org") == 2


def test_a_press_sends_only_so_many(class_of, ines, mail, monkeypatch):
    monkeypatch.setattr(mailing, "AT_ONCE", 1)
    assert "1 left, press again" in text(
        browser(ines).post(f"/courses/{class_of.pk}/people/mail/", follow=True)
    )
    assert len(mail) == 1


def test_a_failure_is_told_beside_its_person_and_tried_again(class_of, ines, mail, monkeypatch):
    from django.core.mail.backends.locmem import EmailBackend

    whole = EmailBackend.send_messages

    def choosy(self, messages):
        if messages[0].to == ["ada@x.org"]:
            raise smtplib.SMTPRecipientsRefused({"ada@x.org": (550, b"no such user")})
        return whole(self, messages)

    monkeypatch.setattr(EmailBackend, "send_messages", choosy)
    send(class_of, ines)
    assert "does not take this address" in text(browser(ines).get(f"/courses/{class_of.pk}/people/"))
    assert [message.to[0] for message in mail] == ["ben@x.org"]
    monkeypatch.setattr(EmailBackend, "send_messages", whole)
    send(class_of, ines)
    assert person("Ada Lund").link_problem == ""


def test_a_server_that_does_not_answer_is_told_and_nothing_counts_as_sent(class_of, ines, settings):
    settings.MAILERS = {
        "default": {
            "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "OPTIONS": {"host": "127.0.0.1", "port": 1, "timeout": 2},
        }
    }
    answer = browser(ines).post(f"/courses/{class_of.pk}/people/mail/", follow=True)
    assert "does not take our mail" in text(answer)
    assert person("Ada Lund").link_sent_at is None
    assert Event.objects.get(action="roster.mail").outcome == "refused"


def test_without_mail_no_button(class_of, ines):
    page = text(browser(ines).get(f"/courses/{class_of.pk}/cards/"))
    assert "people/mail/" not in page
    assert "No mail is set up" in text(
        browser(ines).post(f"/courses/{class_of.pk}/people/mail/", follow=True)
    )


def test_a_title_with_line_breaks_makes_no_header(class_of, ines, mail):
    Course.objects.update(title="A\nBcc: everybody@x.org")
    send(class_of, ines)
    assert {message.subject for message in mail} == {"Your link for A Bcc: everybody@x.org"}


def test_the_mail_servers_address_is_read():
    found = environment.mailers("smtp://me%40x:p%2Fw@mail.example.org")["default"]["OPTIONS"]
    assert (found["host"], found["port"], found["use_tls"], found["use_ssl"]) == (
        "mail.example.org",
        587,
        True,
        False,
    )
    assert (found["username"], found["password"]) == ("me@x", "p/w")
    assert environment.mailers("smtps://h")["default"]["OPTIONS"]["port"] == 465
    assert environment.mailers("smtp://h:25?tls=0")["default"]["OPTIONS"]["use_tls"] is False
    assert environment.mailers("") == {}


@pytest.mark.parametrize("url", ["http://h", "smtp://", "smtp://h:many", "mail"])
def test_an_address_that_is_none_stops_the_start(url):
    with pytest.raises(ImproperlyConfigured, match="SANDBOX_EMAIL_URL"):
        environment.mailers(url)
