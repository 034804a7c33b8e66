"""Pages while the database cannot be used: said in words, and never called a fault of ours."""

from __future__ import annotations

import pytest
from django.db import InterfaceError, OperationalError
from django.test import Client

from sandboxes.lifecycle import actions


@pytest.fixture
def browser(alice):
    made = Client(raise_request_exception=False)
    made.force_login(alice)
    return made


@pytest.mark.parametrize("error", [OperationalError("database or disk is full"), InterfaceError("gone")])
def test_what_cannot_be_written_down_is_said_so(browser, running, monkeypatch, error):
    def broken(*args, **options):
        raise error

    monkeypatch.setattr(actions, "act", broken)
    answer = browser.post(f"/sandboxes/{running.pk}/pause/")
    assert answer.status_code == 503
    assert "The database cannot be used at present" in answer.content.decode()
    assert "disk is full" not in answer.content.decode().replace("its disk is full", "")
    assert "no-store" in answer["Cache-Control"]


def test_other_faults_are_ours(browser, running, monkeypatch):
    def broken(*args, **options):
        raise ValueError("?")

    monkeypatch.setattr(actions, "act", broken)
    answer = browser.post(f"/sandboxes/{running.pk}/pause/")
    assert answer.status_code == 500
    assert "It is our fault" in answer.content.decode()
