"""/healthz and /readyz: green when all is there, 503 with reasons when not, never engine text."""

from __future__ import annotations

from datetime import timedelta
from unittest import mock

import pytest
from django.db import DatabaseError
from django.utils import timezone

from sandboxes.engine.base import Reach, Unreachable
from sandboxes.lifecycle import guard
from sandboxes.models import Lease
from sandboxes.views import health

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def asked_anew(settings):
    settings.SANDBOX_CLEANUP_INTERVAL = 10
    health._kept, health._missing = (0.0, {}), set()


@pytest.fixture
def again(anonymous):
    """Ask once more, as if a second had passed."""

    def asked():
        health._kept = (0.0, {})
        return anonymous.get("/readyz")

    return asked


@pytest.fixture
def loop():
    """``loop(seconds_ago)``: the cleanup loop's last round."""

    def ran(seconds_ago, **report):
        at = (timezone.now() - timedelta(seconds=seconds_ago)).isoformat()
        Lease.objects.update_or_create(
            name="cleanup", defaults={"owner": "x", "until": timezone.now(), "report": {"at": at, **report}}
        )

    return ran


def test_healthz_needs_nothing(client):
    response = client.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok\n")


def test_ready(anonymous, loop):
    loop(29)
    response = anonymous.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "ready": True, "reasons": [],
        "checks": {"database": "ok", "migrations": "ok", "engine": "ok", "cleanup": "ok"},
        "network": "not known: Nobody has looked yet.",
    }  # fmt: skip
    assert "no-store" in response.headers["Cache-Control"]


def test_no_round_yet(anonymous):
    response = anonymous.get("/readyz")
    assert response.status_code == 503
    assert response.json()["reasons"] == ["The cleanup loop has not run yet."]


@pytest.mark.parametrize("at", ["", "yesterday", None, 5, "2026-13-45T00:00:00Z"])
def test_a_report_that_cannot_be_read(at, anonymous, loop):
    loop(0, at=at)
    assert anonymous.get("/readyz").json()["checks"]["cleanup"] == "The cleanup loop has not run yet."


def test_a_round_older_than_three_intervals(anonymous, loop):
    loop(40)
    assert "last round was 4" in anonymous.get("/readyz").json()["checks"]["cleanup"]


def test_a_hurried_loop_may_wait_for_what_it_began(anonymous, loop, settings):
    settings.SANDBOX_CLEANUP_INTERVAL = 0.5
    loop(10)
    assert anonymous.get("/readyz").json()["checks"]["cleanup"] == "ok"
    loop(20)
    health._kept = (0.0, {})
    assert "last round was 2" in anonymous.get("/readyz").json()["checks"]["cleanup"]


def test_a_round_that_failed(anonymous, loop):
    loop(1, error="OSError: /var/lib")
    response = anonymous.get("/readyz")
    assert response.json()["reasons"] == ["The cleanup loop's last round failed."]
    assert b"/var/lib" not in response.content


def test_the_engine_away(anonymous, engine, loop):
    loop(1)
    engine.away = Unreachable("away", "unix:///var/run/docker.sock")
    response = anonymous.get("/readyz")
    assert response.status_code == 503
    assert response.json()["reasons"] == ["The engine does not answer."]
    assert b"docker.sock" not in response.content


def test_the_database_away(anonymous, loop):
    loop(1)
    with mock.patch(
        "django.db.backends.utils.CursorWrapper.execute", side_effect=DatabaseError("host db.internal")
    ):
        response = anonymous.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["database"] == "The database does not answer."
    assert b"db.internal" not in response.content


def test_migrations_missing(anonymous, loop):
    loop(1)
    plan = mock.patch.object(health.MigrationExecutor, "migration_plan", return_value=[1, 2])
    with plan:
        assert "2 migrations have not run" in anonymous.get("/readyz").json()["checks"]["migrations"]


def test_without_tables_it_is_migrations_that_are_missing(anonymous):
    with mock.patch.object(health.Lease.objects, "filter", side_effect=DatabaseError("no such table")):
        checks = anonymous.get("/readyz").json()["checks"]
    assert checks["database"] == "ok"
    assert checks["cleanup"] == "Whether the cleanup loop runs cannot be told: migrations have not run."


def test_the_log_tells_of_changes_only(engine, again, loop, caplog):
    loop(1)
    engine.away = Unreachable("away", "unix:///var/run/docker.sock")
    for _ in range(3):
        assert again().status_code == 503
    engine.away = None
    for _ in range(3):
        assert again().status_code == 200
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        ("WARNING", "Not ready: The engine does not answer."),
        ("WARNING", "Ready again."),
    ]


def test_an_age_that_grows_is_no_change(again, loop, caplog):
    for age in (40, 41, 42):
        loop(age)
        again()
    assert len(caplog.records) == 1


def test_nobody_drives_the_engine_with_it(anonymous, engine, loop):
    loop(1)
    for _ in range(20):
        anonymous.get("/readyz")
    assert engine.calls.count(("ping", None)) == 1


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_only_to_be_read(path, anonymous):
    assert anonymous.post(path).status_code == 405
    assert anonymous.head(path).status_code in {200, 503}


@pytest.mark.parametrize(
    ("reach", "word"),
    [
        (Reach(host=False, metadata=False), "guarded"),
        (Reach(host=True, metadata=False), "not guarded: A sandbox reaches services of this host."),
    ],
)
def test_whether_the_network_is_guarded_is_told_and_stops_nobody(anonymous, loop, engine, reach, word):
    loop(1)
    engine.reached = reach
    guard.look()
    response = anonymous.get("/readyz")
    assert (response.status_code, response.json()["network"]) == (200, word)


@pytest.mark.parametrize(
    ("network", "age", "is_known"),
    [
        ("none", 61, True),  # nobody is on the network: the loop looks every ten minutes
        ("none", 650, True),
        ("none", 670, False),
        ("internet", 61, True),
        ("internet", 115, True),  # it looks every minute, and a round may be late
        ("internet", 125, False),
    ],
)
def test_a_verdict_is_told_as_long_as_the_loop_lets_it_be(as_prof, launch, engine, network, age, is_known):
    launch(network=network)
    guard.look()
    at = timezone.now() - timedelta(seconds=age)
    kept = Lease.objects.get(name=guard.NAME)
    Lease.objects.filter(name=guard.NAME).update(report=kept.report | {"at": at.isoformat()})
    word = as_prof.get("/readyz").json()["network"]
    page = as_prof.get("/system/").content.decode()
    card = page[page.index("guard-title") : page.index("fullest-title")]
    assert word.startswith("guarded" if is_known else "not known: It was last looked at ")
    assert (">guarded<" in card.replace("</svg>", ">"), "not known<" in card) == (is_known, not is_known)
    assert f'<time-ago at="{at:%Y-%m-%dT%H:%M}' in card
    assert not guard.seen().is_fresh, "who starts one looks again"
