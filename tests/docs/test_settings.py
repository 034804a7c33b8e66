"""What the environment says is what is so, or the start stops with a sentence."""

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.conf import settings as live
from django.core.exceptions import ImproperlyConfigured

from sandboxes import environment
from sandboxes.lifecycle import cleanup

from .test_docs import rows


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


def test_rounds_that_would_be_too_rare_stop_the_start(monkeypatch):
    assert live.SANDBOX_CLEANUP_INTERVAL <= cleanup.LONGEST
    monkeypatch.setenv("SANDBOX_CLEANUP_INTERVAL", "11.1")
    result = subprocess.run(
        [sys.executable, "-c", "import sandboxes.settings"], cwd=live.BASE_DIR, capture_output=True, text=True
    )
    assert "SANDBOX_CLEANUP_INTERVAL must be at most 11." in result.stderr


IN_WORDS = {"SANDBOX_DATA", "DATABASE_URL", "REDIS_URL", "SANDBOX_INSTALL", "SANDBOX_STATIC_ROOT",
            "SANDBOX_PYTHON", "SANDBOX_BUSYBOX", "SANDBOX_SECRET_KEY", "SANDBOX_AUDIT_KEY",
            "SANDBOX_AUDIT_HEAD_FILE"}  # fmt: skip
TWICE = """
import importlib, json, os, sys
from sandboxes import settings
alone = {name: repr(value) for name, value in vars(settings).items() if name.isupper()}
os.environ.update(json.loads(sys.argv[1]))
importlib.reload(settings)
told = {name: repr(value) for name, value in vars(settings).items() if name.isupper()}
print(json.dumps([alone, told]))
"""


def test_the_defaults_are_those_of_the_settings_page(tmp_path):
    """Many of them are promises. To say what the page says changes nothing, setting by setting."""
    page = {
        name[1:-1]: default.strip("`") for name, default, *_ in rows("reference/settings.md") if "_" in name
    }
    assert {name for name, default in page.items() if " " in default} == IN_WORDS
    said = {name: default for name, default in page.items() if name not in IN_WORDS and default != "none"}
    found = subprocess.run([sys.executable, "-c", TWICE, json.dumps(said)], cwd=live.BASE_DIR, check=True,
                           env={"SANDBOX_DATA": str(tmp_path), "PATH": os.environ["PATH"]},
                           capture_output=True, text=True).stdout  # fmt: skip
    alone, told = json.loads(found)
    assert {name: (value, told[name]) for name, value in alone.items() if value != told[name]} == {}
    assert {alone.get(name, "''") for name, default in page.items() if default == "none"} == {"''"}


# -- secrets of our own ---------------------------------------------------------------------------


def test_a_secret_is_made_once_and_is_nobody_else_s(tmp_path):
    first = environment.kept(tmp_path, "secret_key", 32)
    assert len(first) == 64
    assert environment.kept(tmp_path, "secret_key", 32) == first
    assert [one.name for one in tmp_path.iterdir()] == ["secret_key"]
    assert (tmp_path / "secret_key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("step", ["fdopen", "fsync", "link"])
def test_a_process_that_dies_while_it_makes_one_leaves_none(tmp_path, monkeypatch, step):
    """Killed, so that nothing tidies up; the next start makes one all the same."""
    child = (
        "import os; from pathlib import Path; from sandboxes import environment\n"
        f"os.{step} = lambda *_: os._exit(9)\n"
        f"environment.kept(Path({str(tmp_path)!r}), 'install', 4)"
    )
    assert subprocess.run([sys.executable, "-c", child], cwd=live.BASE_DIR).returncode == 9
    assert not (tmp_path / "install").exists()
    assert len(environment.kept(tmp_path, "install", 4)) == 8


def test_of_many_at_once_all_have_the_same(tmp_path):
    gate = threading.Barrier(8)

    def one(_: int) -> list[str]:
        found = []
        for number in range(20):
            gate.wait(20)
            found.append(environment.kept(tmp_path, f"key{number}", 32))
        return found

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(one, range(8)))
    assert all(one == made[0] for one in made)
    assert {len(value) for value in made[0]} == {64}


def test_an_empty_one_stops_the_start(tmp_path):
    (tmp_path / "install").touch()
    with pytest.raises(ImproperlyConfigured, match="is empty"):
        environment.kept(tmp_path, "install", 4)


def test_the_session_is_not_for_scripts_and_not_for_other_sites():
    assert live.SESSION_COOKIE_HTTPONLY
    assert live.SESSION_COOKIE_SAMESITE == "Lax"


def test_quotas_of_staff_are_numbers_by_name():
    assert environment.quotas(["memory=2g", "creates=0"]) == {"memory": 2 << 30, "creates": 0}


@pytest.mark.parametrize("part", ["memory", "memory=x", "beds=3", "=3"])
def test_other_quotas_of_staff_stop_the_start(part):
    with pytest.raises(ImproperlyConfigured, match="SANDBOX_STAFF_QUOTAS"):
        environment.quotas([part])


FROM_FILES = ("DATABASE_URL", "REDIS_URL", "SANDBOX_SECRET_KEY", "SANDBOX_EMAIL_URL", "SANDBOX_AUDIT_KEY",
              "SANDBOX_METRICS_TOKEN")  # fmt: skip


@pytest.fixture
def secret(monkeypatch, tmp_path):
    """``secret(name, content)``: a file that holds it, and its variable."""

    def put(name, content):
        path = tmp_path / name
        path.write_bytes(content)
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(f"{name}_FILE", str(path))
        monkeypatch.setattr(environment, "FROM_FILES", {})
        return path

    return put


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n", b" \n\n"])
def test_a_secret_in_a_file_is_what_stands_there(secret, ending):
    secret("DATABASE_URL", b"postgres://u:p@db/name" + ending)
    assert environment.given("DATABASE_URL") == "postgres://u:p@db/name"
    assert environment.FROM_FILES == {"DATABASE_URL": "postgres://u:p@db/name"}


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "No such file"), (b"", "empty"), (b" \n", "empty"), (b"\xff\xfe", "no text")],
)
def test_a_file_that_holds_no_secret_stops_the_start(secret, content, why):
    path = secret("SANDBOX_SECRET_KEY", content or b"")
    if content is None:
        path.unlink()
    with pytest.raises(ImproperlyConfigured, match=f"SANDBOX_SECRET_KEY_FILE .*{why}"):
        environment.given("SANDBOX_SECRET_KEY")


def test_a_secret_given_twice_stops_the_start(secret, monkeypatch):
    secret("REDIS_URL", b"redis://one")
    monkeypatch.setenv("REDIS_URL", "redis://two")
    with pytest.raises(ImproperlyConfigured, match="both"):
        environment.given("REDIS_URL")


def test_a_key_in_a_file_is_as_long_as_any(secret, tmp_path):
    secret("SANDBOX_AUDIT_KEY", b"ab" * 32 + b"\n")
    assert environment.key("SANDBOX_AUDIT_KEY", tmp_path, "audit_key") == "ab" * 32
    secret("SANDBOX_AUDIT_KEY", b"short")
    with pytest.raises(ImproperlyConfigured, match="64 hexadecimal"):
        environment.key("SANDBOX_AUDIT_KEY", tmp_path, "audit_key")
    secret("SANDBOX_METRICS_TOKEN", b"short\n")
    with pytest.raises(ImproperlyConfigured, match="16 characters"):
        environment.secret("SANDBOX_METRICS_TOKEN")


def test_all_secrets_of_the_settings_may_be_in_files(tmp_path):
    """As a start reads them; none of them is in the environment then."""
    values = dict(zip(FROM_FILES, ("postgres://u:p@db/name", "redis://:p@r/0", "s" * 50, "smtp://u:p@m:25",
                                   "cd" * 32, "t" * 20), strict=True))  # fmt: skip
    given = {"SANDBOX_DATA": str(tmp_path), "PATH": os.environ["PATH"]}
    for name, value in values.items():
        (tmp_path / name.lower()).write_text(value + "\n")
        given[f"{name}_FILE"] = str(tmp_path / name.lower())
    script = (
        "from sandboxes import settings as s; import json;"
        "print(json.dumps([s.DATABASES['default']['PASSWORD'], s.REDIS_URL, s.SECRET_KEY,"
        "s.MAILERS['default']['OPTIONS']['host'], s.SANDBOX_AUDIT_KEY,"
        "s.SANDBOX_METRICS_TOKEN, s.SANDBOX_FROM_FILES]))"
    )
    said = subprocess.run([sys.executable, "-c", script], env=given, cwd=live.BASE_DIR, check=True,
                          capture_output=True, text=True).stdout  # fmt: skip
    expected = ["p", "redis://:p@r/0", "s" * 50, "m", "cd" * 32, "t" * 20, values]
    assert json.loads(said) == expected
