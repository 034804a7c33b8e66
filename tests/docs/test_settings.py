"""What the environment says is what is so, or the start stops with a sentence."""

from pathlib import Path

import pytest
from django.conf import settings as live
from django.core.exceptions import ImproperlyConfigured

from sandboxes import environment


def test_sqlite_takes_its_locks_at_the_beginning_and_writes_ahead():
    options = environment.database("", Path())["OPTIONS"]
    assert options["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in options["init_command"]


def test_a_database_url_keeps_every_part():
    found = environment.database("postgres://u%40x:p%2Fw@db:5433/name?sslmode=require", Path())
    assert (found["USER"], found["PASSWORD"], found["HOST"], found["PORT"], found["NAME"]) == (
        "u@x", "p/w", "db", "5433", "name",
    )  # fmt: skip
    assert found["OPTIONS"] == {"sslmode": "require"}


def test_another_kind_of_database_is_refused():
    with pytest.raises(ImproperlyConfigured, match="postgres://"):
        environment.database("mysql://x/y", Path())


@pytest.mark.parametrize("value", ["nan", "inf", "many", "-1"])
def test_a_number_that_is_none_names_its_setting(monkeypatch, value):
    monkeypatch.setenv("SANDBOX_QUOTA_SANDBOXES", value)
    with pytest.raises(ImproperlyConfigured, match="SANDBOX_QUOTA_SANDBOXES"):
        environment.number("SANDBOX_QUOTA_SANDBOXES", 20, 1)


def test_the_session_is_not_for_scripts_and_not_for_other_sites():
    assert live.SESSION_COOKIE_HTTPONLY
    assert live.SESSION_COOKIE_SAMESITE == "Lax"


def test_quotas_of_staff_are_numbers_by_name():
    assert environment.quotas(["memory=2g", "creates=0"]) == {"memory": 2 << 30, "creates": 0}


@pytest.mark.parametrize("part", ["memory", "memory=x", "beds=3", "=3"])
def test_other_quotas_of_staff_stop_the_start(part):
    with pytest.raises(ImproperlyConfigured, match="SANDBOX_STAFF_QUOTAS"):
        environment.quotas([part])
