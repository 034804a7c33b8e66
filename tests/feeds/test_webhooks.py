"""Events reach their webhooks once and in order; a dead receiver holds up nobody and is told of."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from sandboxes.lifecycle import audit, feeds
from sandboxes.lifecycle.feeds import delivering, patterns, posting, queueing
from sandboxes.models import Delivery, DeliveryState, Event, Outcome, Webhook
from tests.fakes.processes import wait_until

from .conftest import sealed
from .receiver import receiving, verify

pytestmark = pytest.mark.django_db
ALICE = audit.Origin("user", 7, "alice", "192.0.2.1")


@pytest.fixture(autouse=True)
def swept_now(monkeypatch):
    monkeypatch.setattr(delivering, "_swept", 0.0)


def later(monkeypatch, **step):
    """Let so much time pass."""
    now = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: now() + timedelta(**step))
    monkeypatch.setattr(delivering, "_swept", 0.0)


def seal_new():
    known = Event.objects.filter(
        pk__gt=max([0, *feeds.cursor.Seal.objects.values_list("event_id", flat=True)])
    )
    sealed(*known.order_by("pk"))


def test_an_event_arrives_signed_and_once(happen, hook, receiver):
    event = happen("sandbox.pause", ALICE)
    for _ in range(3):
        feeds.run_round()
    ((headers, body),) = receiver.got
    told = verify(hook.secret, headers, body)
    assert headers["webhook-id"] == f"evt_{event.pk}"
    assert (told["type"], told["data"]["actor_name"]) == ("sandbox.pause", "alice")
    assert told["data"]["sentence"] == "alice paused a sandbox"
    (row,) = Delivery.objects.all()
    assert (row.state, row.status, row.attempts, row.event_id) == ("delivered", 204, 1, event.pk)
    assert row.duration is not None


def test_they_come_in_the_trails_order(happen, hook, receiver):
    for action in ("sandbox.launch", "sandbox.pause", "sandbox.remove"):
        happen(action)
    feeds.run_round()
    assert receiver.types == ["sandbox.launch", "sandbox.pause", "sandbox.remove"]


def test_only_what_was_chosen(happen, hook, receiver):
    Webhook.objects.update(actions="user.*\nsandbox.launch:failed")
    happen("sandbox.launch")
    happen("sandbox.launch", outcome=Outcome.FAILED)
    happen("user.sign_in", ALICE)
    feeds.run_round()
    assert receiver.types == ["sandbox.launch", "user.sign_in"]


@pytest.mark.parametrize(
    ("text", "why"),
    [("", "at least one"), ("sandbox", "no pattern"), ("*.x", "no pattern"), ("nothing.*", "No action"),
     ("sandbox.pause:maybe", "no pattern"), ("(a+)+", "no pattern")],
)  # fmt: skip
def test_a_pattern_that_fits_nothing_is_refused(text, why):
    with pytest.raises(ValueError, match=why):
        patterns.parse(text)


def test_nothing_from_before_it_was_made_and_nothing_while_it_is_off(happen, receiver):
    happen(reason="before", at=timezone.now() - timedelta(hours=1))
    hook = Webhook.objects.create(name="siem", url=receiver.url)
    feeds.run_round()
    Webhook.objects.update(enabled=False)
    happen(reason="off")
    feeds.run_round()
    Webhook.objects.update(enabled=True)
    happen(reason="on")
    feeds.run_round()
    assert [json.loads(body)["data"]["reason"] for _, body in receiver.got] == ["on"]
    assert hook.deliveries.count() == 1


def test_what_failed_is_tried_again_after_growing_pauses(happen, hook, receiver, monkeypatch):
    receiver.answers = [(500, b"", {}), (500, b"", {}), (204, b"", {})]
    happen()
    feeds.run_round()
    feeds.run_round()
    assert len(receiver.got) == 1
    for attempts in (2, 3):
        later(monkeypatch, seconds=30)
        feeds.run_round()
        assert len(receiver.got) == attempts
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert Delivery.objects.get().state == DeliveryState.DELIVERED
    assert Webhook.objects.get().failing_since is None


def test_pauses_double_up_to_an_hour_and_differ():
    for attempts in range(1, 60):
        middle = min(5 * 2 ** (attempts - 1), 3600)
        assert 0.8 * middle <= delivering.pause(attempts).total_seconds() <= 1.2 * middle
    assert len({delivering.pause(3) for _ in range(20)}) > 10
    assert delivering.pause(1, wait=900) == timedelta(seconds=900)


def test_a_receiver_that_is_away_costs_one_try_however_much_waits(happen, hook, receiver, monkeypatch):
    receiver.will(503)
    for _ in range(20):
        happen()
    for _ in range(5):
        feeds.run_round()
    assert len(receiver.got) == 1
    receiver.will(204)
    later(monkeypatch, seconds=10)
    feeds.run_round()
    later(monkeypatch, seconds=10)
    feeds.run_round()
    assert Delivery.objects.filter(state=DeliveryState.DELIVERED).count() == 20


def test_one_event_that_it_will_not_have_holds_up_no_other(happen, hook, receiver):
    receiver.answers = [(422, b"no", {}), (204, b"", {})]
    happen()
    happen()
    feeds.run_round()
    assert len(receiver.got) == 2
    assert sorted(Delivery.objects.values_list("state", flat=True)) == ["delivered", "waiting"]


def test_after_a_day_it_is_given_up_and_said_so(happen, hook, receiver, monkeypatch):
    receiver.will(503)
    for _ in range(3):
        happen()
    feeds.run_round()
    later(monkeypatch, days=1, seconds=1)
    feeds.run_round()
    assert set(Delivery.objects.values_list("state", flat=True)) == {"given_up"}
    event = Event.objects.get(action="webhook.give_up")
    assert (event.outcome, event.target_name, event.detail) == ("failed", "siem", {"count": 3})


def test_that_it_fails_and_that_it_is_well_again_is_on_record_once(happen, hook, receiver, monkeypatch):
    receiver.will(500)
    happen()
    for _ in range(6):
        feeds.run_round()
        later(monkeypatch, hours=1)
    receiver.will(204)
    feeds.run_round()
    later(monkeypatch, hours=2)
    feeds.run_round()
    told = Event.objects.filter(action__startswith="webhook.").order_by("pk")
    assert list(told.values_list("action", "outcome")) == [
        ("webhook.fail", "failed"),
        ("webhook.recover", "ok"),
    ]


def test_its_own_failures_are_not_posted_to_it_but_to_others(happen, hook, receiver, monkeypatch):
    other = Webhook.objects.create(name="other", url=receiver.url)
    queueing.audit.record("webhook.fail", audit.SYSTEM, target=queueing.target(hook))
    seal_new()
    queueing.run_round()
    assert list(Delivery.objects.values_list("webhook", flat=True)) == [other.pk]


def test_a_full_queue_leaves_out_what_is_new_and_says_so_once(happen, hook, receiver, settings):
    settings.SANDBOX_WEBHOOK_QUEUE = 2
    for _ in range(3):
        happen()
        queueing.run_round()
    happen()
    queueing.run_round()
    hook.refresh_from_db()
    assert (hook.deliveries.count(), hook.dropped) == (2, 2)
    assert Event.objects.filter(action="webhook.drop").count() == 1


def test_an_event_that_was_pruned_meanwhile_is_given_up(happen, hook, receiver):
    row = Delivery.objects.create(webhook=hook, event_id=999_999, number=1, action="sandbox.pause")
    feeds.run_round()
    row.refresh_from_db()
    assert (row.state, row.error) == ("given_up", "The event was pruned from the trail.")
    assert receiver.got == []


def test_ended_deliveries_are_forgotten_after_a_while(happen, hook, settings, monkeypatch):
    happen()
    feeds.run_round()
    later(monkeypatch, days=settings.SANDBOX_KEEP_DAYS + 1)
    feeds.run_round()
    assert not Delivery.objects.exists()


def test_neither_url_nor_secret_nor_names_of_variables_leave(happen, hook, receiver, caplog):
    receiver.will(500)
    happen("sandbox.launch", ALICE, detail={"environment": ["CANARY_NAME"]})
    feeds.run_round()
    delivering.sample(hook, "root")
    sent = "".join(body.decode() for _, body in receiver.got)
    events = " ".join(str(row) for row in Event.objects.filter(action__startswith="webhook").values())
    for word in (hook.secret, hook.url, "CANARY_NAME"):
        assert word not in sent + caplog.text + events


@pytest.mark.django_db(transaction=True)
def test_a_dead_receiver_does_not_stop_others(happen, hook, receiver, settings):
    settings.SANDBOX_WORKERS = 8
    with receiving() as dead:
        dead.hold.clear()
        Webhook.objects.create(name="dead", url=dead.url)
        for _ in range(5):
            happen()
        feeds.run_round()
        assert wait_until(lambda: len(receiver.got) == 5 and len(dead.got) == 1)
        happen()
        feeds.run_round()
        assert wait_until(lambda: len(receiver.got) == 6)
        assert len(dead.got) == 1
        dead.hold.set()
        assert delivering.drain(10)


def test_a_sample_says_what_came_of_it(hook, receiver):
    receiver.will(401, b"who are you")
    answer = delivering.sample(hook, "root")
    assert (answer.status, answer.text, answer.error) == (401, "who are you", "It answered 401.")
    assert receiver.types == ["webhook.test"]
    assert not Delivery.objects.exists()
    assert isinstance(answer, posting.Answer)


def test_a_queue_that_is_over_full_takes_nothing(happen, hook, receiver, settings):
    settings.SANDBOX_WEBHOOK_QUEUE = 2
    for number in range(3):  # given up, and sent again by hand
        Delivery.objects.create(webhook=hook, event_id=900_000 + number, number=number, action="sandbox.stop")
    for _ in range(3):
        happen()
    queueing.run_round()
    hook.refresh_from_db()
    assert (hook.deliveries.count(), hook.dropped) == (3, 3)
