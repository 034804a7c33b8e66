"""Webhooks in the admin: made, tried, changed, looked after; what opens doors is shown once and sealed."""

import html
import re

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.urls import reverse

from sandboxes.lifecycle import feeds, sealing
from sandboxes.lifecycle.feeds import delivering
from sandboxes.models import Delivery, DeliveryState, Event, Outcome, User, Webhook
from sandboxes.models.sealed import seal, unseal

pytestmark = pytest.mark.django_db
ADD = "/admin/sandboxes/webhook/add/"
LOG = "/admin/sandboxes/delivery/"


@pytest.fixture
def admin(client, root):
    client.force_login(root)
    return client


@pytest.fixture
def values(receiver):
    return {"name": "siem", "url": receiver.url, "actions": "sandbox.*\n*:refused", "enabled": "on"}


def page_of(hook):
    return reverse("admin:sandboxes_webhook_change", args=[hook.pk])


def press(client, hook, what):
    return client.post(reverse(f"admin:sandboxes_webhook_{what}", args=[hook.pk]), follow=True)


def raw(column):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM sandboxes_webhook")
        return cursor.fetchone()[0]


def test_a_new_webhook_shows_its_secret_once(admin, values):
    page = admin.post(ADD, values)
    hook = Webhook.objects.get()
    (shown,) = re.findall(r"data-secret>([^<]+)<", page.content.decode())
    assert html.unescape(shown) == hook.secret
    assert "no-store" in page["Cache-Control"]
    for url in (page_of(hook), "/admin/sandboxes/webhook/"):
        assert hook.secret not in html.unescape(admin.get(url).content.decode())


def test_the_database_alone_opens_nothing(admin, values):
    admin.post(ADD, values)
    hook = Webhook.objects.get()
    assert hook.url == values["url"]
    for column, text in (("url", hook.url), ("secret", hook.secret)):
        assert raw(column).startswith("sealed1:")
        assert text not in raw(column)


def test_what_another_key_sealed_reads_as_empty(settings):
    sealed = seal("whsec_abc")
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another " * 8
    assert unseal(sealed) == "whsec_abc"
    settings.SECRET_KEY_FALLBACKS = []
    assert unseal(sealed) == ""


def test_what_was_kept_before_it_was_sealed_is_still_read():
    assert unseal("https://example.org/hook") == "https://example.org/hook"


def test_a_webhook_that_cannot_be_read_posts_nothing_and_says_so(
    client, root, happen, hook, receiver, settings
):
    settings.SECRET_KEY = "another " * 8
    client.force_login(root)
    happen()
    feeds.run_round()
    assert receiver.got == []
    assert "SANDBOX_SECRET_KEY was changed" in Delivery.objects.get().error
    assert "SANDBOX_SECRET_KEY was changed" in client.get("/admin/sandboxes/webhook/").content.decode()


@pytest.mark.parametrize(
    ("field", "wrong", "said"),
    [
        ("url", "ftp://example.org/", "starts with https:// or http://"),
        ("url", "https://user@example.org/", "names a host, and no user"),
        ("actions", "sandbox.fly", "No action is called “sandbox.fly”"),
        ("actions", "everything!", "is no pattern"),
    ],
)
def test_what_could_not_work_is_said_at_the_field(admin, values, field, wrong, said):
    page = admin.post(ADD, {**values, field: wrong}).content.decode()
    assert said in html.unescape(page)
    assert not Webhook.objects.exists()


def test_changes_are_on_record_without_what_opens_doors(admin, values, receiver):
    admin.post(ADD, values)
    hook = Webhook.objects.get()
    admin.post(
        page_of(hook), {**values, "actions": "*", "url": f"{receiver.url}?token=canary", "enabled": ""}
    )
    press(admin, hook, "secret")
    admin.post(f"/admin/sandboxes/webhook/{hook.pk}/delete/", {"post": "yes"})
    told = Event.objects.filter(target_kind="webhook").order_by("id")
    assert [event.action for event in told] == [
        "webhook.add", "webhook.change", "webhook.change", "webhook.remove",
    ]  # fmt: skip
    assert told[1].changes == {
        "actions": ["sandbox.*\\u000a*:refused", "*"],
        "enabled": [True, False],
        "url": ["(not shown)", "(not shown)"],
    }
    assert told[2].changes == {"secret": ["(not shown)", "(not shown)"]}
    everything = str(list(Event.objects.values()))
    for secret in ("canary", "whsec_", receiver.url):
        assert secret not in everything


def test_a_new_secret_signs_from_now_on(admin, hook):
    before = hook.secret
    page = press(admin, hook, "secret").content.decode()
    hook.refresh_from_db()
    assert hook.secret != before
    assert html.escape(hook.secret) in page


def test_the_test_button_posts_a_sample_and_says_what_came_of_it(admin, hook, receiver):
    page = press(admin, hook, "test").content.decode()
    assert "It took the sample: 204" in page
    assert receiver.types == ["webhook.test"]
    event = Event.objects.get(action="webhook.test")
    assert (event.outcome, event.actor_name, event.detail) == (Outcome.OK, "root", {"status": 204})


def test_a_test_that_fails_says_why(admin, hook, receiver):
    receiver.will(500, b"no")
    assert "It answered 500." in press(admin, hook, "test").content.decode()
    assert Event.objects.get(action="webhook.test").outcome == Outcome.FAILED


def test_the_log_says_what_came_of_each_and_cannot_be_changed(admin, happen, hook, receiver):
    happen("sandbox.pause")
    feeds.run_round()
    page = admin.get(LOG).content.decode()
    assert "sandbox.pause" in page
    assert "204" in page
    row = Delivery.objects.get()
    assert admin.post(f"{LOG}{row.pk}/change/", {"state": "waiting"}).status_code == 403
    assert admin.get(f"{LOG}add/").status_code == 403


def test_what_was_given_up_is_sent_again(admin, happen, hook, receiver, monkeypatch):
    event = happen("sandbox.pause")
    feeds.run_round()
    Delivery.objects.update(state=DeliveryState.GIVEN_UP)
    admin.post(LOG, {"action": "send_again", "_selected_action": [Delivery.objects.get().pk]})
    monkeypatch.setattr(delivering, "_swept", 0.0)
    delivering.run_round()
    assert [headers["webhook-id"] for headers, _ in receiver.got] == [f"evt_{event.pk}"] * 2
    assert Delivery.objects.get().state == DeliveryState.DELIVERED
    assert Event.objects.get(action="webhook.resend").detail == {"count": 1}


def test_who_may_only_look_presses_nothing(client, hook, happen, receiver):
    user = User.objects.create_user("audra", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=("view_webhook", "view_delivery")))
    client.force_login(user)
    page = client.get(page_of(hook)).content.decode()
    assert "Send a test" not in page
    assert receiver.url not in html.unescape(page)
    for what in ("test", "secret"):
        assert client.post(f"/admin/sandboxes/webhook/{hook.pk}/{what}/").status_code == 403
    assert receiver.got == []


def test_the_reader_of_the_trail_sees_no_webhook(client, hook):
    user = User.objects.create_user("audra", password="x", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_event"))
    client.force_login(user)
    assert client.get(page_of(hook)).status_code == 403
    assert client.get(LOG).status_code == 403


def test_the_audit_loop_hands_events_on(hook, receiver, admin):
    sealing.Rounds().one()
    admin.logout()
    User.objects.get(username="root")
    before = len(receiver.got)
    from sandboxes.lifecycle import audit

    audit.record("sandbox.pause", audit.SYSTEM)
    sealing.Rounds().one()
    assert receiver.types[before:] == ["sandbox.pause"]
