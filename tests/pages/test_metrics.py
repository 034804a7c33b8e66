"""/metrics: there for whoever has the token, true to the database, and cheap."""

from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from sandboxes import environment
from sandboxes.engine import get_engine
from sandboxes.engine.base import Unreachable
from sandboxes.lifecycle import audit, feeds
from sandboxes.models import Command, Event, Lease, Outcome, Seal, Terminal

pytestmark = pytest.mark.django_db
TOKEN = "a token of some length"


@pytest.fixture(autouse=True)
def token(settings):
    settings.SANDBOX_METRICS_TOKEN = TOKEN


@pytest.fixture
def scrape(anonymous):
    """``scrape()[name, label value ...]``: what Prometheus reads."""

    def scraped():
        answer = anonymous.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200
        families = text_string_to_metric_families(answer.content.decode())
        return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}

    return scraped


def seal_all():
    known = set(Seal.objects.values_list("event_id", flat=True))
    for event in Event.objects.exclude(pk__in=known).order_by("pk"):
        Seal.objects.create(number=event.pk, event_id=event.pk, digest="0" * 64, sealed_at=timezone.now())
    while feeds.run_round():
        pass


@pytest.mark.parametrize(
    "header", ["", TOKEN, "Bearer ", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}é"]
)
def test_without_the_token_there_is_no_such_page(anonymous, header):
    assert anonymous.get("/metrics", headers={"Authorization": header}).status_code == 404


def test_without_a_setting_there_is_no_such_page(anonymous, settings):
    settings.SANDBOX_METRICS_TOKEN = ""
    for header in ("", "Bearer", "Bearer "):
        assert anonymous.get("/metrics", headers={"Authorization": header}).status_code == 404


def test_a_session_is_no_token(client, root):
    client.force_login(root)
    assert client.get("/metrics").status_code == 404


def test_a_short_token_is_none(monkeypatch):
    monkeypatch.setenv("SANDBOX_METRICS_TOKEN", "short")
    with pytest.raises(ImproperlyConfigured, match="SANDBOX_METRICS_TOKEN must have at least 16"):
        environment.secret("SANDBOX_METRICS_TOKEN")


def test_sandboxes_by_status_and_what_is_under_way(scrape, row):
    row(status="running")
    row(status="running", pending="pause")
    row(status="removed")
    found = scrape()
    assert found["sandboxes_sandboxes", "running"] == 2
    assert found["sandboxes_sandboxes", "paused"] == 0
    assert found["sandboxes_sandboxes_pending", "pause"] == 1
    assert ("sandboxes_sandboxes", "removed") not in found


def test_launches_their_failures_and_the_time_to_running(scrape):
    for outcome, took in (
        (Outcome.OK, 800),
        (Outcome.OK, 2500),
        (Outcome.FAILED, 90),
        (Outcome.REFUSED, None),
    ):
        audit.record("sandbox.launch", audit.SYSTEM, outcome=outcome, duration=took)
    seal_all()
    found = scrape()
    assert found["sandboxes_launches_total", "ok"] == 2
    assert found["sandboxes_launches_total", "failed"] == 1
    assert found["sandboxes_events_total", "sandbox.launch", "refused"] == 1
    assert found["sandboxes_launch_seconds_bucket", "1"] == 1
    assert found["sandboxes_launch_seconds_bucket", "3"] == 2
    assert found["sandboxes_launch_seconds_count",] == found["sandboxes_launch_seconds_bucket", "+Inf"] == 2
    assert found["sandboxes_launch_seconds_sum",] == 3.3


def test_terminals_commands_and_what_waits(scrape, row):
    sandbox = row(status="queued")
    Terminal.objects.create(sandbox=sandbox, name="main", process="x")
    Terminal.objects.create(sandbox=sandbox, name="old", process="x", ended_at=timezone.now())
    Command.objects.create(sandbox=sandbox, argv=["true"], time_limit=1)
    found = scrape()
    assert found["sandboxes_terminals_open",] == 1
    assert found["sandboxes_commands_running",] == 1
    assert found["sandboxes_queue_length", "launches"] == 1
    assert found["sandboxes_queue_length", "seats"] == 0


def test_the_age_of_the_loop_and_whether_it_is_well(scrape):
    at = (timezone.now() - timedelta(seconds=30)).isoformat()
    Lease.objects.create(name="cleanup", owner="x", until=timezone.now(), report={"at": at, "error": "no"})
    Lease.objects.create(name="process:x", owner="x", until=timezone.now())
    found = scrape()
    assert 29 < found["sandboxes_loop_age_seconds", "cleanup"] < 60
    assert found["sandboxes_loop_ok", "cleanup"] == 0


def test_how_far_seals_and_feeds_are_behind(scrape):
    audit.record("sandbox.pause", audit.SYSTEM)
    seal_all()
    audit.record("sandbox.pause", audit.SYSTEM, at=timezone.now() - timedelta(seconds=100))
    found = scrape()
    assert found["sandboxes_audit_unsealed",] == 1
    assert 99 < found["sandboxes_audit_seal_lag_seconds",] < 200
    assert found["sandboxes_feed_lag", "tallies"] == 0


def test_whether_the_engine_answers(scrape, engine):
    assert scrape()["sandboxes_engine_reachable",] == 1
    get_engine().health.note_error(Unreachable("away", "unix:///x"))
    assert scrape()["sandboxes_engine_reachable",] == 0


def test_the_process_tells_of_itself(scrape):
    assert scrape()["process_resident_memory_bytes",] > 1 << 20


def test_no_name_of_anybody_is_a_label(scrape, launch, alice):
    launch(name="canary-box")
    audit.record("user.sign_in", audit.Origin.of(alice, "192.0.2.77"))
    seal_all()
    assert not {"alice", "canary-box", "192.0.2.77"} & {word for key in scrape() for word in key}


def test_a_scrape_is_few_queries_and_none_counts_the_trail(scrape, django_assert_max_num_queries):
    for _ in range(50):
        audit.record("sandbox.pause", audit.SYSTEM)
    seal_all()
    with django_assert_max_num_queries(14) as asked:
        scrape()
    trail = [one["sql"] for one in asked.captured_queries if '"sandboxes_event"' in one["sql"]]
    assert all("COUNT" not in sql and "LIMIT" in sql for sql in trail)
