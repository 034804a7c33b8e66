"""What every answer carries, errors and the admin among them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from sandboxes.views import health

from .rules import ROUTES, address
from .test_admin import addresses
from .test_forgery import open_paths
from .world import HERE, PASSWORD, World

ROOT = Path(__file__).resolve().parents[2]
PLAYER = "recording_replay"
"""The one page that may compile WebAssembly."""


def faults(answer: Any, wasm: bool = False) -> list[str]:
    """What an answer lacks."""
    head, policy = answer.headers, answer.headers.get("Content-Security-Policy", "")
    wanted = {
        "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
    }  # fmt: skip
    lacks = [name for name, value in wanted.items() if head.get(name) != value]
    lacks += [part for part in ("default-src 'self'", "frame-ancestors 'none'", "object-src 'none'",
                                "base-uri 'none'", "form-action 'self'") if part not in policy]  # fmt: skip
    unsafe = policy.replace("'wasm-unsafe-eval'", "") if wasm else policy
    lacks += ["unsafe"] if "unsafe" in unsafe or "*" in unsafe or "http:" in unsafe else []
    lacks += [one for one in ("camera=()", "microphone=()", "geolocation=()") if one not in head.get(
        "Permissions-Policy", "")]  # fmt: skip
    return lacks + ([] if "no-store" in head.get("Cache-Control", "") else ["Cache-Control"])


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["anonymous", "student", "instructor", "auditor"])
def test_every_page_and_every_refusal_carries_them(world: World, role: str) -> None:
    place, client, wrong = world.places[HERE], world.browser(role), []
    named = [(name, address(name, world, place, place)) for name in ROUTES]
    named += [("", path) for path in open_paths(world)] + [("", path) for _, path in addresses(world)]
    named += [
        ("", path) for path in ("/healthz", "/readyz", "/metrics", "/nowhere/", "/nowhere", "/sandboxes")
    ]
    for name, path in named:
        answer = client.get(path)
        if found := faults(answer, wasm=name == PLAYER):
            wrong.append((path, answer.status_code, found))
    assert wrong == []
    assert len(named) > 150


@pytest.mark.django_db
def test_so_do_answers_to_what_goes_wrong(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(raise_request_exception=False, enforce_csrf_checks=True)
    fields = {f"field{number}": "x" for number in range(1200)}
    answers = {
        400: Client().post(reverse("sign_in"), fields), 403: client.post(reverse("sign_in")),
        405: client.get(reverse("sign_out")), 301: client.get("/sandboxes"),
    }  # fmt: skip
    monkeypatch.setattr(health, "checked", None)
    answers[500] = client.get("/readyz")
    answers[400 + 1000] = client.get("/healthz", headers={"host": "evil.example"})
    for status, answer in answers.items():
        assert answer.status_code == status % 1000
        assert faults(answer) == [], status


def test_so_does_a_file_of_ours_but_it_may_be_kept(client: Client) -> None:
    answer = client.get("/static/css/base.css")
    assert answer.status_code == 200
    assert faults(answer) == ["Cache-Control"]


DEPLOYED = """
import json, os
os.environ["DJANGO_SETTINGS_MODULE"] = "sandboxes.settings"
import django
django.setup()
from django.conf import settings
from django.core import checks
from django.test import Client
client = Client(HTTP_HOST="site.example")
plain, page = client.get("/sign-in/"), client.get("/healthz", secure=True)
found = checks.run_checks(include_deployment_checks=True)
print(json.dumps({
    "checks": [str(one) for one in found if not one.is_silenced()],
    "leads": plain.headers.get("Location"),
    "hsts": page.headers.get("Strict-Transport-Security"),
    "proxy": client.get("/healthz", HTTP_X_FORWARDED_PROTO="https").status_code,
    "cookies": [settings.SESSION_COOKIE_SECURE, settings.CSRF_COOKIE_SECURE],
}))
"""


def test_a_server_behind_tls_is_for_tls_only(tmp_path: Path) -> None:
    """Django's own checks for deployment find nothing; http leads to https; cookies go by https only."""
    env = os.environ | {"SANDBOX_HTTPS": "1", "SANDBOX_HOSTS": "site.example", "SANDBOX_DATA": str(tmp_path)}
    env |= {"DATABASE_URL": "", "REDIS_URL": "", "SANDBOX_DEBUG": "0"}
    env.pop("DJANGO_ALLOW_ASYNC_UNSAFE", None)  # the browser tests need it, a server must not have it
    done = subprocess.run([sys.executable, "-c", DEPLOYED], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "checks": [], "leads": "https://site.example/sign-in/", "proxy": 200, "cookies": [True, True],
        "hsts": "max-age=31536000; includeSubDomains; preload",
    }  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize("secure", [False, True])
def test_cookies_are_for_no_script_and_no_other_site(world: World, settings: Any, secure: bool) -> None:
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = secure
    client = Client()
    client.get(reverse("sign_in"), secure=secure)
    client.post(reverse("sign_in"), {"username": "alice", "password": PASSWORD}, secure=secure)
    assert set(client.cookies) == {"sessionid", "csrftoken", "known"}
    for cookie in client.cookies.values():
        assert (bool(cookie["secure"]), cookie["httponly"], cookie["samesite"]) == (secure, True, "Lax")
