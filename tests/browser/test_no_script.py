"""Without JavaScript everything but terminal and charts works: list, launch, act, command."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.product import Product


@pytest.fixture
def plain(visit: Callable[..., Page]) -> Page:
    """Alice's browser with scripts switched off."""
    return visit("alice", java_script_enabled=False)


def until(page: Page, word: str, where: str = "#room-header .badge") -> None:
    """Reload until the page says so, as a person without scripts would."""
    for _ in range(60):
        if word in (page.locator(where).first.text_content() or ""):
            return
        page.wait_for_timeout(250)
        page.reload()
    raise AssertionError(f"never said {word!r}: {page.locator('main').text_content()}")


def test_list_launch_act_command_and_remove(plain: Page, product: Product) -> None:
    plain.get_by_role("link", name="Launch sandbox").click()
    plain.get_by_label("Name", exact=True).fill("by-hand-only")
    plain.get_by_role("button", name="Launch", exact=True).click()
    plain.wait_for_url(re.compile(r"/sandboxes/sb_\w+/$"))
    until(plain, "running")
    expect(plain.get_by_text("The terminal needs JavaScript")).to_be_visible()
    room = plain.url

    plain.get_by_label("Command", exact=True).fill("echo without-a-script")
    plain.get_by_role("button", name="Run", exact=True).click()
    until(plain, "exit 0", "#command-open .badge")
    expect(plain.locator('[data-stream="stdout"]')).to_have_text("without-a-script\n")

    plain.goto(room)
    plain.locator("#room-header").get_by_role("button", name="Pause").click()
    until(plain, "paused")

    plain.goto("/sandboxes/?q=by-hand-only")
    expect(plain.locator("#rows tr")).to_have_count(1)
    expect(plain.locator("#rows .badge")).to_contain_text("paused")
    plain.locator("#rows .menu summary").click()
    plain.locator("#rows").get_by_role("button", name="Remove").click()
    expect(plain.get_by_role("heading")).to_contain_text("Remove by-hand-only?")
    plain.get_by_role("button", name="Remove").click()
    plain.goto(room)
    until(plain, "removed")


def test_wrong_input_is_shown_at_its_field(plain: Page, complaints: Any) -> None:
    complaints.expect("status of 422")
    plain.goto("/sandboxes/new/")
    plain.get_by_label("Memory", exact=True).fill("a lot")
    plain.get_by_role("button", name="Launch", exact=True).click()
    expect(plain.get_by_label("Memory", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(plain.locator("#id_memory-error")).to_contain_text("512m")
