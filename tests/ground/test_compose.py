"""compose.yaml as a set: who runs what, with which names, how it is known to be well, what it can reach."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import get_commands

from sandboxes.management.commands.serve import FRAMES
from tests.ground.compose import parse

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "compose.yaml").read_text()
SERVICES: dict[str, dict[str, Any]] = parse(TEXT)["services"]
OURS = ("web", *settings.SANDBOX_LOOPS)
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::[-?][^}]*)?\}")


def test_the_reader_refuses_what_it_does_not_know():
    for text in ("a: 1\na: 2", "a: |\n  b", "a:\n  b: 1\n    c: 2", "just words"):
        with pytest.raises(ValueError, match=r"twice|pair|deeper|understood"):
            parse(text)


def test_the_set_is_web_loops_and_the_two_they_share():
    assert set(SERVICES) == {*OURS, "postgres", "redis"}


def test_each_loop_is_a_command_that_exists():
    known = get_commands()
    for name in settings.SANDBOX_LOOPS:
        assert SERVICES[name]["command"] == ["python", "manage.py", name]
        assert name in known


def test_the_web_server_takes_the_same_frames_as_serve_s():
    (_, _, line) = SERVICES["web"]["command"]
    assert line.startswith("python manage.py bootstrap && exec python -m sandboxes.management.web_server ")
    assert " ".join(FRAMES) in line
    assert line.endswith(settings.ASGI_APPLICATION.replace("asgi.", "asgi:"))


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting_that_is_read(name):
    code = (ROOT / "sandboxes/settings.py").read_text()
    given = SERVICES[name]["environment"]
    assert {"DATABASE_URL", "REDIS_URL", "SANDBOX_SECRET_KEY", "SANDBOX_HOSTS"} <= set(given)
    for variable in given:
        assert f'("{variable}"' in code, variable


def test_what_it_asks_of_env_is_told_at_the_top_and_nothing_else_is_told():
    asked = {name for name, rest in re.findall(r"(?<!\$)\$\{(\w+)(:\?)", TEXT)}
    told = set(re.findall(r"^#   (\w+)  ", TEXT, re.M))
    assert asked == told


@pytest.mark.parametrize("name", OURS)
def test_nothing_of_the_machine_is_given_but_the_engine_s_socket(name):
    mounts = SERVICES[name]["volumes"]
    assert [VARIABLE.sub("socket", one) for one in mounts] == ["data:/data", "socket:/var/run/docker.sock"]
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_the_shared_two_have_no_port_no_folder_of_the_machine_and_a_health_check(name):
    one = SERVICES[name]
    assert "ports" not in one
    assert all(not mount.startswith((".", "/", "~", "$")) for mount in one.get("volumes", []))
    assert one["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}


def test_each_waits_for_those_it_needs():
    assert {name: one["condition"] for name, one in SERVICES["web"]["depends_on"].items()} == {
        "postgres": "service_healthy",
        "redis": "service_healthy",
    }
    for name in settings.SANDBOX_LOOPS:
        assert SERVICES[name]["depends_on"] == {"web": {"condition": "service_healthy"}}
        assert SERVICES[name]["healthcheck"] == {"disable": "true"}  # the image's asks the web server


def test_its_urls_are_what_settings_understand(monkeypatch):
    from sandboxes.environment import database

    given = SERVICES["web"]["environment"]
    words = VARIABLE.sub("0123abcd", given["DATABASE_URL"])
    found = database(words, ROOT)
    assert (found["HOST"], found["PASSWORD"]) == ("postgres", "0123abcd")
    assert found["NAME"] == SERVICES["postgres"]["environment"]["POSTGRES_DB"]
    assert found["USER"] == SERVICES["postgres"]["environment"]["POSTGRES_USER"]
    assert VARIABLE.sub("pw", given["REDIS_URL"]) == "redis://:pw@redis:6379/0"
